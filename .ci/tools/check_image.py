"""Checks the contents of the image, and runs it as Kubernetes would.

Usage: check_image.py ROOT IMAGE.json, in the top folder, as root: the mounted root file system, and what buildah says of the image.
Prints each fault, and exits with 1 if there is one.
"""

import base64
import json
import os
import pathlib
import re
import secrets
import stat
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request

sys.path.insert(0, "tests/clients/python")

from postgres import Postgres  # noqa: E402
from processes import Failed, Process  # noqa: E402

ROOT = pathlib.Path(sys.argv[1])
CONFIG = json.loads(pathlib.Path(sys.argv[2]).read_text())["OCIv1"]["config"]
PROGRAM = "usr/local/bin/cdn-activation"
BILL = "usr/local/share/sbom/cdn-activation.cdx.json"
MOST = 15 * 1024 * 1024  # beside the program
USER = 65532
# What may be in the image, as patterns of paths.
ALLOWED = [
    PROGRAM, BILL, r"lib(64)?/(\S+-linux-gnu/)?(ld-linux\S*|libc|libm|libgcc_s)\.so\.\d", "etc/ssl/certs/ca-certificates.crt",
    "etc/(passwd|group|nsswitch.conf|os-release)", r"usr/share/doc/\S+/copyright", r"var/lib/dpkg/status\.d/\S+",
]  # fmt: skip
# The folders of a builder: this one, that of cargo, and those of the Dockerfile.
BUILDERS = [os.getcwd() + "/", os.environ.get("CARGO_HOME", str(pathlib.Path.home() / ".cargo")) + "/", "/src/target/", "/cargo/registry/"]
PSQL = ["psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"]
LABELS = {"title", "description", "licenses", "version", "revision"}
faults = []


def check_contents():
    """Checks which files there are, who may change them, and how big they are."""
    others = 0
    for path in sorted(p for p in ROOT.rglob("*")):
        name, status = str(path.relative_to(ROOT)), path.lstat()
        if path.is_dir() and not path.is_symlink():
            allowed = True
        else:
            allowed = path.is_file() and not path.is_symlink() and any(re.fullmatch(pattern, name) for pattern in ALLOWED)
            others += 0 if name == PROGRAM else status.st_size
        if not allowed:
            faults.append(f"/{name} is in the image")
        if status.st_uid != 0 or status.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH | stat.S_IWGRP):
            faults.append(f"/{name} can be changed, or gives rights: mode {stat.filemode(status.st_mode)}")
    if others > MOST:
        faults.append(f"there are {others} bytes beside the program, and at most {MOST} are allowed")
    if (ROOT / "etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN CERTIFICATE") < 50:
        faults.append("there are hardly any public certificates")
    if json.loads((ROOT / BILL).read_text())["metadata"]["component"]["name"] != "cdn-activation":
        faults.append("the bill of materials is of another program")
    text = (ROOT / PROGRAM).read_bytes()
    for folder in BUILDERS:
        found = re.findall(re.escape(folder.encode()) + rb"[\x21-\x7e]{0,60}", text)
        if found:
            faults.append(f"the program names {len(found)} paths of its builder, for example {found[0].decode()}")
    return others


def check_description():
    """Checks what the image says of itself."""
    version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["package"]["version"]
    labels = {k.removeprefix("org.opencontainers.image."): v for k, v in CONFIG.get("Labels", {}).items() if "opencontainers" in k}
    if labels.keys() != LABELS or not all(labels.values()):
        faults.append(f"the labels are {sorted(labels)}")
    if (labels.get("version"), labels.get("revision")) != (version, os.environ["REVISION"]):
        faults.append(f"the labels are of version {labels.get('version')}, revision {labels.get('revision')}")
    if CONFIG["User"] != f"{USER}:{USER}" or CONFIG["Entrypoint"] != ["/" + PROGRAM] or CONFIG["Cmd"] != ["serve"]:
        faults.append(f"the image starts {CONFIG['Entrypoint']} {CONFIG['Cmd']} as {CONFIG['User']}")


