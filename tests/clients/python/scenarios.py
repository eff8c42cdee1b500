"""The scenarios of all clients: the tables of refusals and the life of an account.

A client provides only `call`; everything here is the same for all of them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import refusals as r
from clients.base import Identity
from refusals import Refusal
from signer import utc_text
from trial import Expected, Trial

TRAFFIC, BANDWIDTH = "PayByTraffic", "PayByBandwidth"
WS_TRAFFIC, WS_BANDWIDTH = "websockettraffic", "websocketbps"
CDN_OPEN = ("OpenCdnService", {"InternetChargeType": TRAFFIC})
DCDN_OPEN = ("OpenDcdnService", {"BillType": TRAFFIC, "WebsocketBillType": WS_TRAFFIC})
FREE: dict[str, Any] = {"LockReason": []}
NEVER_CHANGED = {"ChangingChargeType": "", "ChangingAffectTime": ""}
NEVER = {"Enabled": False, "OnService": False, "InDebt": False, "InDebtOverdue": False}
GOOD = {"Enabled": True, "OnService": True, "InDebt": False, "InDebtOverdue": False}
DAY, DAY_AFTER = "2018-03-01T00:00:00Z", "2018-03-02T00:00:00Z"
# Values that cannot be opened with: an unknown spelling, a monthly type, and spellings of the other wire.
WRONG_TYPES = ["PayByMoon", "PayByBandwidth95", "paybytraffic", "CHARGE_TYPE_PAY_BY_TRAFFIC", "1"]

# Refusals of an account that has opened nothing: group, action, parameters, refusal. The order also shows which rule
# comes first: the value, then the state.
UNOPENED: list[tuple[str, str, dict[str, str], Refusal]] = [
    ("describe", "DescribeCdnService", {}, r.CDN_NOT_OPEN),
    ("describe", "DescribeDcdnService", {}, r.DCDN_NOT_OPEN),
    ("modify", "ModifyCdnService", {"InternetChargeType": BANDWIDTH}, r.CDN_NOT_OPEN),
    ("modify", "ModifyCdnService", {}, r.missing("InternetChargeType")),
    ("modify", "ModifyCdnService", {"InternetChargeType": ""}, r.missing("InternetChargeType")),
    *[
        ("modify", "ModifyCdnService", {"InternetChargeType": wrong}, r.invalid("InternetChargeType"))
        for wrong in WRONG_TYPES
    ],
    *[("open", "OpenCdnService", {"InternetChargeType": wrong}, r.VALUE_NOT_SUPPORTED) for wrong in WRONG_TYPES],
    ("open", "OpenDcdnService", {}, r.missing("BillType")),
    ("open", "OpenDcdnService", {"WebsocketBillType": WS_TRAFFIC}, r.missing("BillType")),
    ("open", "OpenDcdnService", {"BillType": TRAFFIC}, r.missing("WebsocketBillType")),
    ("open", "OpenDcdnService", {"BillType": "", "WebsocketBillType": WS_TRAFFIC}, r.missing("BillType")),
    ("open", "OpenDcdnService", {"BillType": TRAFFIC, "WebsocketBillType": ""}, r.missing("WebsocketBillType")),
    *[
        (
            "open",
            "OpenDcdnService",
            {"BillType": wrong, "WebsocketBillType": WS_TRAFFIC},
            r.invalid_component("BillType"),
        )
        for wrong in WRONG_TYPES
    ],
    (
        "open",
        "OpenDcdnService",
        {"BillType": TRAFFIC, "WebsocketBillType": TRAFFIC},
        r.invalid_component("WebsocketBillType"),
    ),
    *[
        ("billtype", f"Describe{product}UserBillType", params, refusal)
        for product in ("Cdn", "Dcdn")
        for params, refusal in [
            ({}, r.missing("StartTime")),
            ({"EndTime": DAY_AFTER}, r.missing("StartTime")),
            ({"StartTime": DAY}, r.missing("EndTime")),
            ({"StartTime": "2018-03-01", "EndTime": DAY_AFTER}, r.invalid("StartTime")),
            ({"StartTime": DAY, "EndTime": "2018-03-02 00:00:00"}, r.invalid("EndTime")),
        ]
    ],
]


def every_refusal_of_the_opening_table(trial: Trial) -> None:
    """Tests each row of the table with its account, for both products; then the checks that come before the rows."""
    for role, cdn, dcdn in r.OPENING:
        who = trial.world.roles[role]
        trial.refuses("open", f"{role} opens CDN", who, *CDN_OPEN, cdn)
        trial.refuses("open", f"{role} opens DCDN", who, *DCDN_OPEN, dcdn)
    bid = trial.world.roles["bid"]
    trial.refuses(
        "open",
        "the value is judged before the account",
        bid,
        "OpenCdnService",
        {"InternetChargeType": "PayByMoon"},
        r.VALUE_NOT_SUPPORTED,
    )
    trial.refuses(
        "open",
        "the value is judged before the account (DCDN)",
        bid,
        "OpenDcdnService",
        {"BillType": "PayByMoon", "WebsocketBillType": WS_TRAFFIC},
        r.invalid_component("BillType"),
    )


def life_of_an_account(trial: Trial, who: Identity, variant: int) -> dict[str, dict[str, Any]]:
    """Tests everything that an account can do, in order. `variant` makes the clients open with different charge types.

    Returns the last Describe of both products, so that the other clients can be tested for the same reply.
    """
    _before_opening(trial, who)
    opened_with = [{"InternetChargeType": TRAFFIC}, {"InternetChargeType": BANDWIDTH}, {}, {"InternetChargeType": ""}][
        variant % 4
    ]
    charge_type = opened_with.get("InternetChargeType") or TRAFFIC
    _open_cdn(trial, who, opened_with, charge_type)
    dcdn = _open_dcdn(trial, who, [TRAFFIC, BANDWIDTH][variant % 2], [WS_TRAFFIC, WS_BANDWIDTH][variant // 2 % 2])
    cdn = _modify(trial, who, charge_type)
    _locks(trial, who, cdn)
    return {"DescribeCdnService": cdn, "DescribeDcdnService": dcdn}


def _before_opening(trial: Trial, who: Identity) -> None:
    for group, action, params, refusal in UNOPENED:
        trial.refuses(group, f"{action} {params} before opening", who, action, params, refusal)
    for product in ("Cdn", "Dcdn"):
        trial.answers("status", "before opening", who, f"DescribeUser{product}Status", {}, NEVER)
        trial.answers(
            "billtype",
            "before opening",
            who,
            f"Describe{product}UserBillType",
            {"StartTime": DAY, "EndTime": DAY_AFTER},
            {"BillTypeData": {"BillTypeDataItem": []}},
        )
        for params in (
            {"StartTime": DAY_AFTER, "EndTime": DAY},
            {"StartTime": DAY, "EndTime": DAY},
            {"StartTime": DAY, "EndTime": "2018-04-01T00:00:01Z"},
        ):
            trial.refuses("billtype", f"{params}", who, f"Describe{product}UserBillType", params, r.invalid("EndTime"))


def _open_cdn(trial: Trial, who: Identity, params: dict[str, str], charge_type: str) -> None:
    trial.answers("open", f"CDN opens with {params}", who, "OpenCdnService", params)
    trial.answers(
        "describe",
        "CDN after opening",
        who,
        "DescribeCdnService",
        {},
        {
            "InstanceId": str(who.account_id),
            "InternetChargeType": charge_type,
            "OpeningTime": trial.recent(),
            **NEVER_CHANGED,
            "OperationLocks": FREE,
        },
    )
    trial.refuses("open", "CDN opens only once", who, "OpenCdnService", params, r.CDN_HAS_OPENED)
    trial.answers("status", "CDN after opening", who, "DescribeUserCdnStatus", {}, GOOD)
    trial.refuses("describe", "opening CDN does not open DCDN", who, "DescribeDcdnService", {}, r.DCDN_NOT_OPEN)
    _history(trial, who, "cdn", [_billed(charge_type, "flow")])


def _open_dcdn(trial: Trial, who: Identity, charge_type: str, websocket: str) -> dict[str, Any]:
    params = {"BillType": charge_type, "WebsocketBillType": websocket}
    trial.answers("open", f"DCDN opens with {params}", who, "OpenDcdnService", params)
    described = trial.answers(
        "describe",
        "DCDN after opening",
        who,
        "DescribeDcdnService",
        {},
        {
            "InstanceId": Expected("FP- and 9 lower-case base-32 characters", _dcdn_instance),
            "InternetChargeType": charge_type,
            "OpeningTime": trial.recent(),
            **NEVER_CHANGED,
            "OperationLocks": FREE,
            "WebsocketType": websocket,
        },
    )
    trial.refuses("open", "DCDN opens only once", who, "OpenDcdnService", params, r.DCDN_HAS_OPENED)
    trial.answers("status", "DCDN after opening", who, "DescribeUserDcdnStatus", {}, GOOD)
    _history(trial, who, "dcdn", [_billed(charge_type, "flow"), ("websocket",)])
    return described.fields


def _dcdn_instance(text: Any) -> bool:
    return (
        isinstance(text, str)
        and text.startswith("FP-")
        and len(text) == 12
        and all(letter in "0123456789abcdefghijklmnopqrstuvwxyz" for letter in text[3:])
    )


def _billed(charge_type: str, dimension: str) -> tuple[str, str, str]:
    return (dimension, "hour_flow", "hour") if charge_type == TRAFFIC else (dimension, "day_bandwidth", "day")


def _history(trial: Trial, who: Identity, product: str, billed: list[tuple[str, ...]]) -> None:
    """Tests the history: one item per dimension, from the opening to the end of the requested period."""
    start, end = (utc_text(trial.world.now() + timedelta(days=days)) for days in (-1, 1))
    opened = trial.recent()

    def fits(data: Any) -> bool:
        items = data["BillTypeDataItem"]
        return len(items) == len(billed) and all(
            item["Product"] == product
            and opened.test(item["StartTime"])
            and item["EndTime"] == end
            and (item["Dimension"], item["BillType"], item["BillingCycle"])[: len(words)] == words
            and set(item) == {"StartTime", "EndTime", "BillType", "BillingCycle", "Product", "Dimension"}
            for item, words in zip(items, billed)
        )

    trial.answers(
        "billtype",
        f"{product} after opening",
        who,
        f"Describe{product.capitalize()}UserBillType",
        {"StartTime": start, "EndTime": end},
        {"BillTypeData": Expected(f"{billed} of {product} from {opened} to {end}", fits)},
    )


def _modify(trial: Trial, who: Identity, current: str) -> dict[str, Any]:
    other = BANDWIDTH if current == TRAFFIC else TRAFFIC
    same, change = {"InternetChargeType": current}, {"InternetChargeType": other}
    unchanged = {
        "InstanceId": str(who.account_id),
        "InternetChargeType": current,
        "OpeningTime": trial.recent(),
        **NEVER_CHANGED,
        "OperationLocks": FREE,
    }
    trial.answers("modify", "to the type in force: nothing to do", who, "ModifyCdnService", same)
    trial.answers("describe", "a change to the same type changes nothing", who, "DescribeCdnService", {}, unchanged)
    trial.answers("modify", "to the other type", who, "ModifyCdnService", change)
    changing = {**unchanged, "ChangingChargeType": other, "ChangingAffectTime": trial.next_midnight()}
    described = trial.answers("describe", "CDN with a pending change", who, "DescribeCdnService", {}, changing)
    trial.answers("modify", "to the type that is pending: nothing to do", who, "ModifyCdnService", change)
    trial.refuses("modify", "one change at a time", who, "ModifyCdnService", same, r.HAS_ORDER)
    return described.fields


def _locks(trial: Trial, who: Identity, cdn: dict[str, Any]) -> None:
    """Tests that Describe and Status show locks, oldest first, and that Modify checks them in the documented order."""
    operator, same = trial.world.operator, {"InternetChargeType": cdn.get("InternetChargeType", TRAFFIC)}
    operator.lock(who, "cdn", "security")
    operator.lock(who, "cdn", "financial")
    reasons = [{"LockReason": "security"}, {"LockReason": "financial"}]
    trial.answers(
        "describe", "locked twice", who, "DescribeCdnService", {}, {**cdn, "OperationLocks": {"LockReason": reasons}}
    )
    trial.answers(
        "status",
        "locked twice",
        who,
        "DescribeUserCdnStatus",
        {},
        {"Enabled": True, "OnService": False, "InDebt": True, "InDebtOverdue": False},
    )
    trial.refuses("modify", "locked for security", who, "ModifyCdnService", same, r.SUSPENDED)
    trial.answers(
        "modify",
        "nothing to do, locked or not",
        who,
        "ModifyCdnService",
        {"InternetChargeType": cdn.get("ChangingChargeType") or BANDWIDTH},
    )
    operator.unlock(who, "cdn", "security")
    trial.refuses("modify", "locked for payment", who, "ModifyCdnService", same, r.BALANCE)
    trial.answers(
        "status",
        "locked for payment",
        who,
        "DescribeUserCdnStatus",
        {},
        {"Enabled": True, "OnService": True, "InDebt": True, "InDebtOverdue": False},
    )
    operator.unlock(who, "cdn", "financial")
    trial.answers("describe", "unlocked", who, "DescribeCdnService", {}, cdn)
    trial.refuses("modify", "unlocked, one change at a time", who, "ModifyCdnService", same, r.HAS_ORDER)
    trial.answers("status", "DCDN is not touched by CDN's locks", who, "DescribeUserDcdnStatus", {}, GOOD)
