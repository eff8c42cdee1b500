"""A client of the operator services: calls with checks, and a follower of events. It uses server reflection."""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from typing import Any

import grpc
from google.protobuf import json_format

import refusals as r
from clients.base import Endpoint, Identity
from clients.grpcio import refused_by_rpc
from operator_api import PACKAGE
from outcome import Outcome, crashed, succeeded
from reflection import Server
from refusals import Refusal
from trial import Expected, Trial

ANYTHING = Expected("anything", bool)
Fields = dict[str, Any]


class Follower(threading.Thread):
    """Watches from now on. After every deadline, it continues from the last cursor at the next process."""

    def __init__(self, endpoints: list[Endpoint], account_id: int, deadline: float) -> None:
        super().__init__(daemon=True)
        self._servers = [Server(endpoint.grpc, endpoint.token) for endpoint in endpoints]
        self.account_id, self._deadline = account_id, deadline
        self._change, self._done, self._call = threading.Condition(), False, None
        self.events: list[Fields] = []
        self.cursors: list[str] = []  # one for every response
        self.streams, self.silent, self.problem = 0, 0, ""

    def run(self) -> None:
        try:
            for server in itertools.cycle(self._servers):
                if self._done or self.problem:
                    return
                self._stream(server)
        except Exception as error:  # noqa: BLE001 - it is reported, not written to standard error
            self.problem = self.problem or f"{type(error).__name__}: {error}"

    def _stream(self, server: Server) -> None:
        fields: Fields = {"cursor": self.cursors[-1]} if self.cursors else {"fromNow": True}
        fields["accountId"] = str(self.account_id)
        began, first = time.monotonic(), True
        self._call = server.stream(f"{PACKAGE}.EventService", "WatchEvents", fields, self._deadline)
        try:
            for message in self._call:
                reply = json_format.MessageToDict(message, descriptor_pool=server.pool)
                with self._change:
                    if first and "event" in reply:
                        self.problem = f"the first response of a stream has an event: {reply}"
                    first = False
                    self.cursors.append(reply["cursor"])
                    if "event" in reply:
                        self.events.append(reply["event"])
                    else:
                        self.silent += 1
                    self._change.notify_all()
            self.problem = "a stream ended with OK"
        except grpc.RpcError as error:
            if self._done:
                return
            lasted = time.monotonic() - began
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED or lasted < self._deadline - 0.5:
                self.problem = f"a stream ended after {lasted:.1f} s of {self._deadline} s with {refused_by_rpc(error)}"
            elif first:
                self.problem = f"a stream of {self._deadline} s had no response"
            self.streams += 1

    def wait(self, what: str | None, seconds: float) -> Fields | None:
        """Waits for the first response, or for an event of a type."""
        with self._change:
            self._change.wait_for(lambda: self._found(what) or self.problem, seconds)
            return self._found(what)

    def _found(self, what: str | None) -> Any:
        if what is None:
            return self.cursors
        return next((event for event in self.events if event["type"] == what), None)

    def close(self) -> None:
        """Ends the stream."""
        self._done = True
        if self._call is not None:
            self._call.cancel()
        if self.is_alive():
            self.join(15)
        for server in self._servers:
            server.close()


class Day:
    """The calls of the scenario, each of which is recorded as a check."""

    def __init__(self, trial: Trial) -> None:
        from clients.tea import PythonTea

        self.trial, self._sdk = trial, PythonTea("V3", "JSON", "typed")
        self._ends = itertools.cycle(trial.world.endpoints)
        self.account_id = random.randrange(10**16, 9 * 10**16)
        self.who = Identity(self.account_id, "", "")
        self.cdn: Fields = {}
        self.events: list[tuple[str, Any]] = []  # type and data of the expected events of the account

    def happened(self, what: str, member: str, data: Any) -> None:
        """Adds an event that the followers must get."""
        self.events.append((f"activation.{what}", {member: data}))

    def _call(self, method: str, fields: Fields) -> Outcome:
        service, name = method.split("/")
        server = self.trial.client.server(next(self._ends))
        try:
            if name == "WatchEvents":  # the first response is enough
                reply = next(server.stream(f"{PACKAGE}.{service}", name, fields, 5))
            else:
                reply, _ = server.call(f"{PACKAGE}.{service}", name, fields)
            return succeeded(json_format.MessageToDict(reply, descriptor_pool=server.pool))
        except grpc.RpcError as error:
            return refused_by_rpc(error)
        except Exception as error:  # noqa: BLE001 - every error goes into the report
            return crashed(f"{type(error).__name__}: {error}")

    def expect(self, name: str, method: str, fields: Fields, expected: Any = ANYTHING) -> Any:
        """Calls an operator method and checks the reply."""
        outcome = self._call(method, fields)
        good = outcome.ok and matches(outcome.fields, expected)
        self.check(name, good, f"request:  {method} {fields}\nexpected: {expected}\ngot:      {outcome}")
        return outcome.fields

    def refuse(self, name: str, method: str, fields: Fields, refusal: Refusal) -> None:
        """Calls an operator method and checks that it is refused."""
        self.trial.judge("operator", name, self._call(method, fields), refusal, f"{method} {fields}")

    def sdk(self, name: str, action: str, expected: Any, params: Fields | None = None) -> Outcome:
        """Calls an action for the account, with its key and the SDK."""
        outcome = self._sdk.call(next(self._ends), self.who, action, params or {})
        self.trial.judge("operator", name, outcome, expected, f"python-tea {action} {params or {}} as {self.who.key}")
        return outcome

    def check(self, name: str, good: bool, problem: str) -> None:
        self.trial.record("operator", name, "" if good else problem)

    def repeatable(self, name: str, method: str, fields: Fields, other: Fields, expected: Any) -> Any:
        """Makes a write with a request id. The same request gets the same answer again; another one is refused."""
        named = {**fields, "requestId": str(uuid.uuid4())}
        first = self.expect(name, method, named, expected)
        self.expect(f"{name}: again, the same answer", method, named, first)
        self.refuse(f"{name}: another request", method, {**named, **other}, r.INVALID_FIELDS)
        return first

    def pages(self, name: str, method: str, fields: Fields, member: str, expected: list[Any]) -> None:
        """Lists with one item per page."""
        found, token = [], ""
        for _ in range(len(expected) + 2):
            page = self._call(method, {**fields, "pageSize": 1, "pageToken": token})
            found += page.fields.get(member, [page] if not page.ok else [])
            token = page.fields.get("nextPageToken", "")
            if not token:
                break
            self.refuse(f"{name}: tampered token", method, {**fields, "pageToken": tampered(token)}, r.INVALID_FIELDS)
        good = not token and matches(found, expected)
        self.check(name, good, f"request:  {method} {fields}\nexpected: {expected}\ngot:      {found}, token {token!r}")


class Has(Expected):
    """Matches an object with at least these members."""

    def __init__(self, **members: Any) -> None:
        def test(found: Any) -> bool:
            return isinstance(found, dict) and all(matches(found.get(name), each) for name, each in members.items())

        super().__init__(f"has {members}", test)


def matches(found: Any, expected: Any) -> bool:
    """Whether a reply matches the expected one, member by member."""
    if isinstance(expected, Expected):
        return found is not None and expected.test(found)
    if isinstance(expected, dict) and isinstance(found, dict):
        return set(found) == set(expected) and all(matches(found[name], value) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(matches, found, expected))
    return found == expected


def tampered(text: str) -> str:
    """Returns the text with the character in the middle changed."""
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]
