# shellcheck shell=bash
# What the scripts of .ci/ and tests/clients/run share. Source it; nothing runs by that:
#
#   say TEXT                        one line on standard error
#   die TEXT                        the same, and exit 1
#   skip_if VARIABLE WHAT           ends the script with 0 and says "skipped: WHAT" where VARIABLE is set and not empty
#   need_command NAME HINT [PKG..]  NAME must be on the PATH; else the Debian packages PKG are installed; else: die HINT
#   apt_install PKG..               installs Debian packages; returns 1 where that cannot or may not be done
#   python_venv DIR REQUIREMENTS [PIP-OPTION..]
#                                   DIR becomes a virtual environment with exactly REQUIREMENTS, whose hashes pip checks
#   npm_packages DIR                DIR/node_modules becomes what DIR/package-lock.json says
#
# python_venv and npm_packages do nothing when their result is there already and the lock is still the same.
# Packages are installed as root only (nobody is asked for a password), and never where NO_APT is set.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

skip_if() {
    if [[ -n ${!1:-} ]]; then
        printf 'skipped: %s (%s is set)\n' "$2" "$1" # on standard output: a log must show what did not run
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
    # A fresh machine has no package lists and an old one stale lists: both show only when the first try fails.
    "${install[@]}" >/dev/null 2>&1 || { "${apt[@]}" update >&2 && "${install[@]}" >&2; }
}

python_venv() {
    local dir=$1 requirements=$2 want
    shift 2
    need_command python3 'Python 3.10 or newer is needed.' python3
    want="$(python3 -c 'import sys; print(sys.executable, sys.version)') $* $(cksum <"$requirements")"
    [[ -x $dir/bin/python && -f $dir/.stamp && $(<"$dir/.stamp") == "$want" ]] && return
    say "preparing $dir"
    # Debian splits the module that puts pip into a new environment off its python3.
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
