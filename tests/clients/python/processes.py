"""Starts and ends processes so that none is left, even after a failure."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
import time
from pathlib import Path
from collections.abc import Mapping, Sequence

READY = re.compile(r"^ready grpc=(\S+) rest=(\S+) ops=(\S+)$", re.MULTILINE)


class Failed(Exception):
    """The environment could not be started. The text gives the reason."""


class Process:
    """A child in a process group of its own. Its output goes to files, so that it cannot block on a full pipe."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        logs: Path,
        env: Mapping[str, str | None] | None = None,
        as_user: str | None = None,
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self.name, self._stop_signal = name, stop_signal
        self.out, self.err = logs / f"{name}.out", logs / f"{name}.err"
        account = pwd.getpwnam(as_user) if as_user else None
        with self.out.open("wb") as out, self.err.open("wb") as err:
            merged = {**os.environ, **(env or {})}
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={variable: value for variable, value in merged.items() if value is not None},
                cwd="/" if account else None,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._child.pid

    def wait_ready(self, seconds: float = 90) -> tuple[str, str, str]:
        """Waits for the line `ready grpc=… rest=… ops=…` and checks that standard output has no other line."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            match = READY.search(self.out.read_text(errors="replace"))
            if match:
                return match[1], match[2], match[3]
            if self._child.poll() is not None:
                raise Failed(f"{self.name} ended with {self._child.returncode} before it was ready\n{self.tail()}")
            time.sleep(0.05)
        raise Failed(f"{self.name} was not ready within {seconds:.0f} s\n{self.tail()}")

    def wait_done(self, seconds: float = 120) -> str | None:
        """Waits for a command that ends by itself. Returns the problem with its end, if there is one."""
        try:
            status = self._child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._kill_group()
            self._child.wait()
            return f"{self.name} took longer than {seconds:.0f} s\n{self.tail()}"
        return f"{self.name} ended with status {status}\n{self.tail()}" if status else None

    def tail(self, lines: int = 25) -> str:
        """Returns the end of its output."""
        parts = []
        for path in (self.out, self.err):
            text = path.read_text(errors="replace").splitlines()[-lines:]
            if text:
                parts.append(f"--- {path.name}\n" + "\n".join(text))
        return "\n".join(parts)

    def alive(self) -> bool:
        """Whether it is running."""
        return self._child.poll() is None

    def stop(self, seconds: float = 20) -> str | None:
        """Asks it to end. If it does not, ends its group. Returns the problem with its end, if there is one."""
        if self.alive():
            self._child.send_signal(self._stop_signal)
        try:
            status = self._child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._kill_group()
            self._child.wait()
            return f"{self.name} did not end within {seconds:.0f} s of signal {self._stop_signal}\n{self.tail()}"
        left = self._kill_group()
        if status != 0:
            return f"{self.name} ended with status {status}\n{self.tail()}"
        return f"{self.name} left processes of its group behind" if left else None

    def kill(self) -> None:
        """Ends it and its group at once."""
        self._kill_group()
        self._child.wait()

    def _kill_group(self) -> bool:
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def pid_in_use(pid: int) -> bool:
    """Whether a process with this id exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
