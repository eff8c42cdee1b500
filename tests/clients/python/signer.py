"""Signatures V1 and V3 with the standard library alone, written from the documentation.

This is not a published client. It is for requests that no SDK can send (a used nonce, a repeated parameter, an old
timestamp), and a second implementation in addition to the SDKs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from datetime import datetime, timezone
from collections.abc import Iterable
from urllib.parse import quote

Pairs = list[tuple[str, str]]


def utc_text(moment: datetime | None = None) -> str:
    """Returns an instant as the API writes it: UTC, whole seconds."""
    return (moment or datetime.now(timezone.utc)).strftime("%Y-%m-%dT%H:%M:%SZ")


def escape(text: str) -> str:
    """Percent-encodes for both signatures: everything except letters, digits and - _ . ~."""
    return quote(text, safe="-_.~")


def canonical(pairs: Iterable[tuple[str, str]]) -> str:
    """Returns names and values, each escaped, in the byte order of the names."""
    ordered = sorted(pairs, key=lambda pair: (pair[0].encode(), pair[1].encode()))
    return "&".join(f"{escape(name)}={escape(value)}" for name, value in ordered)


def v1_common(action: str, version: str, key: str, fmt: str | None = "JSON") -> dict[str, str]:
    """Returns the common parameters of a V1 request, without the signature."""
    common = {
        "Action": action,
        "Version": version,
        "AccessKeyId": key,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": utc_text(),
    }
    return common if fmt is None else {**common, "Format": fmt}


def v1_string_to_sign(method: str, pairs: Pairs) -> str:
    """Returns the string to sign. Query and form are one set of parameters."""
    return f"{method}&%2F&{escape(canonical(pairs))}"


def v1_signature(method: str, pairs: Pairs, secret: str) -> str:
    """Returns the Signature parameter over query and form."""
    mac = hmac.new(f"{secret}&".encode(), v1_string_to_sign(method, pairs).encode(), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode()


def v3_headers(
    host: str,
    action: str,
    version: str,
    key: str,
    secret: str,
    query: Pairs,
    method: str = "POST",
    body: bytes = b"",
    extra: dict[str, str] | None = None,
) -> dict[str, str]:
    """Returns the headers of a V3 request, all of them signed. `extra` adds or replaces headers before signing."""
    digest = hashlib.sha256(body).hexdigest()
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": version,
        "x-acs-date": utc_text(),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-content-sha256": digest,
        **(extra or {}),
    }
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    request = "\n".join((method, "/", canonical(query), lines, names, headers["x-acs-content-sha256"]))
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    # The order of Java: servers must read the three fields by name.
    return {
        **headers,
        "Authorization": f"ACS3-HMAC-SHA256 Credential={key}, Signature={signature}, SignedHeaders={names}",
    }
