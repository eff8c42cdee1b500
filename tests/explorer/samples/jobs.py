"""One run of one sample, and the comparison of what it printed with what the action answers."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any

from outcome import from_xml
from refusals import Refusal

# The typed models of these SDKs do not print empty members.
DROP_EMPTY = {"go", "php"}


@dataclass
class Job:
    """A rendered sample with the account that runs it and the outcome that it must have."""

    sample: str
    action: str
    version: str
    v3: bool
    xml: bool
    grpc: bool
    key: str
    secret: str
    account_id: int
    parameters: dict[str, str]
    reply: dict[str, Any] | None
    refusal: Refusal | None
    text: str = ""

    @property
    def name(self) -> str:
        """The name in the report."""
        wire = "gRPC" if self.grpc else f"{'V3' if self.v3 else 'V1'} {'XML' if self.xml else 'JSON'}"
        return f"{self.sample} {self.action} {self.version} {wire} {self.refusal.code if self.refusal else 'success'}"

    def problem(self, status: int, out: str, err: str) -> str:
        """Returns what is wrong with the end of the run. Empty if nothing is."""
        found = self._refused(status, out + err) if self.refusal else self._succeeded(status, out)
        return found and f"{found}\nstatus {status}\n--- output\n{out}{err}\n--- sample\n{self.text}"

    def _refused(self, status: int, shown: str) -> str:
        assert self.refusal
        if status != 1:
            return f"the exit status is {status}, not 1"
        if self.refusal.code not in shown:
            return f"the code {self.refusal.code} is not shown"
        message = self.refusal.message
        if isinstance(message, re.Pattern):
            return "" if message.search(shown) else "the message is not shown"
        # The wire formats escape quotes in the message.
        spellings = (message, json.dumps(message)[1:-1], message.replace('"', "&quot;"))
        return "" if any(spelling in shown for spelling in spellings) else f"the message {message!r} is not shown"

    def _succeeded(self, status: int, out: str) -> str:
        if status != 0:
            return f"the exit status is {status}, not 0"
        if self.reply is None:
            return ""
        try:
            fields, flaw = from_xml(self.action, out.strip()) if self.xml else (json.loads(out), None)
        except (ValueError, ElementTree.ParseError) as error:
            return f"the reply cannot be read: {error}"
        if flaw:
            return flaw
        if not fields.pop("RequestId", None):
            return "the reply has no RequestId"
        loose = self.grpc or self.sample in DROP_EMPTY
        expected, found = (_filled_in(self.reply), _filled_in(fields)) if loose else (self.reply, fields)
        return "" if found == expected else f"the reply is {found}, not {expected}"


def _filled_in(value: Any) -> Any:
    """Drops what is empty, which the wires show differently, and shortens the names of enum values."""
    if isinstance(value, dict):
        members = {name: _filled_in(member) for name, member in value.items()}
        return {name: member for name, member in members.items() if member not in ("", None, {}, [])}
    if isinstance(value, list):
        return [_filled_in(member) for member in value]
    if isinstance(value, str):
        return re.sub(r"^CHARGE_TYPE_|_|^PayBy", "", value).lower().removeprefix("payby")
    return value
