"""Prints the panels of the dashboards, the recording rules and the alerts of deploy/ as one JSON document."""

import json
import sys

import observing as o

panels = [
    {
        "dashboard": path.stem,
        "title": panel["title"],
        "kind": panel["type"],
        "unit": panel["fieldConfig"]["defaults"]["unit"],
        "width": panel["gridPos"]["w"],
        "queries": [[o.evaluated(t["expr"], "15s"), t["legendFormat"]] for t in panel["targets"]],
    }
    for path in o.DASHBOARDS
    for panel in o.panels(path)
]
records = [rule["record"] for rule in o.RULES if "record" in rule]
rules = {rule.get("alert", rule.get("record")): rule["expr"] for rule in o.RULES}
json.dump({"panels": panels, "records": records, "rules": rules}, sys.stdout)
