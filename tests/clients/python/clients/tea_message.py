"""Parses a refusal of the Tea SDKs, which is one text with status, message and request id."""

from __future__ import annotations

import re
from typing import Any

from outcome import Outcome, refused_by

SHOWN = re.compile(r"(?:(?P<code>[\w.]+): )?code: (?P<status>\d+), (?P<text>.*) request id: (?P<id>\S+)", re.DOTALL)


def refused_by_tea(
    shown: str,
    code: str | None,
    status: int | None,
    request_id: str | None,
    body: dict[str, Any],
) -> Outcome:
    """Parses the text and compares it with the other fields of the SDK's error, because users read either of them."""
    body = {name: value for name, value in body.items() if name != "statusCode"}
    match = SHOWN.fullmatch(shown)
    flaw = None
    if not match:
        flaw = f"the SDK's message has another shape: {shown!r}"
    elif (match["code"] or code, int(match["status"]), match["id"]) != (code, status, request_id):
        flaw = f"the SDK's message {shown!r} and its fields ({code}, {status}, {request_id}) differ"
    elif match["text"] != body.get("Message"):
        flaw = f"the SDK's message {shown!r} is not the server's {body.get('Message')!r}"
    return refused_by({**body, "Code": code, "RequestId": request_id}, status, flaw=flaw)
