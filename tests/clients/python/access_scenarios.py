"""The checks of signed requests: keys, secrets, tokens, policies, API versions and unknown actions."""

from __future__ import annotations

from dataclasses import replace

import refusals as r
from clients.base import CDN_2014, Identity
from operator_api import READ_ONLY
from scenarios import BANDWIDTH, CDN_OPEN, DCDN_OPEN, NEVER, NEVER_CHANGED, TRAFFIC
from trial import Trial

STATUS: tuple[str, dict[str, str]] = ("DescribeUserCdnStatus", {})


def keys_and_policies(trial: Trial) -> None:
    """Tests the refusals of the gateway, in the order of its checks."""
    roles, operator = trial.world.roles, trial.world.operator
    able = roles["able"]
    unknown = replace(able, key="testid-nobody")
    trial.refuses("auth", "unknown key", unknown, *STATUS, r.NO_KEY)
    trial.refuses("auth", "unknown key, before the state of an account", unknown, *CDN_OPEN, r.NO_KEY)
    trial.refuses("auth", "disabled key", roles["disabled"], *STATUS, r.KEY_DISABLED)
    trial.refuses(
        "auth", "disabled key, wrong secret", replace(roles["disabled"], secret="no"), *STATUS, r.KEY_DISABLED
    )
    for action, params in [
        STATUS,
        ("DescribeCdnService", {}),
        ("OpenDcdnService", {"BillType": "a b+c*~&=%/\u00e9", "WebsocketBillType": "\u5f00\u901a"}),
    ]:
        detected = trial.client.detects_wrong_secret(action)
        trial.refuses(
            "auth",
            f"wrong secret, {action}",
            replace(able, secret="not the secret"),
            action,
            params,
            r.WRONG_SECRET_DETECTED if detected else r.WRONG_SECRET[trial.client.signature],
        )
    trial.refuses(
        "auth", "a token with an access key", replace(able, security_token="no-such-token"), *STATUS, r.TOKEN_MISMATCH
    )
    _read_only(trial, roles["readonly"])
    mayfly = operator.fresh()
    trial.answers("auth", "a new key works at once", mayfly, *STATUS, NEVER)
    operator.disable_key(mayfly)
    trial.refuses("auth", "the first request after disabling is refused", mayfly, *STATUS, r.KEY_DISABLED)
    operator.enable_key(mayfly)
    trial.answers("auth", "an enabled key works again", mayfly, *STATUS, NEVER)


def _read_only(trial: Trial, who: Identity) -> None:
    trial.answers("auth", "a read-only key describes", who, *STATUS, NEVER)
    trial.answers("auth", "a read-only key describes DCDN", who, "DescribeUserDcdnStatus", {}, NEVER)
    trial.refuses("auth", "a read-only key learns that CDN is not open", who, "DescribeCdnService", {}, r.CDN_NOT_OPEN)
    for action, params in (CDN_OPEN, DCDN_OPEN, ("ModifyCdnService", {"InternetChargeType": BANDWIDTH})):
        trial.refuses("auth", f"a read-only key may not {action}", who, action, params, r.FORBIDDEN)
    trial.refuses("auth", "permission comes before parameters", who, "OpenDcdnService", {}, r.FORBIDDEN)


def temporary_credentials(trial: Trial) -> None:
    """Tests the STS mode of each client: a temporary credential, with and without a session policy."""
    operator = trial.world.operator
    parent = operator.fresh()
    issued, narrow = operator.issue_token(parent), operator.issue_token(parent, READ_ONLY)
    trial.answers("auth", "a temporary credential describes", issued, *STATUS, NEVER)
    trial.answers("auth", "a narrow temporary credential describes", narrow, *STATUS, NEVER)
    trial.refuses("auth", "a narrow temporary credential may not open", narrow, *CDN_OPEN, r.FORBIDDEN)
    trial.answers("auth", "a temporary credential opens", issued, *CDN_OPEN, {})
    trial.refuses("auth", "a temporary credential without its token", _with_token(issued, None), *STATUS, r.TOKEN_MISSING)
    trial.refuses(
        "auth", "the token of another credential", _with_token(issued, narrow.security_token), *STATUS, r.TOKEN_MISMATCH
    )
    trial.refuses("auth", "a token of somebody else", _with_token(issued, "CAIS+a/b=="), *STATUS, r.TOKEN_MALFORMED)
    operator.disable_key(parent)
    trial.refuses("auth", "the credential of a disabled key", issued, *STATUS, r.KEY_DISABLED)
    operator.enable_key(parent)
    trial.answers("auth", "the credential of an enabled key", issued, "DescribeUserDcdnStatus", {}, NEVER)


def _with_token(who: Identity, token: str | None) -> Identity:
    return replace(who, security_token=token)


def versions_and_actions(trial: Trial) -> None:
    """Tests the API version of 2014, and actions that are in no version."""
    able, opened = trial.world.operator.fresh(), trial.world.roles["opened"]
    modify = {"InternetChargeType": BANDWIDTH}
    trial.refuses("wire", "not open under 2014-11-11", able, "DescribeCdnService", {}, r.CDN_NOT_OPEN_2014, CDN_2014)
    trial.refuses("wire", "Modify under 2014-11-11", able, "ModifyCdnService", modify, r.CDN_NOT_OPEN_2014, CDN_2014)
    trial.answers(
        "wire", "Open under 2014-11-11", able, "OpenCdnService", {"InternetChargeType": TRAFFIC}, {}, CDN_2014
    )
    trial.refuses("wire", "Open again under 2014-11-11", able, "OpenCdnService", {}, r.CDN_HAS_OPENED, CDN_2014)
    trial.answers(
        "wire",
        "opened under 2014-11-11, seen there",
        able,
        "DescribeCdnService",
        {},
        {
            "InstanceId": str(able.account_id),
            "InternetChargeType": TRAFFIC,
            "OpeningTime": trial.recent(),
            **NEVER_CHANGED,
            "OperationLocks": {"LockReason": []},
        },
        CDN_2014,
    )
    for name, action, version in [
        ("2014-11-11 has no status", "DescribeUserCdnStatus", CDN_2014),
        ("2014-11-11 has no bill types", "DescribeCdnUserBillType", CDN_2014),
        ("ModifyDcdnService was withdrawn", "ModifyDcdnService", None),
        ("no such action", "DescribeMoonService", None),
        ("names of actions are exact", "DescribeCDNService", None),
        ("CDN's version has no DCDN action", "OpenDcdnService", "2018-05-10"),
    ]:
        trial.refuses("wire", name, opened, action, {}, r.NO_ACTION, version)
    trial.refuses("wire", "no such version", opened, "DescribeCdnService", {}, r.NO_VERSION, "2020-01-01")
    trial.refuses(
        "wire",
        "the action is judged before the key",
        replace(opened, key="testid-nobody"),
        "DescribeMoonService",
        {},
        r.NO_ACTION,
    )
