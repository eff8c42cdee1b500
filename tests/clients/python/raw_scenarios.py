"""Requests that no SDK can send: used nonces, repeated parameters, old timestamps, malformed requests.

This is not a published client. Each request is one of clients/raw.py with one change.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

import refusals as r
import signer
from clients.base import CDN, Endpoint, Identity
from clients.raw import FORM, Request, send, v1_request
from outcome import Outcome
from scenarios import CDN_OPEN, NEVER
from trial import Trial

ACTION = "DescribeUserCdnStatus"


def freshness(trial: Trial) -> None:
    """A request is accepted once and for a limited time. Only a request with a valid signature uses its nonce."""
    who = trial.world.roles["able"]
    request = v1_request(who, ACTION, {})
    _judge(trial, "a first request", _send(trial, request), NEVER, request)
    _judge(trial, "a replayed request", _send(trial, request), r.NONCE_USED, request)
    nonce = {"SignatureNonce": "clients-" + signer.v1_common("", "", "")["SignatureNonce"]}
    forged = v1_request(replace(who, secret="wrong"), ACTION, {}, replace=nonce)
    _judge(trial, "a forged request", _send(trial, forged), r.WRONG_SECRET["V1"], forged)
    request = v1_request(who, ACTION, {}, replace=nonce)
    _judge(trial, "a forged request does not use its nonce", _send(trial, request), NEVER, request)
    other = v1_request(trial.world.roles["opened"], "DescribeCdnService", {}, replace=nonce)
    outcome = _send(trial, other, action="DescribeCdnService")
    trial.record("auth", "a nonce belongs to its key", "" if outcome.ok else f"got {outcome}")
    for minutes, refusal in [(-20, r.TIME_EXPIRED), (20, r.TIME_EXPIRED), (-13, None), (13, None)]:
        moment = signer.utc_text(datetime.now(timezone.utc) + timedelta(minutes=minutes))
        request = v1_request(who, ACTION, {}, replace={"Timestamp": moment})
        _judge(trial, f"{minutes} minutes off", _send(trial, request), refusal or NEVER, request)
    for text in ("2018-03-19 11:16:11", "2018-03-19T11:16:11+00:00", "now", "2018-02-30T00:00:00Z"):
        request = v1_request(who, ACTION, {}, replace={"Timestamp": text})
        _judge(trial, f"time stamp {text!r}", _send(trial, request), r.TIME_FORMAT, request)


def common_parameters(trial: Trial) -> None:
    """Tests each common parameter missing and, if it has only one valid value, wrong."""
    who = trial.world.roles["able"]
    request: Request
    for name in (
        "Action",
        "Version",
        "AccessKeyId",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "Timestamp",
    ):
        request = v1_request(who, ACTION, {}, replace={name: None})
        _judge(trial, f"{name} missing", _send(trial, request), r.missing(name), request)
    unsigned = signer.v1_common(ACTION, CDN, who.key)
    request = ("GET", f"/?{urlencode(unsigned)}", {}, b"")
    _judge(trial, "Signature missing", _send(trial, request), r.missing("Signature"), request)
    request = v1_request(who, ACTION, {}, replace={"SignatureMethod": "HMAC-MD5"})
    _judge(trial, "signature method", _send(trial, request), r.NO_SIGNATURE_METHOD, request)
    request = v1_request(who, ACTION, {}, replace={"Format": "YAML"})
    _judge(trial, "an unknown Format: answered in XML", _send(trial, request, xml=True), r.NO_FORMAT, request)
    for fmt, xml in [("json", False), ("xml", True), ("Json", False), (None, True)]:
        request = v1_request(who, ACTION, {}, replace={"Format": fmt})
        _judge(trial, f"Format {fmt}", _send(trial, request, xml=xml), NEVER, request)
        request = v1_request(replace(who, key="nobody"), ACTION, {}, replace={"Format": fmt})
        _judge(trial, f"Format {fmt}, refused", _send(trial, request, xml=xml), r.NO_KEY, request)


def broken_requests(trial: Trial) -> None:
    """Tests repeated parameters, other paths and methods, and a wrong digest of the body."""
    who, charge = trial.world.roles["able"], "InternetChargeType"
    common = signer.v1_common("OpenCdnService", CDN, who.key)
    pairs = [*common.items(), (charge, "PayByTraffic"), (charge, "PayByTraffic")]
    twice = [*pairs, ("Signature", signer.v1_signature("GET", pairs, who.secret))]
    request: Request = ("GET", f"/?{urlencode(twice)}", {}, b"")
    _judge(trial, "a parameter twice in the query", _send(trial, request), r.invalid(charge), request)
    query = [pair for pair in twice if pair[0] != charge]
    for name, in_query, in_form in [
        ("a parameter twice in the form", query, [(charge, "PayByTraffic")] * 2),
        ("a parameter in query and form", [*query, (charge, "PayByTraffic")], [(charge, "PayByBandwidth")]),
    ]:
        request = ("POST", f"/?{urlencode(in_query)}", {"Content-Type": FORM}, urlencode(in_form).encode())
        _judge(trial, name, _send(trial, request), r.invalid(charge), request)
    method, target, headers, body = v1_request(who, *CDN_OPEN)
    _judge(trial, "another path", _send(trial, (method, "/cdn" + target[1:], headers, body)), r.NO_ACTION, target)
    for other in ("PUT", "DELETE"):
        _judge(trial, other, _send(trial, (other, target, headers, body)), r.NO_METHOD, target)
    request = v1_request(who, *CDN_OPEN, method="POST", form=True)
    digest = base64.b64encode(hashlib.md5(b"another body").digest()).decode()
    request[2]["Content-MD5"] = digest
    _judge(trial, "digest of another body", _send(trial, request), r.MD5_DIFFERS, request)
    request = v1_request(who, "OpenCdnService", {charge: "PayByMoon\r\n"})
    _judge(trial, "control characters", _send(trial, request), r.invalid(charge), request)


def version_three(trial: Trial) -> None:
    """Tests V3 likewise: replay, age, a body that does not match its hash, unsigned headers."""
    who, endpoint = trial.world.roles["able"], trial.world.endpoints[0]
    headers = _v3(endpoint, who)
    request = ("POST", "/", headers, b"")
    _judge(trial, "V3, a first request", send(endpoint, ACTION, request), NEVER, request)
    _judge(trial, "V3, replayed", send(endpoint, ACTION, request), r.NONCE_USED, request)
    request = ("POST", "/", _v3(endpoint, who, {"x-acs-date": "2018-03-19T11:16:11Z"}), b"")
    _judge(trial, "V3, too old", send(endpoint, ACTION, request), r.TIME_EXPIRED, request)
    request = ("POST", "/", _v3(endpoint, who, {"x-acs-date": "yesterday"}), b"")
    _judge(trial, "V3, no date", send(endpoint, ACTION, request), r.TIME_FORMAT, request)
    request = ("POST", "/", {**_v3(endpoint, who), "Content-Type": FORM}, b"InternetChargeType=PayByTraffic")
    outcome = send(endpoint, ACTION, request)
    wrong = outcome.ok or outcome.code not in ("SignatureDoesNotMatch", "IncompleteSignature")
    trial.record("auth", "V3, another body than was hashed", f"got {outcome}" if wrong else "")
    request = ("POST", "/", {**_v3(endpoint, who), "x-acs-security-token": "later"}, b"")
    outcome = send(endpoint, ACTION, request)
    wrong = outcome.ok or outcome.code not in ("SignatureDoesNotMatch", "IncompleteSignature", r.TOKEN_MISMATCH.code)
    trial.record("auth", "V3, a header that is not signed", f"got {outcome}" if wrong else "")
    for accept, xml in [
        ("application/xml", True),
        ("text/xml", True),
        ("application/json, text/xml", False),
        ("*/*", False),
    ]:
        request = ("POST", "/", {**_v3(endpoint, who), "Accept": accept}, b"")
        _judge(trial, f"V3, Accept: {accept}", send(endpoint, ACTION, request, xml=xml), NEVER, request)


def unsigned(trial: Trial) -> None:
    """Tests requests with too little to be checked: the reply must still be a document that clients can read."""
    for target, xml, refusal in [
        ("/", True, r.missing("Action")),
        ("/?Format=JSON&Action=OpenCdnService", False, r.missing("Version")),
        ("/?Format=XML&Action=OpenCdnService&Version=2018-05-10", True, r.missing("AccessKeyId")),
    ]:
        request: Request = ("GET", target, {}, b"")
        trial.judge("wire", target, _send(trial, request, xml), refusal, f"GET {target}")


def _v3(endpoint: Endpoint, who: Identity, extra: dict[str, str] | None = None) -> dict[str, str]:
    return signer.v3_headers(endpoint.rest, ACTION, CDN, who.key, who.secret, [], extra=extra)


def _send(trial: Trial, request: Request, xml: bool = False, action: str = ACTION) -> Outcome:
    return send(trial.world.turn(), action, request, xml)


def _judge(trial: Trial, name: str, outcome: Outcome, expected: object, request: object) -> None:
    trial.judge("wire" if "twice" in name or "Format" in name else "auth", name, outcome, expected, str(request))
