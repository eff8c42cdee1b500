"""One client in one environment, and the checks of its outcomes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any
from collections.abc import Callable, Mapping

from clients.base import Client, Endpoint, Identity
from outcome import Outcome
from refusals import Refusal
from report import Report
from signer import utc_text
from world import World

REQUEST_ID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
WHOLE_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
HOST = "127.0.0.1"
# Only an instance with a pending change has these. Otherwise both are empty over REST and absent over gRPC.
CHANGING = ("ChangingChargeType", "ChangingAffectTime")


class Expected:
    """A field whose value is not known in advance: its rule, in words and as a function."""

    def __init__(self, words: str, test: Callable[[Any], bool]) -> None:
        self._words, self.test = words, test

    def __repr__(self) -> str:
        return f"<{self._words}>"


class Trial:
    """Calls as a client, checks and records. Every reply, refusals included, must have a new request id."""

    _seen: set[str] = set()

    def __init__(self, world: World, client: Client, report: Report) -> None:
        self.world, self.client, self._report = world, client, report
        self.started = world.now()

    def call(
        self,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
        endpoint: Endpoint | None = None,
    ) -> Outcome:
        """Calls without a check."""
        return self.client.call(endpoint or self.world.turn(), who, action, params or {}, version)

    def answers(
        self,
        group: str,
        name: str,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> Outcome:
        """Calls and expects a success with exactly these fields and a request id."""
        outcome = self.call(who, action, params, version)
        expected = self._on_this_wire(action, fields or {})
        self.judge(group, name, outcome, expected, f"{action} {dict(params or {})} as {who.key}")
        return outcome

    def refuses(
        self,
        group: str,
        name: str,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None,
        refusal: Refusal,
        version: str | None = None,
    ) -> Outcome:
        """Calls and expects a refusal."""
        outcome = self.call(who, action, params, version)
        self.judge(group, name, outcome, refusal, f"{action} {dict(params or {})} as {who.key}")
        return outcome

    def _on_this_wire(self, action: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the fields as the wire of this client shows them. They may come from a client of the other wire."""
        if action not in ("DescribeCdnService", "DescribeDcdnService"):
            return fields
        unset = {name: "" for name in CHANGING if fields.get(name, "") == ""}
        others = {name: value for name, value in fields.items() if name not in unset}
        return others if self.client.is_grpc else {**others, **unset}

    def judge(self, group: str, name: str, outcome: Outcome, expected: Any, request: str) -> None:
        """Compares an outcome with a Refusal or the fields of a success."""
        if isinstance(expected, Refusal):
            problem = expected.differs(outcome)
        else:
            problem = _fields_differ(outcome, expected)
        problem = problem or outcome.flaw or self._frame(outcome)
        if problem:
            problem = f"{problem}\nrequest:  {request}\nexpected: {expected}\ngot:      {outcome}"
        self.record(group, name, problem or "")

    def record(self, group: str, name: str, problem: str = "") -> None:
        """Records a check of any kind."""
        self._report.record(self.world.name, self.client.row, group, name, problem)

    def _frame(self, outcome: Outcome) -> str | None:
        request_id = outcome.request_id
        if not request_id or not REQUEST_ID.fullmatch(request_id):
            return f"the request id is {request_id!r}, not a UUID in upper case"
        if request_id in self._seen:
            return f"the request id {request_id} was given before"
        self._seen.add(request_id)
        if outcome.host_id not in (None, HOST):
            return f"HostId is {outcome.host_id!r}, not the host that was addressed, {HOST!r}"
        if outcome.ok and outcome.status not in (None, 200):
            return f"the HTTP status of a success is {outcome.status}"
        return None

    # Values that depend on the clock.

    def recent(self) -> Expected:
        """Expects an instant since this trial began. With `--at`, the server's clock differs from this machine's."""
        earliest = utc_text(self.started)

        def test(text: Any) -> bool:
            latest = utc_text(self.world.now() + timedelta(seconds=30))
            return bool(WHOLE_SECONDS.fullmatch(str(text))) and earliest <= text <= latest

        return Expected(f"an instant since {earliest}, in whole seconds", test)

    def next_midnight(self) -> Expected:
        """Expects the next 00:00 in UTC+8 after any instant since this trial began."""

        def allowed() -> set[str]:
            return {utc_text(_midnight_after(moment)) for moment in (self.started, self.world.now())}

        return Expected(f"the next midnight in UTC+8, {sorted(allowed())}", lambda text: text in allowed())


def _midnight_after(moment: datetime) -> datetime:
    local = moment.astimezone(timezone(timedelta(hours=8)))
    return (local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).astimezone(timezone.utc)


def _fields_differ(outcome: Outcome, expected: Mapping[str, Any]) -> str | None:
    if not outcome.ok:
        return "it was refused"
    missing, more = set(expected) - set(outcome.fields), set(outcome.fields) - set(expected)
    if missing or more:
        return f"fields missing: {sorted(missing)}, fields that should not be there: {sorted(more)}"
    for name, value in expected.items():
        found = outcome.fields[name]
        if not (value.test(found) if isinstance(value, Expected) else found == value):
            return f"{name} is {found!r}, not {value!r}"
    return None
