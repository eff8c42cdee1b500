"""Describe: what the row of the statement says now. Its columns are those of the statement, see ../README.md."""

import json
from datetime import datetime, timezone
from typing import NamedTuple

from activation.billing.v1 import charge_pb2
from activation.dcdn.v1 import dcdn_pb2
from activation.rpc.v1 import options_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from refused import Refused

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def numbers(enum) -> dict[str, int]:
    """The numbers of an enum by the spelling in storage."""
    values = enum.DESCRIPTOR.values
    return {value.GetOptions().Extensions[options_pb2.spelling]: value.number for value in values}


INTERNET = numbers(charge_pb2.ChargeType)
WEBSOCKET = numbers(charge_pb2.WebsocketChargeType)


class Change(NamedTuple):
    change_id: str
    charge_type: str
    submitted_at: datetime
    effective_time: datetime


def reply(instance, request_id: str) -> dcdn_pb2.DescribeDcdnServiceResponse:
    if instance is None:
        raise Refused(StatusCode.NOT_FOUND, "DCDN has not been opened")
    now = datetime.now(timezone.utc)
    internet, websocket = changes_of(instance["changes"])
    says = dcdn_pb2.DescribeDcdnServiceResponse(
        request_id=request_id,
        instance_id=instance["instance_id"],
        internet_charge_type=INTERNET[in_force(instance["internet_charge_type"], internet, now)],
        opening_time=timestamp(instance["opening_time"]),
        operation_locks=charge_pb2.OperationLocks(
            lock_reason=[charge_pb2.LockReason(lock_reason=reason) for reason in reasons_of(instance["locks"])]
        ),
    )
    if internet:
        changing = submitted_last(internet)
        says.changing_charge_type = INTERNET[changing.charge_type]
        says.changing_affect_time.CopyFrom(timestamp(changing.effective_time))
    if instance["websocket_charge_type"] is not None:
        says.websocket_type = WEBSOCKET[in_force(instance["websocket_charge_type"], websocket, now)]
        if websocket:
            changing = submitted_last(websocket)
            says.websocket_changing_type = WEBSOCKET[changing.charge_type]
            says.websocket_changing_time.CopyFrom(timestamp(changing.effective_time))
    return says


def changes_of(text: str) -> tuple[list[Change], list[Change]]:
    """The changes of either kind in the JSON of a row."""
    internet, websocket = [], []
    for change_id, change in json.loads(text).items():
        times = (datetime.fromisoformat(change[time]) for time in ("submitted_at", "effective_time"))
        of_kind = internet if change["kind"] == "internet" else websocket
        of_kind.append(Change(change_id, change["charge_type"], *times))
    return internet, websocket


def reasons_of(text: str) -> list[str]:
    """The reasons of the locks in the JSON of a row, of the oldest lock first."""
    locks = [
        (datetime.fromisoformat(lock["locked_at"]), lock["lock_id"], reason)
        for reason, lock in json.loads(text).items()
    ]
    return [reason for _, _, reason in sorted(locks)]


def in_force(opening: str, changes: list[Change], now: datetime) -> str:
    effective = [change for change in changes if change.effective_time <= now]
    if not effective:
        return opening
    last = max(effective, key=lambda change: (change.effective_time, change.submitted_at, change.change_id))
    return last.charge_type


def submitted_last(changes: list[Change]) -> Change:
    return max(changes, key=lambda change: (change.submitted_at, change.change_id))


def timestamp(time: datetime) -> Timestamp:
    since = time - EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)
