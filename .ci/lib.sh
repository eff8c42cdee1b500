# shellcheck shell=bash
# Functions for the scripts of .ci/ and for tests/clients/run. Sourcing this file only defines them:
#
#   say TEXT                        prints one line on standard error
#   die TEXT                        prints the line and exits with 1
#   skip_if VARIABLE WHAT           prints "skipped: WHAT" and exits with 0 if VARIABLE is set and not empty
#   need_command NAME HINT [PKG..]  installs the Debian packages PKG if NAME is not in the PATH; dies with HINT if that fails
#   apt_install PKG..               installs Debian packages; returns 1 if that is impossible or not allowed
#   debian_program NAME PKG HINT    prints the folder of the program NAME; if it is not in the PATH, unpacks the Debian package PKG
#                                   into .ci/tools without installing it; dies with HINT if that fails
#   python_venv DIR REQUIREMENTS [PIP-OPTION..]
#                                   makes DIR a virtual environment with exactly REQUIREMENTS; pip checks their hashes
#   npm_packages DIR                installs DIR/package-lock.json into DIR/node_modules
#   cargo_deny                      compiles cargo-deny if it is missing, and puts it into the PATH
#
# python_venv and npm_packages do nothing if their result exists and the lock file is unchanged. Debian packages are installed
# only as root, so that no password is asked for; unpacking one needs no root and starts no service. Neither is done if NO_APT is
# set.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

skip_if() {
    if [[ -n ${!1:-} ]]; then
        printf 'skipped: %s (%s is set)\n' "$2" "$1" # on standard output, because a log must show what did not run
        exit 0
    fi
}

need_command() {
    local name=$1 hint=$2
    shift 2
    command -v "$name" >/dev/null && return
    if (($#)); then
        hint="$hint On Debian: apt-get install $*"
        apt_install "$@" && hash -r && command -v "$name" >/dev/null && return
    fi
    die "$name is missing. $hint"
}

apt_install() {
    [[ $EUID -eq 0 && -z ${NO_APT:-} ]] && command -v apt-get >/dev/null || return 1
    say "installing $*"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    local install=("${apt[@]}" install -y --no-install-recommends "$@")
    # A new machine has no package lists, and an old one has outdated lists. In both cases only the first attempt fails.
    "${install[@]}" >/dev/null 2>&1 || { "${apt[@]}" update >&2 && "${install[@]}" >&2; }
}

debian_program() {
    local name=$1 package=$2 hint=$3 own found root libraries
    if found=$(PATH=$PATH:/usr/sbin command -v "$name"); then # Debian has some programs for all users there
        dirname "$found"
        return
    fi
    own=$PWD/.ci/tools/.debian/$package
    if [[ ! -x $own/bin/$name ]]; then
        root=$own/root
        rm -rf "$own"
        unpack_package "$package" "$root" && found=$(find "$root" -path "*bin/$name") && [[ -n $found ]] \
            || die "$name is missing. $hint"
        libraries=$(find "$root" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
        mkdir "$own/bin"
        printf '%s\n' '#!/bin/sh' "LD_LIBRARY_PATH='$libraries' exec '$found' \"\$@\"" >"$own/bin/$name"
        chmod 755 "$own/bin/$name"
    fi
    printf '%s\n' "$own/bin"
}

# Unpacks a Debian package into a new folder, with the packages that it needs and that are not installed. It runs in a subshell,
# whose end removes the downloads.
unpack_package() (
    package=$1 root=$2
    [[ -z ${NO_APT:-} ]] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || exit 1
    say "unpacking the package $package"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work"/{lists,cache/archives}/partial "$work/packages"
    apt=(apt-get -qq -o APT::Sandbox::User=root)
    download() {
        local needed
        needed=$("${apt[@]}" --simulate --no-install-recommends install "$package" | sed -n 's/^Inst \([^ ]*\) .*/\1/p') || return 1
        mapfile -t needed < <(printf '%s\n' "$package" $needed | sort -u)
        (cd "$work/packages" && "${apt[@]}" download "${needed[@]}" >&2)
    }
    # A new machine has no package lists, and an old one has outdated lists. Then lists of our own are fetched, which needs no
    # root.
    if ! download 2>/dev/null; then
        apt+=(-o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache")
        "${apt[@]}" update >&2 && download || exit 1
    fi
    for file in "$work"/packages/*.deb; do
        mkdir -p "$root" && dpkg-deb -x "$file" "$root" || exit 1
    done
)

python_venv() {
    local dir=$1 requirements=$2 want
    shift 2
    need_command python3 'Python 3.10 or newer is needed.' python3
    want="$(python3 -c 'import sys; print(sys.executable, sys.version)') $* $(cksum <"$requirements")"
    [[ -x $dir/bin/python && -f $dir/.stamp && $(<"$dir/.stamp") == "$want" ]] && return
    say "preparing $dir"
    # On Debian, the module that installs pip into a new environment is not in the package of python3.
    python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv \
        || die "Python's venv module is missing. On Debian: apt-get install python3-venv"
    python3 -m venv --clear "$dir" >&2 \
        && "$dir/bin/pip" install --quiet --no-input --disable-pip-version-check --require-hashes \
            "$@" -r "$requirements" >&2 \
        && printf '%s\n' "$want" >"$dir/.stamp"
}

npm_packages() {
    local dir=$1 want
    need_command node 'Node.js 18 or newer is needed.' nodejs
    need_command npm 'It comes with Node.js, except in Debian.' npm
    want="$(node -p 'process.version + process.arch') $(cksum <"$dir/package-lock.json")"
    [[ -f $dir/node_modules/.stamp && $(<"$dir/node_modules/.stamp") == "$want" ]] && return
    say "preparing $dir/node_modules"
    (cd "$dir" && npm ci --no-progress >&2) && printf '%s\n' "$want" >"$dir/node_modules/.stamp"
}

# cargo-deny is compiled from its source: the tool that checks the dependencies must not be a third party's binary.
cargo_deny() {
    local version=0.20.2 tools=$PWD/.ci/tools/.cargo
    need_command cargo 'Install Rust with rustup.'
    [[ $(cargo-deny --version 2>/dev/null) != "cargo-deny $version" ]] || return 0
    PATH=$tools/bin:$PATH
    hash -r
    [[ $(cargo-deny --version 2>/dev/null) != "cargo-deny $version" ]] || return 0
    say "compiling cargo-deny $version, about four minutes"
    cargo install --quiet --locked --force --root "$tools" cargo-deny --version "$version"
}
