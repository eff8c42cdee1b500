"""Runs two replicas under load beside a Prometheus, and asks it for every expression of the dashboards and alerts.

Usage: main.py PROGRAM PROMETHEUS --expressions FILE [--seconds N] [--picture FILE], in the top folder.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "clients" / "python"))

import harness  # noqa: E402
from clients.grpcio import Grpc  # noqa: E402
from clients.raw import exchange, v1_request  # noqa: E402
from operator_api import Operator  # noqa: E402
from operator_client import Follower  # noqa: E402
from processes import Failed, Process  # noqa: E402
from world import World  # noqa: E402

import picture  # noqa: E402

# Families without series in this run, with the reason. `tests/api` has tests that make them.
NOT_HERE = {
    "order_circuits": "there is no commerce system",
    "tls_handshakes_total": "the listeners have no TLS",
    "connections_ended_total": "no connection was ended",
}
# Values of labels that have no series in this run, with the reason.
NO_SERIES = {
    ("worker_last_success_timestamp_seconds", "worker", "reconciler"): "there is no commerce system",
}
SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: cdn-activation
    static_configs: [{{targets: {targets}}}]
"""


class Prometheus:
    """A Prometheus that scrapes the replicas every second."""

    def __init__(self, program: str, directory: Path, targets: list[str]) -> None:
        rules = Path("deploy/alerts/rules.yaml").resolve()
        configuration = directory / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(rules=rules, targets=json.dumps(targets)))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}/api/v1/"
        command = [program, f"--config.file={configuration}", f"--storage.tsdb.path={directory / 'data'}"]
        self.process = Process("prometheus", [*command, f"--web.listen-address=127.0.0.1:{port}"], directory)
        self.targets = len(targets)

    def get(self, path: str, **parameters: Any) -> Any:
        """Returns the data of an answer of Prometheus' API."""
        with urllib.request.urlopen(f"{self._url}{path}?{urllib.parse.urlencode(parameters)}", timeout=20) as reply:
            return json.load(reply)["data"]

    def wait(self) -> None:
        """Waits until all replicas have been scraped."""
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.alive():
            try:
                active = self.get("targets")["activeTargets"]
            except OSError:
                active = []
            if [target["health"] for target in active] == ["up"] * self.targets:
                return
            time.sleep(0.2)
        raise Failed(f"Prometheus does not scrape the replicas\n{self.process.tail()}")

    def values(self, expression: str) -> list[Any]:
        """Returns the series of an expression now."""
        return self.get("query", query=expression)["result"]


