"""Runs every client through every scenario in every environment, and prints the matrix."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any
from collections.abc import Callable

from clients.base import Client
from processes import Failed
from report import HARNESS, Report

# The names for SKIP_CLIENTS, each with the module of its adapter and the program that it needs in addition to Python.
CLIENTS = {
    "python-classic": ("classic", None),
    "pop-core": ("pop", "node"),
    "python-tea": ("tea", None),
    "node-tea": ("node_tea", "node"),
    "aliyun-sdk": ("aliyun_sdk", "node"),
    "libcloud": ("libcloud", None),
    "grpc": ("grpcio", None),
    "raw": ("raw", None),
}


def load_clients(report: Report) -> list[Client]:
    """Returns the rows of all clients. A missing client is a failure, unless SKIP_CLIENTS names it."""
    skipped = {name.strip() for name in os.environ.get("SKIP_CLIENTS", "").split(",") if name.strip()}
    for name in sorted(skipped - set(CLIENTS)):
        report.record(
            "setup",
            HARNESS,
            "process",
            "SKIP_CLIENTS",
            f"there is no client {name!r}; there are {', '.join(CLIENTS)}, and all",
        )
    rows: list[Client] = []
    for name, (module, program) in CLIENTS.items():
        if name in skipped:
            report.skip(name)
            continue
        try:
            if program and not shutil.which(program):
                raise ImportError(f"{program} is not on the PATH")
            if program and not (Path(__file__).parents[1] / "node" / "node_modules").is_dir():
                raise ImportError("node_modules is not there: tests/clients/run installs it")
            rows += importlib.import_module(f"clients.{module}").clients()
        except ImportError as error:
            report.record("setup", (name, "", "", ""), "process", "the client is there", f"{name} is missing: {error}")
    for row in rows:
        report.declare(row.row, row.published)
    return rows


class Suite:
    """The scenarios of each environment. A scenario that raises is a failure, and the next one still runs."""

    def __init__(self, binary: Path, report: Report, rows: list[Client]) -> None:
        self.binary, self.report, self.rows = binary, report, rows

    def run(self) -> None:
        """Runs all environments one after another, because the machines that this runs on have few cores."""
        import harness
        from sample_scenarios import AT

        for name, environment, scenarios in [
            ("dev", lambda complain: harness.dev(self.binary, complain), self._in_dev),
            ("dev-at", lambda complain: harness.dev(self.binary, complain, AT), self._at),
            ("deployment", lambda complain: harness.deployment(self.binary, complain), self._in_deployment),
        ]:
            if name not in os.environ.get("CLIENTS_ENVIRONMENTS", name).split(","):
                self.report.skip(f"environment {name}")
                continue
            print(f"running: {name}", flush=True)
            try:
                with environment(self._complain(name)) as world:
                    self.report.record(name, HARNESS, "process", "starts and is ready")
                    scenarios(world)
            except Failed as failure:
                self.report.record(name, HARNESS, "process", "starts and is ready", str(failure))
            except Exception as error:  # noqa: BLE001 - the other environments still run
                self.report.record(name, HARNESS, "process", "the scenarios run", f"{type(error).__name__}: {error}")

    def _complain(self, world: str) -> Callable[[str, str], None]:
        return lambda what, problem: self.report.record(world, HARNESS, "process", what, problem)

    def _trial(self, world: Any, row: Client) -> Any:
        from trial import Trial

        return Trial(world, row, self.report)

    def _attempt(self, trial: Any, scenario: Callable[..., Any], *more: Any) -> Any:
        try:
            return scenario(trial, *more)
        except Exception as error:  # noqa: BLE001 - the other scenarios still run
            trial.record("process", scenario.__name__, f"ended with {type(error).__name__}: {error}")
            return None

    def _in_dev(self, world: Any) -> None:
        import sample_scenarios

        self._everything(world, able_first=True)
        for row in self.rows:
            self._attempt(self._trial(world, row), sample_scenarios.samples_later)

    def _at(self, world: Any) -> None:
        import sample_scenarios

        for number, row in enumerate(self.rows):
            trial = self._trial(world, row)
            self._attempt(trial, sample_scenarios.samples)
            self._attempt(trial, sample_scenarios.life_at, number)

    def _in_deployment(self, world: Any) -> None:
        import metrics_scenarios
        import race_scenarios

        opened = world.roles["opened"]
        opener = next((row for row in self.rows if row.is_grpc), self.rows[0])
        from scenarios import CDN_OPEN, DCDN_OPEN

        for action, params in (CDN_OPEN, DCDN_OPEN):
            self._trial(world, opener).answers("open", "the account that has opened", opened, action, params)
        self._everything(world, able_first=False)
        by_name = {row.name: row for row in reversed(self.rows)}  # the first row of each client
        if "raw" in by_name:
            trial = self._trial(world, by_name["raw"])
            self._attempt(trial, race_scenarios.nonces_across_processes)
            self._attempt(trial, race_scenarios.keys_across_processes)
        others = [row for name, row in by_name.items() if name != "raw"]
        for first, second in zip(others, others[1:] + others[:1]):
            self._attempt(self._trial(world, first), race_scenarios.simultaneous_openings, second)
        self._attempt(self._trial(world, opener), metrics_scenarios.strictly_read)
        if "grpc" in by_name:
            import service_config_scenarios

            # The last one, because a restart breaks the connections that other clients keep.
            self._attempt(self._trial(world, by_name["grpc"]), service_config_scenarios.replicas_that_are_killed)

    def _everything(self, world: Any, able_first: bool) -> None:
        import access_scenarios
        import grpc_scenarios
        import raw_scenarios
        import scenarios

        for row in self.rows:
            trial = self._trial(world, row)
            self._attempt(trial, scenarios.every_refusal_of_the_opening_table)
            if row.is_grpc:
                for scenario in (grpc_scenarios.callers_and_accounts, grpc_scenarios.wire, grpc_scenarios.operators):
                    self._attempt(trial, scenario)
                import operator_scenarios

                self._attempt(self._trial(world, row), operator_scenarios.a_working_day)
            else:
                self._attempt(trial, access_scenarios.keys_and_policies)
                self._attempt(trial, access_scenarios.temporary_credentials)
                self._attempt(trial, access_scenarios.versions_and_actions)
        raw = next((row for row in self.rows if row.name == "raw"), None)
        if raw:
            for scenario in (
                raw_scenarios.freshness,
                raw_scenarios.common_parameters,
                raw_scenarios.broken_requests,
                raw_scenarios.version_three,
                raw_scenarios.unsigned,
            ):
                self._attempt(self._trial(world, raw), scenario)
        self._lives(world, able_first)

    def _lives(self, world: Any, able_first: bool) -> None:
        """Each client opens accounts of its own, and then all clients read all of them."""
        import scenarios

        lives = []
        for number, row in enumerate(self.rows):
            # An account can open only once: one client uses the demo account that may open, the others get new ones.
            who = world.roles["able"] if able_first and number == 0 else world.operator.fresh()
            described = self._attempt(self._trial(world, row), scenarios.life_of_an_account, who, number)
            if described:
                lives.append((row, who, described))
        for row in self.rows:
            for other, who, described in lives:
                for action, fields in described.items():
                    self._trial(world, row).answers(
                        "describe", f"{action} of what {' '.join(other.row)} opened", who, action, {}, fields
                    )


def main(binary: str | None) -> int:
    """Returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = Report()
    rows = load_clients(report)
    whole = False
    try:
        if not binary or not os.access(binary, os.X_OK):
            report.record("setup", HARNESS, "process", "the server is built", f"there is no program {binary!r}")
        elif rows:
            Suite(Path(binary).resolve(), report, rows).run()
        whole = True
    finally:
        if not whole:
            report.record("setup", HARNESS, "process", "the run comes to its end", "it was interrupted")
        for row in rows:
            row.close()
        report.print()
    return 1 if report.counts()[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
