"""Apache Libcloud (apache-libcloud): signature V1, XML, everything in the query."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from libcloud.common.aliyun import AliyunXmlResponse, SignedAliyunConnection
from libcloud.common.exceptions import BaseHTTPError

from clients.base import Client, Endpoint, Identity, version_of
from outcome import XML_TYPE, Outcome, crashed, from_element, refused_by, succeeded


class Connection(SignedAliyunConnection):
    """A connection that is declared as in Libcloud's own drivers for Alibaba Cloud."""

    responseCls = AliyunXmlResponse


class Libcloud(Client):
    """Libcloud has no driver for CDN, but its connection can call any action."""

    name, signature, format = "libcloud", "V1", "XML"

    def __init__(self, method: str) -> None:
        self._method, self.placement = method, f"{method} query"

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        host, _, port = endpoint.rest.rpartition(":")
        token = {"SecurityToken": who.security_token} if who.security_token else {}
        try:
            connection = Connection(
                who.key,
                who.secret,
                secure=False,
                host=host,
                port=int(port),
                timeout=10,
                api_version=version or version_of(action),
            )
            reply = connection.request("/", params={"Action": action, **token, **(params or {})}, method=self._method)
            fields, problem = from_element(action, reply.object)
            label = _label(reply.headers)
            return succeeded(fields, reply.status, **{**label, "flaw": label["flaw"] or problem})
        except BaseHTTPError as error:
            return self._refused(error)
        except Exception as error:  # noqa: BLE001 - every error goes into the report
            return crashed(f"{type(error).__name__}: {error}")

    @staticmethod
    def _refused(error: BaseHTTPError) -> Outcome:
        # The message of the error is a dictionary of the members that Libcloud found in the reply, as text.
        shown = ast.literal_eval(str(error))
        body = {
            "Code": shown["code"],
            "Message": shown["message"],
            "RequestId": shown["request_id"],
            "HostId": shown["host_id"],
        }
        return refused_by(body, error.code, **_label(error.headers))


def _label(headers: Mapping[str, str]) -> dict[str, str | None]:
    found = headers.get("content-type")
    return {
        "content_type": found,
        "flaw": None if found == XML_TYPE else f"Content-Type is {found!r}, not {XML_TYPE!r}",
    }


def clients() -> list[Client]:
    """Returns the rows of this client."""
    return [Libcloud("GET"), Libcloud("POST")]