def contained(files):
    """Returns the start of a command that runs in the image: root read-only, uid 65532, no capabilities, no way to get any.

    A container runtime mounts /proc, /dev, the files of Secrets, and the names of hosts.
    """
    for directory in ("proc", "dev", "etc/cdn-activation"):
        (ROOT / directory).mkdir(exist_ok=True)
    for file in ("etc/hosts", "etc/resolv.conf"):
        (ROOT / file).touch()
    script = f"""
        set -e
        mount --bind {ROOT} {ROOT}
        mount -o remount,bind,ro {ROOT}
        mount --bind {files} {ROOT}/etc/cdn-activation
        mount -o remount,bind,ro {ROOT}/etc/cdn-activation
        mount --rbind /proc {ROOT}/proc
        mount --bind /dev {ROOT}/dev
        mount --bind /etc/hosts {ROOT}/etc/hosts
        mount --bind /etc/resolv.conf {ROOT}/etc/resolv.conf
        exec setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid \
            chroot --userspec={USER}:{USER} --groups= {ROOT} /{PROGRAM} "$@"
    """
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def check_process(pid):
    """Checks that a running process has the rights of a restricted container, and not more."""
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    if status["Uid"].split() != [str(USER)] * 4 or status["Gid"].split() != [str(USER)] * 4:
        faults.append(f"it runs as {status['Uid']}, {status['Gid']}")
    if status["NoNewPrivs"] != "1" or any(int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")):
        faults.append("it has capabilities, or could get some")
    tree = pathlib.Path(f"/proc/{pid}/root")
    if os.path.exists(tree / "bin/sh") or not os.path.exists(tree / PROGRAM):
        faults.append("its root is not the image's")
    if not os.statvfs(tree).f_flag & os.ST_RDONLY:
        faults.append("its root can be written")


def done(process):
    """Waits for the end of a command, which must succeed."""
    problem = process.wait_done()
    if problem:
        raise Failed(problem)


def check_ready(ops):
    """Checks that the service becomes ready: the role of `serve` has all that it needs."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://{ops}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            answer = error.read().decode()
        time.sleep(0.2)
    faults.append(f"/readyz answers {answer}")


def run():
    """Runs `migrate` and `serve` in the image against a private PostgreSQL, each with the role of deploy/database."""
    with tempfile.TemporaryDirectory(prefix="cdn-activation-image-") as scratch:
        directory = pathlib.Path(scratch)
        directory.chmod(0o755)
        files = directory / "files"
        files.mkdir()
        database = Postgres(directory / "postgres", directory)
        # A name and not an address, so that the C library has to look it up.
        where = database.url.rpartition("@")[2].replace("127.0.0.1", "localhost").removesuffix("/postgres")
        admin = f"postgres://cdn_activation_owner@{where}/cdn_activation"
        contents = {
            "sealing-key": base64.b64encode(secrets.token_bytes(32)).decode(),
            "url": f"postgres://cdn_activation@{where}/cdn_activation",
            "admin-url": admin,
        }
        for name, content in contents.items():
            (files / name).write_text(content + "\n")
            os.chown(files / name, 0, USER)
            (files / name).chmod(0o440)
        folder = "/etc/cdn-activation"
        env = dict(pair.split("=", 1) for pair in CONFIG["Env"]) | {"DATABASE_URL_FILE": f"{folder}/url"}
        env |= {name: "127.0.0.1:0" for name in ("GRPC_ADDR", "REST_ADDR", "OPS_ADDR")}
        env |= {"SEALING_KEY_FILE": f"{folder}/sealing-key", "DRAIN_DELAY": "0s"}
        command = contained(files)
        try:
            # The roles of production, and not a superuser.
            done(Process("roles", [*PSQL, "-f", "deploy/database/roles.sql", database.url], directory))
            done(Process("migrate", [*command, "migrate"], directory, env=env | {"DB_ADMIN_URL_FILE": f"{folder}/admin-url"}))
            done(Process("grants", [*PSQL, "-f", "deploy/database/grants.sql", admin], directory))
            serve = Process("serve", [*command, *CONFIG["Cmd"]], directory, env=env)
            try:
                _, _, ops = serve.wait_ready()
                check_ready(ops)
                check_process(serve.pid)
            finally:
                problem = serve.stop()
            if problem:
                faults.append(problem)
        except Failed as problem:
            faults.append(str(problem))
        finally:
            database.stop()


others = check_contents()
check_description()
run()
size = (ROOT / PROGRAM).stat().st_size
print("\n".join(faults) or f"the image has the program of {size / 1e6:.1f} MB and {others / 1e6:.1f} MB beside it; it migrates and serves")
sys.exit(bool(faults))
