"""Draws the data of a dashboard as one page of SVG charts, from the answers of Prometheus, and takes a picture of it."""

from __future__ import annotations

import html
import math
import re
import subprocess
import time
from pathlib import Path
from collections.abc import Callable
from typing import Any

COLORS = ["#1f77b4", "#d9730d", "#2a9d4a", "#c4314b", "#7a52b3", "#8c6239", "#d64fa3", "#6b7280", "#a3a21c", "#159fb0", "#3b3f8f", "#84b135"]
UNIT_WIDTH, HEIGHT = 52, 150
STYLE = """
body { margin: 12px; width: 1248px; font: 12px sans-serif; color: #1f2430; background: #f4f5f7 }
main { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 8px }
section { background: #fff; border: 1px solid #dcdfe4; border-radius: 4px; box-sizing: border-box; padding: 6px 8px; overflow: hidden }
h1 { font-size: 17px; margin: 0 0 8px } h2 { font-size: 12px; margin: 0 0 4px } b { font-size: 26px; font-weight: 500 }
ul { margin: 2px 0 0; padding: 0; height: 28px; overflow: hidden; font-size: 10px } li { display: inline-block; margin-right: 9px }
i { display: inline-block; width: 9px; height: 3px; margin: 0 4px 3px 0; vertical-align: middle }
text { font-size: 9px; fill: #6b7280 }
"""


def shown(value: float, unit: str) -> str:
    """Returns a value as Grafana spells its unit."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 1048576:.3g} MiB"
    return f"{value:.4g}" + {"reqps": "/s", "cps": "/s", "ops": "/s"}.get(unit, "")


def legend(template: str, labels: dict[str, str]) -> str:
    """Returns the name of a series."""
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return re.sub(r"\{\{\w+\}\}", "", template).strip()


def chart(panel: dict[str, Any], series: list[tuple[str, list[tuple[float, float]]]], span: tuple[float, float]) -> str:
    """Returns the lines of a panel as SVG, and their names."""
    width = panel["width"] * UNIT_WIDTH - 26
    top = max((value for _, points in series for _, value in points), default=0) or 1
    x = lambda moment: 44 + (width - 48) * (moment - span[0]) / (span[1] - span[0])  # noqa: E731
    y = lambda value: HEIGHT - 4 - (HEIGHT - 14) * value / top  # noqa: E731
    parts = [f'<svg width="{width}" height="{HEIGHT}">']
    for share in (0, 0.5, 1):
        parts.append(f'<line x1="44" x2="{width}" y1="{y(top * share):.1f}" y2="{y(top * share):.1f}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="40" y="{y(top * share) + 3:.1f}" text-anchor="end">{shown(top * share, panel["unit"])}</text>')
    for index, (_, points) in enumerate(series):
        line = " ".join(f"{x(moment):.1f},{y(value):.1f}" for moment, value in points)
        parts.append(f'<polyline fill="none" stroke-width="1.4" stroke="{COLORS[index % len(COLORS)]}" points="{line}"/>')
    names = "".join(
        f'<li><i style="background:{COLORS[index % len(COLORS)]}"></i>{html.escape(name)}</li>' for index, (name, _) in enumerate(series)
    )
    return "".join(parts) + f"</svg><ul>{names}</ul>"


def draw(get: Callable[..., Any], panels: list[dict[str, Any]], seconds: float, target: Path) -> None:
    """Writes the picture of the panels over the last seconds."""
    end = time.time()
    span = (end - seconds + 5, end)
    body = []
    for panel in panels:
        series = []
        for expression, name in panel["queries"]:
            for found in get("query_range", query=expression, start=span[0], end=end, step=1)["result"]:
                points = [(float(moment), float(value)) for moment, value in found["values"] if math.isfinite(float(value))]
                series.append((legend(name, found["metric"]), points))
        inner = chart(panel, series, span)
        if panel["kind"] == "stat" and series and series[0][1]:
            inner = f"<b>{shown(series[0][1][-1][1], panel['unit'])}</b>"
        style = f"width:{panel['width'] * UNIT_WIDTH - 8}px"
        body.append(f'<section style="{style}"><h2>{html.escape(panel["title"])}</h2>{inner}</section>')
    page = target.with_suffix(".html").resolve()
    page.write_text(f"<meta charset=utf-8><style>{STYLE}</style><h1>cdn-activation</h1><main>{''.join(body)}</main>")
    program = subprocess.run([".ci/install-chromium"], check=True, capture_output=True, text=True).stdout.strip()
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1272,1450"]
    subprocess.run([*command, f"--screenshot={target.with_suffix('.png').resolve()}", page.as_uri()], check=True, capture_output=True)
    page.unlink()
