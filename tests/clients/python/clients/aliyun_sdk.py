"""aliyun-sdk, the older SDK for Node: signature V1 with milliseconds in its Timestamp, JSON, everything in the form."""

from __future__ import annotations

from collections.abc import Mapping

from clients.base import Client, Endpoint, Identity, version_of
from clients.node_process import NodeProcess
from outcome import JSON_TYPE, Outcome, crashed, refused_by, succeeded


class AliyunSdk(Client):
    """Its errors have a code, a message and a status; the request id is only in the text of the reply."""

    name, signature, format, placement = "aliyun-sdk", "V1", "JSON", "POST form"

    def __init__(self) -> None:
        self._process = NodeProcess("aliyun_sdk.js")

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
            }
        )
        if "crash" in answer:
            return crashed(answer["crash"])
        label = answer["type"]
        flaw = None if label == JSON_TYPE else f"Content-Type is {label!r}, not {JSON_TYPE!r}"
        if answer["ok"]:
            return succeeded(answer["fields"], answer["status"], content_type=label, flaw=flaw)
        body, shown = answer["body"], (answer["code"], answer["shown"])
        if shown != (body.get("Code"), body.get("Message")):
            flaw = f"the SDK shows {shown!r}, the reply says {body!r}"
        return refused_by(body, answer["status"], content_type=label, flaw=flaw)

    def close(self) -> None:
        self._process.close()


def clients() -> list[Client]:
    """Returns the one row of this SDK, which has one way to send requests."""
    return [AliyunSdk()]
