"""The Node Tea SDKs (@alicloud/cdn20180510, @alicloud/dcdn20180115). Their form bodies are sent in chunks."""

from __future__ import annotations

from typing import Any
from collections.abc import Mapping

from clients.base import ACTIONS, Client, Endpoint, Identity, product_of, version_of
from clients.node_process import NodeProcess
from clients.tea_message import refused_by_tea
from outcome import JSON_TYPE, XML_TYPE, Outcome, crashed, from_xml, succeeded


class NodeTea(Client):
    """`placement` "typed" uses the generated methods; the others use the generic call."""

    name = "node-tea"

    def __init__(self, process: NodeProcess, signature: str, fmt: str, placement: str) -> None:
        self._process = process
        self.signature, self.format, self.placement = signature, fmt, placement

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        xml = self.format == "XML"
        answer = self._process.call(
            {
                "endpoint": endpoint.rest,
                "key": who.key,
                "secret": who.secret,
                "token": who.security_token,
                "product": product_of(action),
                "action": action,
                "version": version or version_of(action),
                "params": dict(params or {}),
                "v1": self.signature == "V1",
                "xml": xml,
                "typed": self.placement == "typed" and version is None and action in ACTIONS,
                "method": "GET" if self.placement == "GET query" else "POST",
                "form": self.placement == "POST chunked form",
            }
        )
        if "crash" in answer:
            return crashed(answer["crash"])
        if not answer["ok"]:
            return refused_by_tea(
                answer["shown"], answer["code"], answer["status"], answer.get("requestId"), answer["body"]
            )
        return self._succeeded(action, answer, xml)

    @staticmethod
    def _succeeded(action: str, answer: dict[str, Any], xml: bool) -> Outcome:
        label, expected = answer.get("type"), XML_TYPE if xml else JSON_TYPE
        flaw = f"Content-Type is {label!r}, not {expected!r}" if label not in (None, expected) else None
        fields: dict[str, Any] = answer.get("fields", {})
        if xml:
            fields, problem = from_xml(action, answer["text"])
            flaw = flaw or problem
        return succeeded(fields, answer["status"], content_type=label, flaw=flaw)

    def close(self) -> None:
        self._process.close()


def clients() -> list[Client]:
    """Returns the rows of this SDK."""
    process = NodeProcess("tea.js")
    ways = [
        ("V3", "JSON", "typed"),
        ("V3", "JSON", "GET query"),
        ("V3", "JSON", "POST chunked form"),
        ("V3", "XML", "POST query"),
        ("V1", "JSON", "typed"),
        ("V1", "JSON", "POST chunked form"),
    ]
    return [NodeTea(process, *way) for way in ways]
