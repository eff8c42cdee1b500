"""Runs a Node adapter process and exchanges JSON lines with it."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

NODE = Path(__file__).resolve().parents[2] / "node"
LIMIT = 30  # seconds for one call; the SDKs' own limits are shorter


class NodeProcess:
    """One adapter process. It answers one call at a time, even if several threads call."""

    def __init__(self, script: str) -> None:
        self._script = NODE / script
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sends one request and waits for its answer."""
        with self._lock:
            process = self._running()
            assert process.stdin and process.stdout
            timer = threading.Timer(LIMIT, process.kill)
            timer.start()
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
            finally:
                timer.cancel()
            if not line:
                self._process = None
                return {"ok": False, "crash": f"{self._script.name} ended with {process.wait()} or took over {LIMIT} s"}
            return json.loads(line)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                ["node", "--no-deprecation", str(self._script)],
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._process

    def close(self) -> None:
        """Ends the process by closing its input."""
        if self._process is not None and self._process.stdin:
            self._process.stdin.close()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