class Load(threading.Thread):
    """Calls over both wires, opens products, changes locks, and sends some requests that are refused."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self._world, self._done, self.problem = world, threading.Event(), ""

    def run(self) -> None:
        operator = Operator(self._world.endpoints[0])  # reflection is not for several threads
        try:
            self._run(operator)
        except Exception as error:  # noqa: BLE001 - it is reported
            self.problem = f"{type(error).__name__}: {error}"
        operator.close()

    def _run(self, operator: Operator) -> None:
        client, turn, refused = Grpc(), 0, 0.0
        who = [operator.fresh() for _ in range(4)]
        for me in who:
            client.call(self._world.endpoints[0], me, "OpenCdnService", {"InternetChargeType": "PayByTraffic"})
        while not self._done.wait(0.02):
            me, endpoint = who[turn % len(who)], self._world.turn()
            for action in ("DescribeCdnService", "DescribeUserCdnStatus", "DescribeUserDcdnStatus"):
                client.call(endpoint, me, action)
                exchange(endpoint.rest, *v1_request(me, action, {}))
            if turn % 10 == 0:
                client.call(endpoint, operator.fresh(), "OpenCdnService", {"InternetChargeType": "PayByTraffic"})
                operator.lock(me, "cdn", "security")
                operator.unlock(me, "cdn", "security")
            # Audit records one repeated request a second, whatever the speed of the machine; above that an alert fires.
            if time.monotonic() >= refused + 2:
                refused = time.monotonic()
                replayed = v1_request(me, "DescribeCdnService", {})
                exchange(endpoint.rest, *replayed)
                exchange(endpoint.rest, *replayed)
            turn += 1

    def close(self) -> str:
        """Ends the load. Returns its problem, if there is one."""
        self._done.set()
        self.join(30)
        return self.problem or ("it does not end" if self.is_alive() else "")


def unmatched(prometheus: Prometheus, metric: str, matchers: list[tuple[str, str, str]]) -> list[str]:
    """Returns the values of matchers that no series of a metric has. A misspelt one selects nothing, or leaves out nothing."""
    series = [found["metric"] for found in prometheus.values(f'{metric}{{job="cdn-activation"}}')]
    if not series:
        return [f"there is no {metric}"]
    faults = []
    for label, operator, text in matchers:
        there = {labels.get(label, "") for labels in series}
        # Grafana's "all instances" is no list of values.
        alternatives = text.split("|") if operator in ("=~", "!~") and text != ".*" else [text]
        for value in alternatives:
            found = any(re.fullmatch(value, one) for one in there) if "~" in operator else value in there
            if not found and (metric, label, value) not in NO_SERIES:
                faults.append(f"{metric} has no {label}={value}: there are {sorted(there)}")
    return faults


def check(prometheus: Prometheus, wanted: dict[str, Any]) -> list[str]:
    """Returns what is missing: a value of an expression, or the series that a rule selects."""
    faults = []
    for panel in wanted["panels"]:
        for expression, _ in panel["queries"]:
            if not prometheus.values(expression):
                faults.append(f"{panel['dashboard']}: {panel['title']}: no value of {expression}")
    faults += [f"no value of the rule {name}" for name in wanted["records"] if not prometheus.values(name)]
    expressions = [*wanted["rules"].items()]
    expressions += [(panel["title"], query[0]) for panel in wanted["panels"] for query in panel["queries"]]
    for where, expression in expressions:
        for metric, matchers in SELECTOR.findall(expression):
            if metric not in NOT_HERE:
                faults += [f"{where}: {fault}" for fault in unmatched(prometheus, metric, MATCHER.findall(matchers))]
    for alert in prometheus.get("alerts")["alerts"]:
        if alert["state"] == "firing":
            faults.append(f"{alert['labels']} fires: {alert['value']}")
    return faults


def lint(promtool: Path, ops: str) -> list[str]:
    """Returns what promtool finds wrong in the metrics of a replica: names, units, types and texts."""
    request = urllib.request.Request(f"http://{ops}/metrics", headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        page = reply.read()
    found = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    return (found.stdout + found.stderr).decode().splitlines() if found.returncode else []


def main() -> int:
    """Runs the test. Returns the status of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("prometheus")
    parser.add_argument("--expressions", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    wanted, faults = json.loads(options.expressions.read_text()), []

    def complain(what: str, problem: str) -> None:
        if problem:
            faults.append(f"{what}: {problem}")

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cdn-activation-prometheus-")))
        world = stack.enter_context(harness.deployment(options.program, complain))
        prometheus = Prometheus(options.prometheus, directory, [endpoint.ops for endpoint in world.endpoints])
        stack.callback(lambda: complain("Prometheus ends", prometheus.process.stop() or ""))
        callers = [Load(world) for _ in range(2)]
        follower = Follower(world.endpoints, world.operator.create_account(), 10)
        for thread in (*callers, follower):
            thread.start()
        prometheus.wait()
        time.sleep(options.seconds)
        faults += check(prometheus, wanted)
        for endpoint in world.endpoints:
            faults += lint(Path(options.prometheus).with_name("promtool"), endpoint.ops)
        if options.picture:
            panels = [panel for panel in wanted["panels"] if panel["dashboard"] == "cdn-activation"]
            picture.draw(prometheus.get, panels, options.seconds, options.picture)
        for caller in callers:
            complain("the load", caller.close())
        follower.close()

    if faults:
        print("\n".join(faults))
    else:
        expressions = sum(len(panel["queries"]) for panel in wanted["panels"])
        print(f"two replicas under load: {expressions} expressions of panels and {len(wanted['records'])} rules have values;")
        print(f"{len(wanted['rules'])} rules and alerts select series that exist, no alert fires, and promtool accepts the metrics")
    return 1 if faults else 0


sys.exit(main())
