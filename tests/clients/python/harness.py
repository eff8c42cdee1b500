"""The three environments of the suite: `dev`, `dev --at`, and a deployment of two `serve` processes on one database.

Each is a context manager that yields a World and leaves no process and no file, even after a failure. How the processes
end is tested, too: problems are reported to `Report.complain`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from collections.abc import Callable, Iterator

from clients.base import Endpoint
from operator_api import Operator
from postgres import Postgres
from processes import Failed, Process, pid_in_use
from world import World, demo_roles, made_roles

ANY_PORTS = ["--grpc-addr", "127.0.0.1:0", "--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"]
Complain = Callable[[str, str], None]
# Settings in the environment of a developer must not reach the server under test.
SETTINGS = (
    "DATABASE_URL",
    "GRPC_ADDR",
    "REST_ADDR",
    "OPS_ADDR",
    "SERVICE_TOKEN_FILE",
    "GRANTS_FILE",
    "REFLECTION",
    "SEALING_KEY_FILE",
    "ORDER_ENDPOINT",
    "MINIMUM_BALANCE",
    "OVERDUE_GRACE",
    "TIMESTAMP_WINDOW",
    "QUOTAS",
    "QUOTA_BURST",
)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A directory that an unprivileged user can reach, because a server that runs as root starts PostgreSQL as one."""
    directory = Path(tempfile.mkdtemp(prefix="cdn-activation-clients-", dir="/tmp"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _stop(process: Process, complain: Complain, data: Path | None = None) -> None:
    database = None
    if data is not None:
        for pid_file in data.rglob("postmaster.pid"):
            database = int(pid_file.read_text().split()[0])
    problem = process.stop()
    if database is not None and pid_in_use(database):
        problem = f"{problem or ''}{process.name} left its database running (process {database})"
        os.kill(database, 3)
    complain(f"{process.name} ends with status 0 and leaves no process", problem or "")


@contextmanager
def dev(binary: Path, complain: Complain, at: str | None = None) -> Iterator[World]:
    """Runs `cdn-activation dev` with its demo accounts and its own database."""
    with ExitStack() as stack:
        scratch = stack.enter_context(_scratch())
        data = scratch / "data"
        name = "dev-at" if at else "dev"
        command = [str(binary), "dev", "--data-dir", str(data), *ANY_PORTS, *(["--at", at] if at else [])]
        process = Process(name, command, scratch, env=_clean())
        stack.callback(_stop, process, complain, data)
        grpc, rest, ops = process.wait_ready()
        started = datetime.now(timezone.utc)
        endpoint = Endpoint(rest, grpc, ops, (data / "service-token").read_text().strip())
        operator = Operator(endpoint)
        stack.callback(operator.close)
        world = World(name, [endpoint], demo_roles(), operator)
        if at:
            world.ahead = datetime.fromisoformat(at.replace("Z", "+00:00")) - started
        yield world


@contextmanager
def deployment(binary: Path, complain: Complain) -> Iterator[World]:
    """Runs two `serve` processes on one PostgreSQL. Accounts are created through the operator services."""
    with ExitStack() as stack:
        scratch = stack.enter_context(_scratch())
        url = os.environ.get("CLIENTS_DATABASE_URL")
        if not url:
            database = Postgres(scratch / "postgres", scratch)
            stack.callback(lambda: complain("PostgreSQL ends", database.stop() or ""))
            url = database.url
        token = secrets.token_urlsafe(24)
        files = {
            "SERVICE_TOKEN_FILE": f"clients sha256:{hashlib.sha256(token.encode()).hexdigest()}",
            "GRANTS_FILE": '[[identity]]\nname = "clients"\nactions = ["*"]\noperators = ["*"]\naudit = true\ncredentials = true',
            "SEALING_KEY_FILE": base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        env = {"DATABASE_URL": url, "GRPC_ADDR": "127.0.0.1:0", "REST_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0"}
        env["DRAIN_DELAY"] = "0s"  # no proxy has to notice the end
        env["QUOTAS"] = "false"  # the scenarios of many clients share a few accounts
        for name, content in files.items():
            path = scratch / name.lower()
            path.write_text(content + "\n")
            path.chmod(0o600)
            env[name] = str(path)
        migrate = Process("migrate", [str(binary), "migrate"], scratch, env=_clean(env))
        problem = migrate.wait_done()
        if problem:
            raise Failed(problem)
        endpoints, running = [], {}

        def serve(name: str, **addresses: str) -> Endpoint:
            running[name] = Process(name, [str(binary), "serve"], scratch, env=_clean({**env, **addresses}))
            grpc, rest, ops = running[name].wait_ready()
            return Endpoint(rest, grpc, ops, token)

        names = ("serve-a", "serve-b")
        for name in names:
            stack.callback(lambda name: _stop(running[name], complain), name)
            endpoints.append(serve(name))

        def restart(index: int) -> None:
            """Kills a process, as a power failure would, and starts it again at the same addresses."""
            at = endpoints[index]
            running[names[index]].kill()
            serve(names[index], GRPC_ADDR=at.grpc, REST_ADDR=at.rest, OPS_ADDR=at.ops)

        operator = Operator(endpoints[0])
        stack.callback(operator.close)
        yield World("deployment", endpoints, made_roles(operator), operator, restart=restart)


def _clean(env: dict[str, str] | None = None) -> dict[str, str | None]:
    return {**{name: None for name in SETTINGS}, **(env or {})}
