"""A private PostgreSQL for one run, from the server programs of this machine, on loopback and without durability."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from processes import Failed, Process

# PostgreSQL refuses to run as root.
USER = "nobody" if os.geteuid() == 0 else None
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
}


def programs() -> Path:
    """Returns the directory with initdb and postgres: the newest of Debian's, else the one in the PATH."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: float(path.split("/")[4]))
    path = found[-1] if found else shutil.which("initdb")
    if not path:
        raise Failed("PostgreSQL's initdb is not on this machine (Debian: apt-get install postgresql)")
    return Path(os.path.realpath(path)).parent


class Postgres:
    """A server that runs until `stop`. `url` is a value for DATABASE_URL."""

    def __init__(self, directory: Path, logs: Path) -> None:
        self._bin, self._data = programs(), directory / "data"
        self._data.mkdir(parents=True)
        if USER:
            shutil.chown(directory, USER)
            shutil.chown(self._data, USER)
        options = f"-D {self._data} -U postgres -A trust -E UTF8 --locale=C --no-sync".split()
        initdb = [str(self._bin / "initdb"), *options]
        done = subprocess.run(initdb, cwd="/", capture_output=True, text=True, user=USER)
        if done.returncode != 0:
            raise Failed(f"initdb failed: {done.stdout}{done.stderr}")
        self._process, port = self._start(directory, logs)
        self.url = f"postgres://postgres@127.0.0.1:{port}/postgres"

    def _start(self, directory: Path, logs: Path) -> tuple[Process, int]:
        for attempt in range(3):  # another process may take the free port before PostgreSQL does
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            settings = [part for item in SETTINGS.items() for part in ("-c", "=".join(item))]
            command = [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(port), "-k", str(directory)]
            process = Process(
                f"postgres-{attempt}", [*command, *settings], logs, as_user=USER, stop_signal=signal.SIGINT
            )
            if self._accepts(process):
                return process, port
            process.stop()
        raise Failed(f"PostgreSQL does not start\n{process.tail()}")

    @staticmethod
    def _accepts(process: Process) -> bool:
        end = time.monotonic() + 30
        while time.monotonic() < end and process.alive():
            if "ready to accept connections" in process.err.read_text(errors="replace"):
                return True
            time.sleep(0.05)
        return False

    def stop(self) -> str | None:
        """Ends the server with its connections."""
        return self._process.stop()
