"""What each action answers in `dev --at 2018-03-20T00:00:00Z`: a reply and a refusal, from the documentation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from refusals import (
    BID,
    CDN_NOT_OPEN,
    CDN_NOT_OPEN_2014,
    DCDN_HAS_OPENED,
    DCDN_NOT_OPEN,
    KEY_DISABLED,
    NO_ACCOUNT,
    Refusal,
    invalid,
    missing,
)

AT = "2018-03-20T00:00:00Z"
OPENED_AT = "2018-03-19T11:16:11Z"
NOBODY = 999
TRAFFIC = {"InternetChargeType": "PayByTraffic"}
SPAN = {"StartTime": "2018-03-19T00:00:00Z", "EndTime": AT}


@dataclass(frozen=True)
class Case:
    """One call. `who` is the role of a demo account, or "new" for an account of its own."""

    who: str
    parameters: dict[str, str] = field(default_factory=dict)
    reply: dict[str, Any] | None = None
    refusal: Refusal | None = None
    # The refusal over gRPC where it differs, because gRPC has no access keys. The account is one that does not exist.
    grpc_refusal: Refusal | None = None


def _status(debt: bool) -> dict[str, bool]:
    return {"Enabled": True, "OnService": True, "InDebt": debt, "InDebtOverdue": False}


def _history(product: str) -> dict[str, Any]:
    item = {
        "StartTime": OPENED_AT,
        "EndTime": AT,
        "BillType": "hour_flow",
        "BillingCycle": "hour",
        "Product": product,
        "Dimension": "flow",
    }
    return {"BillTypeData": {"BillTypeDataItem": [item]}}


CDN_INSTANCE = {
    "InstanceId": "1000000000000002",
    "InternetChargeType": "PayByTraffic",
    "OpeningTime": OPENED_AT,
    "ChangingChargeType": "",
    "ChangingAffectTime": "",
    "OperationLocks": {"LockReason": []},
}
DCDN_INSTANCE = {
    "InstanceId": "Eexample ID",
    "InternetChargeType": "PayByTraffic",
    "OpeningTime": OPENED_AT,
    "ChangingChargeType": "PayByBandwidth",
    "ChangingAffectTime": "2018-03-31T16:00:00Z",
    "OperationLocks": {"LockReason": [{"LockReason": "financial"}]},
}
BANDWIDTH = {"InternetChargeType": "PayByBandwidth"}
DCDN_TERMS = {"BillType": "PayByBandwidth", "WebsocketBillType": "websocketbps"}
NO_KEY = Case("disabled", refusal=KEY_DISABLED, grpc_refusal=NO_ACCOUNT)

# For each action: a call that succeeds, and one that is refused.
CASES: dict[str, tuple[Case, Case]] = {
    "OpenCdnService": (Case("new", BANDWIDTH, reply={}), Case("bid", TRAFFIC, refusal=BID)),
    # The charge type is the one in force, so that each client can submit it.
    "ModifyCdnService": (Case("opened", TRAFFIC, reply={}), Case("able", TRAFFIC, refusal=CDN_NOT_OPEN)),
    "DescribeCdnService": (Case("opened", reply=CDN_INSTANCE), Case("able", refusal=CDN_NOT_OPEN)),
    "DescribeUserCdnStatus": (Case("opened", reply=_status(debt=False)), NO_KEY),
    "DescribeCdnUserBillType": (
        Case("opened", SPAN, reply=_history("cdn")),
        Case("opened", {**SPAN, "StartTime": 'it\'s "yesterday" \\ ${HOME} $(id) #{1} %'}, refusal=invalid("StartTime")),
    ),
    "OpenDcdnService": (Case("new", DCDN_TERMS, reply={}), Case("opened", DCDN_TERMS, refusal=DCDN_HAS_OPENED)),
    "DescribeDcdnService": (Case("opened", reply=DCDN_INSTANCE), Case("able", refusal=DCDN_NOT_OPEN)),
    "DescribeUserDcdnStatus": (Case("opened", reply=_status(debt=True)), NO_KEY),
    "DescribeDcdnUserBillType": (
        Case("opened", SPAN, reply=_history("dcdn")),
        Case("opened", {"StartTime": AT}, refusal=missing("EndTime")),
    ),
}
# API version 2014-11-11 has another code.
OLD_REFUSALS = {"ModifyCdnService": CDN_NOT_OPEN_2014, "DescribeCdnService": CDN_NOT_OPEN_2014}
