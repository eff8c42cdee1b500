"""The outcome of a call in one form for all clients, and the conversion of HTTP replies to it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from typing import Any

# XML does not show which elements are lists and which texts are booleans. This is from the documentation.
LISTS = {"OperationLocks": "LockReason", "BillTypeData": "BillTypeDataItem"}
BOOLEANS = {"Enabled", "OnService", "InDebt", "InDebtOverdue"}
XML_HEAD = "<?xml version='1.0' encoding='UTF-8'?>"
JSON_TYPE = "application/json;charset=utf-8"
XML_TYPE = "text/xml;charset=utf-8"


@dataclass
class Outcome:
    """The result of one call as its client shows it. `None` means that the client does not show the value."""

    ok: bool
    fields: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    message: str | None = None
    status: int | None = None
    request_id: str | None = None
    grpc: str | None = None
    content_type: str | None = None
    host_id: str | None = None
    # A problem that the adapter found in the reply, such as a wrong content type or a text that it cannot parse.
    flaw: str | None = None

    def __str__(self) -> str:
        if self.ok:
            text = f"success {json.dumps(self.fields, sort_keys=True, default=str)}"
        else:
            text = f"refusal {self.code!r} {self.message!r} grpc={self.grpc}"
        return f"{text} status={self.status} request_id={self.request_id}" + (f" FLAW {self.flaw}" if self.flaw else "")


def crashed(error: object) -> Outcome:
    """Returns a crash: no reply, or one that the client could not read. It never counts as an expected refusal."""
    return Outcome(False, code="(client crashed)", message=str(error), flaw=f"the client crashed: {error}")


def succeeded(fields: dict[str, Any], status: int | None = None, **more: Any) -> Outcome:
    """Returns a success. The request id is moved out of the fields."""
    fields = dict(fields)
    request_id = fields.pop("RequestId", None)
    return Outcome(True, fields=fields, status=status, request_id=request_id, **more)


def refused_by(body: dict[str, Any], status: int | None, **more: Any) -> Outcome:
    """Returns a refusal from the decoded error envelope."""
    flaw = more.pop("flaw", None)
    odd = [name for name, value in body.items() if name != "AccessDeniedDetail" and not isinstance(value, str)]
    if odd and not flaw:
        flaw = f"members of the error are not text: {odd}"
    return Outcome(
        False,
        code=body.get("Code"),
        message=body.get("Message"),
        status=status,
        request_id=body.get("RequestId"),
        host_id=body.get("HostId"),
        flaw=flaw,
        **more,
    )


def from_http(action: str, status: int, content_type: str | None, body: bytes, want_xml: bool) -> Outcome:
    """Parses an HTTP reply strictly: content type, declaration, root element and members must be as documented."""
    expected = XML_TYPE if want_xml else JSON_TYPE
    flaw = None if content_type == expected else f"Content-Type is {content_type!r}, not {expected!r}"
    try:
        if want_xml:
            fields, problem = from_xml(action if status == 200 else None, body.decode())
            flaw = flaw or problem
        else:
            fields = json.loads(body)
    except (ValueError, ElementTree.ParseError) as error:
        return crashed(f"{error} in {body!r}")
    if status == 200:
        return succeeded(fields, status, content_type=content_type, flaw=flaw)
    return refused_by(fields, status, content_type=content_type, flaw=flaw)


def from_xml(action: str | None, text: str) -> tuple[dict[str, Any], str | None]:
    """Returns the fields of an XML reply, and the problem of its frame. `action` is None for an error."""
    fields, problem = from_element(action, ElementTree.fromstring(text))
    begins = text.startswith(XML_HEAD)
    return fields, problem or (None if begins else f"the reply does not begin with {XML_HEAD}")


def from_element(action: str | None, root: ElementTree.Element) -> tuple[dict[str, Any], str | None]:
    """The same for a reply that the client has parsed as XML."""
    expected = f"{action}Response" if action else "Error"
    return _element(root), None if root.tag == expected else f"the root element is {root.tag}, not {expected}"


def _element(element: ElementTree.Element) -> Any:
    inner = LISTS.get(element.tag)
    if inner:
        return {inner: [_members(child) for child in element if child.tag == inner]}
    if len(element) == 0:
        text = element.text or ""
        return {"true": True, "false": False}.get(text, text) if element.tag in BOOLEANS else text
    return _members(element)


def _members(element: ElementTree.Element) -> dict[str, Any]:
    return {child.tag: _element(child) for child in element}
