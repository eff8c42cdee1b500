"""The page of metrics, as a strict parser of OpenMetrics reads it, after all other scenarios."""

from __future__ import annotations

from urllib.request import urlopen

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from trial import Trial

TYPE = "application/openmetrics-text"
# Families of each kind. The Rust tests compare the whole list with the documentation.
SOME = ("grpc_server_handled", "grpc_server_handling_seconds", "db_client_connections", "cdn_activation_build")


def strictly_read(trial: Trial) -> None:
    """Parses the page of each process. The parser refuses what is not OpenMetrics to the letter."""
    for endpoint in trial.world.endpoints:
        with urlopen(f"http://{endpoint.ops}/metrics", timeout=10) as reply:
            content_type, page = reply.headers["Content-Type"], reply.read().decode()
        families = {family.name: family for family in text_string_to_metric_families(page)}
        missing = [name for name in SOME if name not in families or not families[name].samples]
        problem = f"not there: {missing}" if missing else ""
        if not content_type.startswith(TYPE):
            problem = f"the type is {content_type}"
        trial.record("process", "the metrics are OpenMetrics to the letter", problem)
