"""Python's gRPC with messages from the server's reflection."""

from __future__ import annotations

from typing import Any
from collections.abc import Mapping

import grpc

from clients.base import Client, Endpoint, Identity, product_of
from outcome import Outcome, crashed, refused_by, succeeded
from reflection import UNKNOWN_NUMBER, Details, Server, documented

SERVICES = {"cdn": "activation.cdn.v1.CdnService", "dcdn": "activation.dcdn.v1.DcdnService"}
DOMAIN = "cdn-activation"


class Grpc(Client):
    """Sends the account in `x-account-id`, and charge types as enum numbers."""

    name, signature, format, placement = "grpc", "bearer", "protobuf", "reflection"

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}

    def server(self, endpoint: Endpoint) -> Server:
        """Returns the server at an endpoint with its descriptors, which are requested once."""
        if endpoint.grpc not in self._servers:
            self._servers[endpoint.grpc] = Server(endpoint.grpc, endpoint.token)
        return self._servers[endpoint.grpc]

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        return self.call_with(endpoint, action, params or {}, [("x-account-id", str(who.account_id))])

    def call_with(
        self,
        endpoint: Endpoint,
        action: str,
        params: Mapping[str, str],
        metadata: list[tuple[str, str]],
        token: str | None = "",
    ) -> Outcome:
        """Makes the call with this metadata and token."""
        server, service = self.server(endpoint), SERVICES[product_of(action)]
        try:
            fields = self._fields(server, service, action, params)
            reply, received = server.call(service, action, fields, metadata, token)
        except grpc.RpcError as error:
            return refused_by_rpc(error)
        except Exception as error:  # noqa: BLE001 - every error goes into the report
            return crashed(f"{type(error).__name__}: {error}")
        outcome = succeeded(documented(server, reply), grpc="OK")
        echoed = dict(received).get("x-request-id")
        if echoed not in (None, outcome.request_id):
            outcome.flaw = f"metadata x-request-id is {echoed!r}, RequestId is {outcome.request_id!r}"
        return outcome

    @staticmethod
    def _fields(server: Server, service: str, action: str, params: Mapping[str, str]) -> dict[str, Any]:
        """Turns spellings into numbers: an empty one into "not given", an unknown one into a number that no value has."""
        described = server.input_fields(service, action)
        fields: dict[str, Any] = {}
        for name, value in params.items():
            enum = described[name].enum_type
            if enum is None:
                fields[name] = value
            elif value:
                fields[name] = server.spellings(enum).get(value, UNKNOWN_NUMBER)
        return fields

    def close(self) -> None:
        for server in self._servers.values():
            server.close()


def refused_by_rpc(error: Any) -> Outcome:
    """Returns a refusal: its code is the reason of ErrorInfo, whose metadata has the HTTP status."""
    details = Details(error)
    flaw = None
    if details.reason is not None and details.domain != DOMAIN:
        flaw = f"the domain of ErrorInfo is {details.domain!r}, not {DOMAIN!r}"
    http = details.metadata.get("http_status", "")
    body = {"Code": details.reason or "", "Message": error.details() or "", "RequestId": details.request_id or ""}
    return refused_by(body, int(http) if http.isdigit() else None, grpc=error.code().name, flaw=flaw)


def clients() -> list[Client]:
    """Returns the one row of gRPC."""
    return [Grpc()]
