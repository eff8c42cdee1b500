"""Describe: what the rows of the statement say now. The columns are those of the statement, see ../README.md."""

from datetime import datetime, timezone

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


def reply(rows, request_id: str) -> dcdn_pb2.DescribeDcdnServiceResponse:
    instance, internet, websocket, locks = None, [], [], []
    for row in rows:
        match row["fact"], row["text_1"]:
            case "instance", _:
                instance = row
            case "change", "internet":
                internet.append(row)
            case "change", _:
                websocket.append(row)
            case "lock", _:
                locks.append(row)
    if instance is None:
        raise Refused(StatusCode.NOT_FOUND, "DCDN has not been opened")
    now = datetime.now(timezone.utc)
    locks.sort(key=lambda lock: (lock["time_1"], lock["id"]))
    says = dcdn_pb2.DescribeDcdnServiceResponse(
        request_id=request_id,
        instance_id=instance["text_1"],
        internet_charge_type=INTERNET[in_force(instance["text_2"], internet, now)],
        opening_time=timestamp(instance["time_1"]),
        operation_locks=charge_pb2.OperationLocks(
            lock_reason=[charge_pb2.LockReason(lock_reason=lock["text_1"]) for lock in locks]
        ),
    )
    if internet:
        changing = submitted_last(internet)
        says.changing_charge_type = INTERNET[changing["text_2"]]
        says.changing_affect_time.CopyFrom(timestamp(changing["time_2"]))
    if instance["text_3"] is not None:
        says.websocket_type = WEBSOCKET[in_force(instance["text_3"], websocket, now)]
        if websocket:
            changing = submitted_last(websocket)
            says.websocket_changing_type = WEBSOCKET[changing["text_2"]]
            says.websocket_changing_time.CopyFrom(timestamp(changing["time_2"]))
    return says


def in_force(opening: str, changes, now: datetime) -> str:
    effective = [change for change in changes if change["time_2"] <= now]
    if not effective:
        return opening
    return max(effective, key=lambda change: (change["time_2"], change["time_1"], change["id"]))["text_2"]


def submitted_last(changes):
    return max(changes, key=lambda change: (change["time_1"], change["id"]))


def timestamp(time: datetime) -> Timestamp:
    since = time - EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)
