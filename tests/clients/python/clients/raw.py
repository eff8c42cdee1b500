"""Not a published client: plain HTTP with the signer of this suite.

It places parameters like clients that the suite cannot install (terraform's provider: common parameters in the query,
the others in the form; Java: another order in Authorization), and sends requests that no SDK can send.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.parse import urlencode

import signer
from clients.base import Client, Endpoint, Identity, version_of
from outcome import Outcome, crashed, from_http

FORM = "application/x-www-form-urlencoded"
# Method, target, headers, body.
Request = tuple[str, str, dict[str, str], bytes]


def exchange(
    rest: str,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> tuple[int, Mapping[str, str], bytes]:
    """Sends one request on a new connection. Returns status, headers (names in lower case), body."""
    connection = http.client.HTTPConnection(rest, timeout=15)
    try:
        connection.request(method, target, body=body or None, headers=dict(headers or {}))
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def v1_request(
    who: Identity,
    action: str,
    params: Mapping[str, str],
    version: str | None = None,
    method: str = "GET",
    form: bool = False,
    replace: Mapping[str, str | None] | None = None,
) -> Request:
    """Returns a signed V1 request. `replace` changes common parameters before signing;
    None removes one."""
    common = signer.v1_common(action, version or version_of(action), who.key)
    for name, value in (replace or {}).items():
        common.pop(name, None)
        if value is not None:
            common[name] = value
    business = list(params.items())
    signature = signer.v1_signature(method, [*common.items(), *business], who.secret)
    query = [*common.items(), ("Signature", signature), *([] if form else business)]
    target = f"/?{urlencode(query)}"
    return method, target, {"Content-Type": FORM} if form else {}, urlencode(business).encode() if form else b""


def send(endpoint: Endpoint, action: str, request: Request, xml: bool = False) -> Outcome:
    """Sends a prepared request. It can be sent again, also to another process."""
    try:
        status, headers, body = exchange(endpoint.rest, *request)
    except (OSError, http.client.HTTPException) as error:
        return crashed(f"{type(error).__name__}: {error}")
    outcome = from_http(action, status, headers.get("content-type"), body, want_xml=xml)
    if headers.get("x-acs-request-id") != outcome.request_id and outcome.flaw is None:
        outcome.flaw = (
            f"header x-acs-request-id is {headers.get('x-acs-request-id')!r}, RequestId {outcome.request_id!r}"
        )
    return outcome


class Terraform(Client):
    """Sends V1 as terraform's provider does."""

    name, signature, format, placement, published = "raw", "V1", "JSON", "query + form", False

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        token = {"SecurityToken": who.security_token} if who.security_token else {}
        request = v1_request(who, action, params or {}, version, "POST", form=True, replace={"Format": "json", **token})
        return send(endpoint, action, request)


class Java(Client):
    """Sends V3 with the fields of Authorization in the order of the Java SDK, and spaces after the commas."""

    name, signature, format, placement, published = "raw", "V3", "JSON", "Java order", False

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        query = list((params or {}).items())
        extra = (
            {"x-acs-accesskey-id": who.key, "x-acs-security-token": who.security_token} if who.security_token else {}
        )
        headers = signer.v3_headers(
            endpoint.rest, action, version or version_of(action), who.key, who.secret, query, extra=extra
        )
        return send(endpoint, action, ("POST", f"/?{urlencode(query)}" if query else "/", headers, b""))


def clients() -> list[Client]:
    """Returns two rows, marked as not published."""
    return [Terraform(), Java()]
