"""Checks what promtool cannot: that alerts have tests and a runbook, and that dashboards are complete.

Usage: check_alerts.py FILE, in the top folder. Writes the expressions of the dashboards into FILE as rules, for promtool. Prints
each fault, and exits with 1 if there is one.
"""

import json
import pathlib
import re
import sys

import observing as o
import yaml

faults = []
page = pathlib.Path("docs/operating.md").read_text()
runbook = page[page.index("\n## Alerts\n") :].split("\n## ")[1]
tests = yaml.safe_load(pathlib.Path("deploy/alerts/tests.yaml").read_text())["tests"]


def check_runbook():
    """Checks that each alert has a paragraph, and each paragraph an alert."""
    names = [rule["alert"] for rule in o.ALERTS]
    headings = re.findall(r"^### (\w+)$", runbook, re.MULTILINE)
    if sorted(names) != sorted(headings):
        faults.append(f"docs/operating.md and the alerts differ: {sorted(set(names) ^ set(headings))}")
    for rule in o.ALERTS:
        url = rule["annotations"]["runbook_url"]
        if not url.endswith(f"/operating.md#{rule['alert'].lower()}"):
            faults.append(f"{rule['alert']}: the runbook is {url}")
        if rule["labels"]["severity"] not in ("page", "ticket"):
            faults.append(f"{rule['alert']}: the severity is not page or ticket")


def check_tests():
    """Checks that each alert is tested in a case in which it fires, and in one in which it does not."""
    for rule in o.ALERTS:
        cases = [case for test in tests for case in test["alert_rule_test"] if case["alertname"] == rule["alert"]]
        if {bool(case["exp_alerts"]) for case in cases} != {True, False}:
            faults.append(f"{rule['alert']}: no test in which it fires, or none in which it does not")


def check_dashboards():
    """Checks the dashboards, and returns the rules of their expressions."""
    rules, uids = [], set()
    for path in o.DASHBOARDS:
        dashboard = json.loads(path.read_text())
        uids.add(dashboard["uid"])
        if dashboard["uid"] != path.stem:
            faults.append(f"{path}: the uid is not the name of the file")
        ids = [panel["id"] for panel in dashboard["panels"]]
        if len(ids) != len(set(ids)):
            faults.append(f"{path}: two panels have one id")
        for panel in o.panels(path):
            where = f"{path.stem}: {panel['title']}"
            if not panel.get("description") or not panel["fieldConfig"]["defaults"].get("unit"):
                faults.append(f"{where}: no description or no unit")
            if panel["datasource"]["uid"] != "${datasource}":
                faults.append(f"{where}: the data source is fixed")
            for target in panel["targets"]:
                if "{job=" not in target["expr"] and "cdn_activation:" not in target["expr"]:
                    faults.append(f"{where}: an expression without the job")
                rules.append({"record": f"panel:{len(rules)}", "expr": o.evaluated(target["expr"])})
    for path in o.DASHBOARDS:
        for link in json.loads(path.read_text())["links"]:
            if link["url"].removeprefix("/d/") not in uids:
                faults.append(f"{path}: a link to {link['url']}")
    return rules


check_runbook()
check_tests()
rules = check_dashboards()
pathlib.Path(sys.argv[1]).write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
print("\n".join(faults) or f"{len(o.ALERTS)} alerts have tests and a runbook; {len(rules)} expressions of {len(o.DASHBOARDS)} dashboards")
sys.exit(bool(faults))
