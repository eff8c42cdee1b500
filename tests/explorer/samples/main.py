"""Runs the sample code of the explorer: every action in every version, a success and a refusal each.

    python main.py BINARY
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "clients" / "python"))

import harness  # noqa: E402
from cases import AT, CASES, NOBODY, OLD_REFUSALS, Case  # noqa: E402
from jobs import Job  # noqa: E402
from tools import Missing, Tool, tool_for  # noqa: E402

# Signature and format: of the call that succeeds, and of the one that is refused.
SUCCESS_FORMS = [("V3", "JSON"), ("V1", "JSON"), ("V1", "XML")]
REFUSAL_FORMS = [("V3", "XML"), ("V1", "JSON")]


class Run:
    """One run of all samples against one server."""

    def __init__(self, binary: Path, scratch: Path) -> None:
        self.binary, self.scratch = binary, scratch
        listed = json.loads(_node("--list"))
        self.samples: list[dict[str, Any]] = listed["samples"]
        self.actions: list[dict[str, Any]] = listed["actions"]
        self.passed: Counter[str] = Counter()
        self.failures: list[str] = []
        self.skipped: list[str] = []

    def complain(self, what: str, problem: str) -> None:
        """Records a problem with the server."""
        if problem:
            self.failures.append(f"{what}: {problem}")

    def __call__(self) -> int:
        """Returns the exit status."""
        for name in {entry["action"] for entry in self.actions} - set(CASES):
            self.failures.append(f"cases.py has no case for {name}")
        with harness.dev(self.binary, self.complain, AT) as world:
            for sample in self.samples:
                self._sample(world, sample)
        print("\nskipped: " + ", ".join(self.skipped) if self.skipped else "")
        for failure in self.failures:
            print(f"FAILED {failure}\n")
        print(f"{self.passed.total()} passed, {len(self.failures)} failed, {len(self.skipped)} skipped")
        return 1 if self.failures else 0

    def _sample(self, world: Any, sample: dict[str, Any]) -> None:
        name = sample["id"]
        try:
            tool = tool_for(name, self.binary, self.scratch, world.endpoints[0].token)
        except Missing as missing:
            print(f"{name}: skipped: {missing}", flush=True)
            self.skipped.append(f"{name} ({missing})")
            return
        jobs = self._jobs(world, sample)
        for job, text in zip(jobs, self._rendered(world, jobs)):
            job.text = text
        try:
            tool.compile(jobs)
        except subprocess.CalledProcessError as error:
            self.failures.append(f"{name}: {error.stdout}{error.stderr}")
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for job, problem in zip(jobs, pool.map(lambda job: self._run(tool, job), jobs)):
                if problem:
                    self.failures.append(f"{job.name}: {problem}")
                else:
                    self.passed[name] += 1
        print(f"{name}: {self.passed[name]} of {len(jobs)} passed", flush=True)

    @staticmethod
    def _run(tool: Tool, job: Job) -> str:
        try:
            ended = tool.run(job)
        except subprocess.TimeoutExpired:
            return "it did not end"
        return job.problem(ended.returncode, ended.stdout, ended.stderr)

    def _jobs(self, world: Any, sample: dict[str, Any]) -> list[Job]:
        signatures, formats = sample.get("signatures", ["V1", "V3"]), sample.get("formats", ["JSON", "XML"])
        jobs = []
        for entry in self.actions:
            if entry["action"] not in sample.get("actions", CASES) or entry["action"] not in CASES:
                continue
            success, refusal = CASES[entry["action"]]
            if not signatures:
                # gRPC has no versions.
                jobs += [self._job(world, sample, entry, case, "", "JSON") for case in (success, refusal) if entry["newest"]]
                continue
            for case, forms in ((success, SUCCESS_FORMS), (refusal, REFUSAL_FORMS)):
                for signature, fmt in forms:
                    if signature in signatures and fmt in formats:
                        jobs.append(self._job(world, sample, entry, case, signature, fmt))
        return [job for job in jobs if _possible(job)]

    @staticmethod
    def _job(world: Any, sample: dict[str, Any], entry: dict[str, Any], case: Case, signature: str, fmt: str) -> Job:
        who = world.operator.fresh() if case.who == "new" else world.roles[case.who]
        refusal, account_id = case.refusal, who.account_id
        if refusal and entry["version"] == "2014-11-11":
            refusal = OLD_REFUSALS.get(entry["action"], refusal)
        if not signature and case.grpc_refusal:
            refusal, account_id = case.grpc_refusal, NOBODY
        return Job(
            sample=sample["id"],
            action=entry["action"],
            version=entry["version"],
            v3=signature == "V3",
            xml=fmt == "XML",
            grpc=not signature,
            key=who.key,
            secret=who.secret,
            account_id=account_id,
            parameters=case.parameters,
            reply=case.reply,
            refusal=refusal,
        )

    def _rendered(self, world: Any, jobs: list[Job]) -> list[str]:
        endpoint = world.endpoints[0]
        forms = [
            {
                "sample": job.sample,
                "action": job.action,
                "version": job.version,
                "parameters": job.parameters,
                "endpoint": f"http://{endpoint.rest}",
                "grpc": endpoint.grpc,
                "accountId": str(job.account_id),
                "xml": job.xml,
                "v3": job.v3,
            }
            for job in jobs
        ]
        return json.loads(_node(stdin=json.dumps(forms)))


def _possible(job: Job) -> bool:
    """Whether the sample can have this outcome. Terraform reads first, and opens only what is not opened."""
    if job.sample != "terraform":
        return True
    job.reply = None
    return job.version != "2014-11-11" and (not job.refusal or job.refusal.code == "Forbidden.BidUser")


def _node(*arguments: str, stdin: str = "") -> str:
    command = ["node", str(HERE / "render.mjs"), *arguments]
    return subprocess.run(command, input=stdin, check=True, capture_output=True, text=True).stdout


def main(binary: str) -> int:
    """Returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="cdn-activation-samples-") as scratch:
        return Run(Path(binary).resolve(), Path(scratch))()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
