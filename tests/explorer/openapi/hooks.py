"""Signs what schemathesis generates, and notes every answer. Schemathesis loads this module (SCHEMATHESIS_HOOKS).

A common parameter that the document allows is replaced by one that the server accepts: a key that exists, a new nonce, the
current time. One that the document does not allow stays, because the server must refuse it.
"""

from __future__ import annotations

import json
import os
import random
import re
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests
import schemathesis
import signer
import xml_reply

DOCUMENT = json.loads(Path(os.environ["OPENAPI_DOCUMENT"]).read_text(encoding="utf-8"))
SECRET = "testsecret"
# Keys of docs/behaviour.md, "Demo accounts", and one that does not exist.
ABLE = ["testid", "testid-opened"]
OTHERS = ["bid", "intl", "noname", "noprofile", "nopay", "poor", "noorder", "readonly", "disabled", "unknown"]
FORM = "application/x-www-form-urlencoded"
# What the document allows for the common parameters.
COMMON = {
    "AccessKeyId": ".+",
    "Format": "JSON|XML",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureVersion": r"1\.0",
    "SignatureNonce": ".+",
    "Timestamp": DOCUMENT["components"]["schemas"]["Time"]["pattern"],
}
FAULTS = ["", "", "", "", "", "", "secret", "time", "nonce", "unsigned"]

chance = random.Random(int(os.environ["OPENAPI_SEED"]))


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    """Has the request signed when it is complete."""
    kwargs["auth"] = Signature(negative=case.meta is not None and case.meta.generation.mode.is_negative)


@schemathesis.hook
def after_call(context, case, response) -> None:
    """Notes the answer for check.py, one JSON object per line."""
    content_type = (response.headers.get("content-type") or [""])[0]
    code = re.search(rb'<Code>([^<]*)|"Code":"([^"]*)', response.content)
    answer = {
        "operation": case.operation.definition.raw["operationId"],
        "status": response.status_code,
        "code": (code[1] or code[2]).decode() if code else "",
        "format": "XML" if "xml" in content_type else "JSON",
        "signature": "V3" if "Authorization" in response.request.headers else "V1",
    }
    with open(os.environ["OPENAPI_ANSWERS"], "a", encoding="utf-8") as answers:
        answers.write(json.dumps(answer) + "\n")


@schemathesis.deserializer("text/xml")
def read_xml(context, response):
    """Reads an XML body as the JSON body that says the same, so that one schema holds for both."""
    schema = xml_reply.schema_of(DOCUMENT, context.operation.path, context.operation.method, response.status_code)
    return xml_reply.read(response.content, DOCUMENT, schema)


class Signature(requests.auth.AuthBase):
    """Signs one request, with a key and a signature version by chance. A request that is wrong already has no other fault."""

    def __init__(self, negative: bool) -> None:
        is_able = negative or chance.random() < 0.7
        self._key = chance.choice(ABLE) if is_able else f"testid-{chance.choice(OTHERS)}"
        self._fault = "" if negative else chance.choice(FAULTS)
        self._is_v3 = chance.random() < 0.4
        self._is_xml = chance.random() < 0.5

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        parts = urlsplit(request.url)
        query = pairs(parts.query)
        wrong = {name for name in COMMON if any(given == name for given, _ in query) and not is_allowed(query, name)}
        query = [(name, value) for name, value in query if name in wrong or name not in COMMON]
        if self._is_v3 and not wrong:
            self._sign_v3(request, parts.netloc, query)
        else:
            query = self._sign_v1(request, query, wrong)
        request.url = urlunsplit(parts._replace(query=urlencode(query, errors="surrogateescape")))
        return request

    def _sign_v1(self, request: requests.PreparedRequest, query: signer.Pairs, wrong: set[str]) -> signer.Pairs:
        common = signer.v1_common("", "", self._key, "XML" if self._is_xml else "JSON")
        common["Timestamp"] = self._time()
        common["SignatureNonce"] = self._nonce()
        query = query + [(name, value) for name, value in common.items() if name in COMMON and name not in wrong]
        if self._fault == "unsigned":
            return query
        is_form = request.headers.get("Content-Type", "").lower().startswith(FORM)
        form = pairs(body_of(request).decode(errors="surrogateescape")) if is_form else []
        return [*query, ("Signature", signer.v1_signature(request.method, query + form, self._secret()))]

    def _sign_v3(self, request: requests.PreparedRequest, host: str, query: signer.Pairs) -> None:
        of_path = dict(query)
        headers = signer.v3_headers(
            host,
            of_path.get("Action", ""),
            of_path.get("Version", ""),
            self._key,
            self._secret(),
            query,
            request.method,
            body_of(request),
            {"x-acs-date": self._time(), "x-acs-signature-nonce": self._nonce()},
        )
        request.headers.update(headers)
        request.headers["Accept"] = "text/xml" if self._is_xml else "application/json"
        if self._fault == "unsigned":
            del request.headers["x-acs-content-sha256"]

    def _secret(self) -> str:
        return "wrong" if self._fault == "secret" else SECRET

    def _nonce(self) -> str:
        return "used" if self._fault == "nonce" else uuid.uuid4().hex

    def _time(self) -> str:
        return signer.utc_text(datetime.now(timezone.utc) - timedelta(hours=self._fault == "time"))


def is_allowed(query: signer.Pairs, name: str) -> bool:
    """Whether the query has the common parameter once, with a value that the document allows."""
    values = [value for given, value in query if given == name]
    return len(values) == 1 and re.fullmatch(COMMON[name], values[0], re.DOTALL) is not None


def pairs(text: str) -> signer.Pairs:
    """Returns names and values of a query or form, as the server decodes them."""
    return parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


def body_of(request: requests.PreparedRequest) -> bytes:
    """Returns the body as it is sent."""
    body = request.body or b""
    return body.encode() if isinstance(body, str) else body
