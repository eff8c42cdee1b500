"""The expressions of the dashboards and alerts in deploy/, as Grafana and Prometheus evaluate them."""

import json
import pathlib

import yaml

# What Grafana replaces.
VARIABLES = {"$__rate_interval": "1m", "$job": "cdn-activation", "$instance": ".*"}
DASHBOARDS = sorted(pathlib.Path("deploy/dashboards").glob("*.json"))
GROUPS = yaml.safe_load(pathlib.Path("deploy/alerts/rules.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]


def evaluated(expression, rate_interval="1m"):
    """Returns an expression of a panel with the values of its variables."""
    for name, value in {**VARIABLES, "$__rate_interval": rate_interval}.items():
        expression = expression.replace(name, value)
    return expression


def panels(path):
    """Returns the panels of a dashboard that show something."""
    return [panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row"]
