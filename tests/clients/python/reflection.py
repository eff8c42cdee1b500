"""gRPC without generated code: messages and methods come from server reflection when the suite runs.

Users of grpcurl and Postman rely on reflection. The suite shows that the descriptors of the server are enough to call it.
"""

from __future__ import annotations

from typing import Any
from collections.abc import Sequence

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory, unknown_fields
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

Metadata = Sequence[tuple[str, str]]
SPELLING = "activation.rpc.v1.spelling"
UNKNOWN_NUMBER = 99


class _WithToken(grpc.StreamStreamClientInterceptor):
    """Adds the token to the calls of the reflection client, which does not accept metadata."""

    def __init__(self, token: str) -> None:
        self._token = token

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(details._replace(metadata=[("authorization", f"Bearer {self._token}")]), requests)


class Server:
    """One gRPC endpoint with its own descriptors."""

    def __init__(self, address: str, token: str, options: Sequence[tuple[str, Any]] = ()) -> None:
        self.channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0), *options])
        self._database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(self.channel, _WithToken(token)))
        self.pool = descriptor_pool.DescriptorPool(self._database)
        self.token = token

    def services(self) -> set[str]:
        """Returns the services that reflection lists."""
        return set(self._database.get_services())

    def call(
        self,
        service: str,
        method: str,
        fields: dict[str, Any],
        metadata: Metadata = (),
        token: str | None = "",
    ) -> tuple[Any, Metadata]:
        """Calls a method; raises grpc.RpcError. `token` replaces the right one, and None omits it."""
        request, path, codec = self._prepared(service, method, fields)
        bearer = self._bearer(self.token if token == "" else token)
        stub = self.channel.unary_unary(path, **codec)
        answer, call = stub.with_call(request, timeout=15, metadata=[*bearer, *metadata])
        return answer, [*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())]

    def stream(self, service: str, method: str, fields: dict[str, Any], seconds: float) -> Any:
        """Calls a method that streams its replies. Returns an iterator of them, which raises grpc.RpcError."""
        request, path, codec = self._prepared(service, method, fields)
        return self.channel.unary_stream(path, **codec)(request, timeout=seconds, metadata=self._bearer(self.token))

    def _prepared(self, service: str, method: str, fields: dict[str, Any]) -> tuple[Any, str, dict[str, Any]]:
        described = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(described.input_type)()
        json_format.ParseDict(fields, request, descriptor_pool=self.pool)
        codec = {
            "request_serializer": lambda message: message.SerializeToString(),
            "response_deserializer": message_factory.GetMessageClass(described.output_type).FromString,
        }
        return request, f"/{service}/{method}", codec

    @staticmethod
    def _bearer(token: str | None) -> list[tuple[str, str]]:
        return [] if token is None else [("authorization", f"Bearer {token}")]

    def input_fields(self, service: str, method: str) -> dict[str, Any]:
        """Returns the fields of a method's request by their documented names."""
        described = self.pool.FindServiceByName(service).FindMethodByName(method)
        return {field.json_name: field for field in described.input_type.fields}

    def spellings(self, enum: Any) -> dict[str, int]:
        """Returns the spellings of the values of an enum in the query format, from the option of each value."""
        number = self.pool.FindExtensionByName(SPELLING).number
        found = {}
        for value in enum.values:
            for unknown in unknown_fields.UnknownFieldSet(value.GetOptions()):
                if unknown.field_number == number:
                    found[unknown.data.decode()] = value.number
        return found

    def close(self) -> None:
        """Closes the connection."""
        self.channel.close()


def documented(server: Server, message: Any) -> dict[str, Any]:
    """Returns a reply with its documented names and spellings, so that it can be compared with that of the other wire."""
    fields = json_format.MessageToDict(message, always_print_fields_with_no_presence=True, descriptor_pool=server.pool)
    for field in message.DESCRIPTOR.fields:
        if field.enum_type is not None and field.json_name in fields:
            names = {
                field.enum_type.values_by_number[number].name: text
                for text, number in server.spellings(field.enum_type).items()
            }
            fields[field.json_name] = names.get(fields[field.json_name], fields[field.json_name])
    return fields


class Details:
    """Returns the content of the details of a gRPC error."""

    def __init__(self, error: Any) -> None:
        self.reason: str | None = None
        self.domain: str | None = None
        self.metadata: dict[str, str] = {}
        self.request_id: str | None = None
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            info, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
            if detail.Unpack(info):
                self.reason, self.domain, self.metadata = info.reason, info.domain, dict(info.metadata)
            elif detail.Unpack(request):
                self.request_id = request.request_id
        trailing = dict(error.trailing_metadata() or ())
        self.request_id = self.request_id or trailing.get("x-request-id") or self.metadata.get("request_id")
