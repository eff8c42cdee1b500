"""The documented sample replies, field by field, for the account that is seeded with them (`dev --at`)."""

from __future__ import annotations

import json
from pathlib import Path

from outcome import from_xml
from scenarios import BANDWIDTH, FREE, NEVER_CHANGED, TRAFFIC, life_of_an_account
from trial import Trial

DATA = Path(__file__).resolve().parents[1] / "data"
AT = "2018-03-20T00:00:00Z"


def samples(trial: Trial) -> None:
    """Tests DescribeDcdnService as the page prints it, except order and request id, and what the page does not print."""
    who = trial.world.roles["opened"]
    printed = json.loads((DATA / "DescribeDcdnService.json").read_text())
    in_xml, _ = from_xml("DescribeDcdnService", (DATA / "DescribeDcdnService.xml").read_text())
    for fields in (printed, in_xml):
        fields.pop("RequestId")
    trial.record(
        "wire", "the page's JSON and XML samples agree", "" if printed == in_xml else f"{printed} {in_xml}"
    )
    trial.answers("describe", "the sample of DescribeDcdnService", who, "DescribeDcdnService", {}, printed)
    trial.answers(
        "status",
        "locked for half a day",
        who,
        "DescribeUserDcdnStatus",
        {},
        {"Enabled": True, "OnService": True, "InDebt": True, "InDebtOverdue": False},
    )
    trial.answers(
        "describe",
        "CDN of the same account",
        who,
        "DescribeCdnService",
        {},
        {
            "InstanceId": str(who.account_id),
            "InternetChargeType": TRAFFIC,
            "OpeningTime": printed["OpeningTime"],
            **NEVER_CHANGED,
            "OperationLocks": FREE,
        },
    )


def samples_later(trial: Trial) -> None:
    """The same account years later: the change is in force and still shown, and the lock is overdue."""
    who = trial.world.roles["opened"]
    printed = json.loads((DATA / "DescribeDcdnService.json").read_text())
    printed.pop("RequestId")
    trial.answers(
        "describe", "the sample, later", who, "DescribeDcdnService", {}, {**printed, "InternetChargeType": BANDWIDTH}
    )
    trial.answers(
        "status",
        "overdue",
        who,
        "DescribeUserDcdnStatus",
        {},
        {"Enabled": True, "OnService": False, "InDebt": True, "InDebtOverdue": True},
    )
    trial.answers(
        "status",
        "CDN is not overdue",
        who,
        "DescribeUserCdnStatus",
        {},
        {"Enabled": True, "OnService": True, "InDebt": False, "InDebtOverdue": False},
    )
    change, start, end = printed["ChangingAffectTime"], "2018-03-15T00:00:00Z", "2018-04-05T00:00:00Z"
    flow = {"Product": "dcdn", "Dimension": "flow"}
    trial.answers(
        "billtype",
        "across the change",
        who,
        "DescribeDcdnUserBillType",
        {"StartTime": start, "EndTime": end},
        {
            "BillTypeData": {
                "BillTypeDataItem": [
                    {
                        **flow,
                        "StartTime": printed["OpeningTime"],
                        "EndTime": change,
                        "BillType": "hour_flow",
                        "BillingCycle": "hour",
                    },
                    {**flow, "StartTime": change, "EndTime": end, "BillType": "day_bandwidth", "BillingCycle": "day"},
                ]
            }
        },
    )
    trial.answers(
        "billtype",
        "before the opening",
        who,
        "DescribeCdnUserBillType",
        {"StartTime": start, "EndTime": "2018-03-19T11:16:11Z"},
        {"BillTypeData": {"BillTypeDataItem": []}},
    )


def life_at(trial: Trial, variant: int) -> None:
    """Tests the life of an account at the other date: openings and changes follow the business clock, signatures the real one."""
    life_of_an_account(trial, trial.world.operator.fresh(), variant)
