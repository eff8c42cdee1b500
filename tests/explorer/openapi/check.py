"""Starts `dev`, checks the OpenAPI document, and has schemathesis compare the answers of the server with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openapi_spec_validator import validate
from processes import Process

HERE = Path(__file__).parent
SEED = os.environ.get("OPENAPI_SEED", "23")
EXAMPLES = os.environ.get("OPENAPI_EXAMPLES", "25")
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
]


@contextmanager
def dev(binary: Path, scratch: Path) -> Iterator[str]:
    """Runs `cdn-activation dev` on free ports. Yields the address of its REST listener."""
    ports = [part for wire in ("grpc", "rest", "ops") for part in (f"--{wire}-addr", "127.0.0.1:0")]
    settings = (
        *("DATABASE_URL", "SERVICE_TOKEN_FILE", "GRANTS_FILE", "REFLECTION", "SEALING_KEY_FILE"),
        *("ORDER_ENDPOINT", "MINIMUM_BALANCE", "DATA_DIR"),
    )
    command = [str(binary), "dev", "--data-dir", str(scratch / "data"), *ports]
    server = Process("dev", command, scratch, env={name: None for name in settings})
    try:
        yield f"http://{server.wait_ready()[1]}"
    finally:
        problem = server.stop()
        if problem:
            print(problem, file=sys.stderr)


def document_of(binary: Path, address: str) -> dict[str, Any]:
    """Returns the document of the command. If the server serves one, it is the same except for the address of the server."""
    printed = subprocess.run([binary, "descriptors", "--openapi"], check=True, capture_output=True).stdout
    document = json.loads(printed)
    try:
        with urllib.request.urlopen(f"{address}/explorer/openapi.json", timeout=10) as served:
            other = json.load(served)
    except urllib.error.HTTPError:
        return document
    assert {**other, "servers": None} == {**document, "servers": None}, "the served document is another one"
    return document


def schemathesis(document: Path, address: str, scratch: Path) -> int:
    """Runs schemathesis. Returns its exit status."""
    command = [Path(sys.executable).with_name("schemathesis"), "run", document, "--url", address, "--no-color"]
    command += ["--seed", SEED, "--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing", "--mode", "all"]
    command += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--generation-database", "none", "--warnings", "off"]
    command += ["--generation-with-security-parameters", "false"]  # hooks.py signs
    env = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "hooks",
        "OPENAPI_ANSWERS": str(scratch / "answers"),
        "OPENAPI_DOCUMENT": str(document),
        "OPENAPI_SEED": SEED,
    }
    return subprocess.run(command, env=env, cwd=scratch, timeout=300).returncode


def problems_with(answers: list[dict[str, Any]], document: dict[str, Any]) -> list[str]:
    """Returns what was not tried. Without these checks, a run in which every signature is wrong would pass."""
    problems = []
    by_action = defaultdict(Counter)
    for answer in answers:
        by_action[answer["operation"].split("_")[0]][answer["status"]] += 1
    for item in document["paths"].values():
        action = item["get"]["operationId"].split("_")[0]
        if not {200, 400} <= set(by_action[action]):
            problems.append(f"{action} was not both accepted and refused: {dict(by_action[action])}")
    accepted = {(answer["signature"], answer["format"]) for answer in answers if answer["status"] == 200}
    if len(accepted) != 4:
        problems.append(f"not every signature and format was accepted: {sorted(accepted)}")
    if "SignatureDoesNotMatch" not in {answer["code"] for answer in answers}:
        problems.append("no wrong signature was tried")
    return problems


def main() -> int:
    binary = Path(sys.argv[1])
    scratch = Path(tempfile.mkdtemp(prefix="cdn-activation-openapi-", dir="/tmp"))
    scratch.chmod(0o755)  # as root, `dev` runs its database as another user
    try:
        with dev(binary, scratch) as address:
            document = document_of(binary, address)
            validate(document)
            path = scratch / "openapi.json"
            path.write_text(json.dumps(document), encoding="utf-8")
            status = schemathesis(path, address, scratch)
        answers = [json.loads(line) for line in (scratch / "answers").read_text(encoding="utf-8").splitlines()]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    codes = Counter(answer["code"] or "accepted" for answer in answers)
    print("\n".join(f"{count:6} {code}" for code, count in codes.most_common()))
    problems = problems_with(answers, document)
    print("\n".join(problems), file=sys.stderr)
    return 1 if status or problems else 0


if __name__ == "__main__":
    sys.exit(main())
