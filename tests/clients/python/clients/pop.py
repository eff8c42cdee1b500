"""@alicloud/pop-core: signature V1, JSON, everything in the query or everything in the form."""

from __future__ import annotations

from collections.abc import Mapping

from clients.base import Client, Endpoint, Identity, version_of
from clients.node_process import NodeProcess
from outcome import Outcome, crashed, refused_by, succeeded


class Pop(Client):
    """The client of pop-core. Both methods share one process."""

    name, signature, format = "pop-core", "V1", "JSON"

    def __init__(self, process: NodeProcess, method: str) -> None:
        self._process, self._method = process, method
        self.placement = "GET query" if method == "GET" else "POST form"

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        answer = self._process.call(
            {
                "endpoint": endpoint.rest,
                "key": who.key,
                "secret": who.secret,
                "token": who.security_token,
                "action": action,
                "version": version or version_of(action),
                "params": dict(params or {}),
                "method": self._method,
            }
        )
        if answer["ok"]:
            return succeeded(answer["fields"], answer["status"])
        if "crash" in answer:
            return crashed(answer["crash"])
        shown = answer["shown"]
        flaw = None if shown.startswith(f"{answer['message']}, URL: ") else f"the SDK shows {shown!r}"
        return refused_by(answer["body"], answer["status"], flaw=flaw)

    def close(self) -> None:
        self._process.close()


def clients() -> list[Client]:
    """Returns the rows of this SDK."""
    process = NodeProcess("pop.js")
    return [Pop(process, "GET"), Pop(process, "POST")]
