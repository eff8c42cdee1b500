"""The operator services over gRPC: an account from its creation to the deletion of its key, watched by a follower.

The account itself uses an official SDK. If there are two processes, calls alternate between them.
"""

from __future__ import annotations

import itertools
import time
import uuid
from datetime import timedelta
from typing import Any

import refusals as r
from clients.base import Identity
from operator_api import ABLE
from operator_client import ANYTHING, Day, Fields, Follower, Has, matches, tampered
from scenarios import BANDWIDTH, CDN_OPEN, DCDN_OPEN, FREE, GOOD, NEVER, NEVER_CHANGED, TRAFFIC
from signer import utc_text
from trial import Expected, Trial

IN_FORCE_WITHIN, ARRIVES_WITHIN = 10, 5  # seconds
BY_TRAFFIC, BY_BANDWIDTH = "CHARGE_TYPE_PAY_BY_TRAFFIC", "CHARGE_TYPE_PAY_BY_BANDWIDTH"


def a_working_day(trial: Trial) -> None:
    """Runs the whole scenario."""
    day, endpoints = Day(trial), trial.world.endpoints
    _create(day)
    watcher = Follower(endpoints, day.account_id, 3)
    # A follower of an account without events gets only cursors.
    quiet = Follower(list(reversed(endpoints)), trial.world.operator.create_account(), 5)
    try:
        for follower in (watcher, quiet):
            follower.start()
            cursors = follower.wait(None, ARRIVES_WITHIN)
            day.check("a stream begins with a cursor", bool(cursors), f"no response: {follower.problem}")
        seen_from = len(day.events)
        _changes(day, watcher)
        _locks(day)
        _account(day)
        _lists(day)
        _keys(day)
        listed = _events(day)
        wanted, end = listed[seen_from:], time.monotonic() + IN_FORCE_WITHIN
        while time.monotonic() < end and not (watcher.events[-1:] == wanted[-1:] and watcher.streams and quiet.streams):
            time.sleep(0.1)
    finally:
        watcher.close()
        quiet.close()
    for name, follower in (("follower", watcher), ("quiet follower", quiet)):
        good = follower.streams > 0 and not follower.problem
        day.check(f"the {name} continues after deadlines", good, f"{follower.streams} deadlines; {follower.problem}")
    # Events from just before the stream began may arrive, too.
    good = watcher.events[-len(wanted) :] == wanted and all(event in listed for event in watcher.events)
    unique = len({event["id"] for event in watcher.events}) == len(watcher.events)
    day.check("all events arrive, each once", good and unique, f"listed:  {wanted}\nwatched: {watcher.events}")
    counted = f"{quiet.silent} responses without event in {quiet.streams} whole streams"
    day.check("a quiet follower gets a cursor every few seconds", quiet.silent > quiet.streams + 1, counted)
    foreign = [event for event in quiet.events if event["accountId"] != str(quiet.account_id)]
    day.check("a follower of one account gets no event of others", not foreign, str(foreign))
    after = {"accountId": str(quiet.account_id), "cursor": quiet.cursors[-1]}
    day.expect("a cursor of a stream is valid for lists", "EventService/ListEvents", after, {"nextCursor": ANYTHING})


def _create(day: Day) -> None:
    account, number = {"accountId": str(day.account_id), **ABLE}, str(day.account_id)
    created = Has(**account, createTime=ANYTHING, etag=ANYTHING)
    other = {"account": {**account, "balance": "1"}}
    method = "AccountService/CreateAccount"
    day.repeatable("create an account", method, {"account": account}, other, {"account": created})
    day.refuse("the account exists", method, {"account": account}, r.ACCOUNT_EXISTS)
    day.happened("account.changed", "accountChanged", {"version": "1"})
    reply = day.repeatable(
        "create a key",
        "AccessKeyService/CreateAccessKey",
        {"accountId": number},
        {"policy": '{"Version":"1","Statement":[]}'},
        {"accessKey": Has(accountId=number, accessKeyId=ANYTHING, etag=ANYTHING), "accessKeySecret": ANYTHING},
    )
    day.who = Identity(day.account_id, reply["accessKey"]["accessKeyId"], reply["accessKeySecret"])
    day.happened("access_key.changed", "accessKeyChanged", {"accessKeyId": day.who.key})
    day.sdk("the new key works", "DescribeUserCdnStatus", NEVER)
    for product, (action, params) in (("CDN", CDN_OPEN), ("DCDN", DCDN_OPEN)):
        day.sdk(f"the SDK opens {product}", action, {}, params)
        which: Fields = {"accountId": number, "product": f"PRODUCT_{product}"}
        shown = Has(**which, orderId=ANYTHING, internetChargeType=BY_TRAFFIC)
        instance = day.expect(f"the instance of {product}", "InstanceService/GetInstance", which, {"instance": shown})
        members = ("product", "instanceId", "orderId", "internetChargeType", "websocketChargeType", "openingTime")
        data = {name: instance["instance"][name] for name in members if name in instance["instance"]}
        day.happened("instance.opened", "instanceOpened", data)
    day.cdn = {
        "InstanceId": number,
        "InternetChargeType": TRAFFIC,
        "OpeningTime": day.trial.recent(),
        **NEVER_CHANGED,
        "OperationLocks": FREE,
    }
    day.sdk("CDN is open", "DescribeCdnService", day.cdn)


def _changes(day: Day, watcher: Follower) -> None:
    schedule, cancel = (f"ChargeTypeChangeService/{verb}ChargeTypeChange" for verb in ("Schedule", "Cancel"))
    which: Fields = {"accountId": str(day.account_id), "product": "PRODUCT_CDN"}
    to_bandwidth, to_traffic = {"internetChargeType": BY_BANDWIDTH}, {"internetChargeType": BY_TRAFFIC}
    now = day.trial.world.now()
    for name, moment in (("past", utc_text(now - timedelta(5))), ("in parts of a second", "2099-01-01T00:00:00.5Z")):
        bad = {**which, **to_bandwidth, "effectiveTime": moment}
        day.refuse(f"an effective time {name}", schedule, bad, r.INVALID_FIELDS)

    moment = (day.trial.world.now() + timedelta(seconds=4)).replace(microsecond=0)
    change, data = _scheduled(day, schedule, {**which, **to_bandwidth, "effectiveTime": utc_text(moment)})
    day.cdn |= {"ChangingChargeType": BANDWIDTH, "ChangingAffectTime": utc_text(moment)}
    day.sdk("the change is pending", "DescribeCdnService", day.cdn)
    _arrives(day, watcher, "scheduled", "chargeTypeChangeScheduled", data, ARRIVES_WITHIN)
    time.sleep(max(0.0, (moment - day.trial.world.now()).total_seconds()) + 0.3)
    day.cdn |= {"InternetChargeType": BANDWIDTH}
    day.sdk("the change is in force", "DescribeCdnService", day.cdn)
    _arrives(day, watcher, "in_force", "chargeTypeChangeInForce", data, IN_FORCE_WITHIN)
    day.happened("charge_type_change.in_force", "chargeTypeChangeInForce", {"change": data})
    named = {"accountId": str(day.account_id), "changeId": change["changeId"]}
    day.refuse("a change that is in force is not cancelled", cancel, named, r.CHANGE_IN_FORCE)

    later = utc_text(moment + timedelta(hours=1))
    second, data = _scheduled(day, schedule, {**which, **to_traffic, "effectiveTime": later})
    pending = {**day.cdn, "ChangingChargeType": TRAFFIC, "ChangingAffectTime": later}
    day.sdk("another change is pending", "DescribeCdnService", pending)
    day.refuse("one change at a time", schedule, {**which, **to_traffic}, r.HAS_ORDER)
    named = {"accountId": str(day.account_id), "changeId": second["changeId"]}
    state = "CHARGE_TYPE_CHANGE_STATE_CANCELLED"
    cancelled = Has(changeId=second["changeId"], cancelTime=ANYTHING, state=state)
    reply = day.expect("cancel", cancel, named, {"chargeTypeChange": cancelled})
    day.expect("cancel again: nothing happens", cancel, named, reply)
    day.happened("charge_type_change.cancelled", "chargeTypeChangeCancelled", {"change": data})
    _arrives(day, watcher, "cancelled", "chargeTypeChangeCancelled", data, ARRIVES_WITHIN)
    day.sdk("as if it had never been submitted", "DescribeCdnService", day.cdn)
    kept = [Has(changeId=change["changeId"], state="CHARGE_TYPE_CHANGE_STATE_IN_FORCE"), cancelled]
    day.pages("changes", "ChargeTypeChangeService/ListChargeTypeChanges", which, "chargeTypeChanges", kept)


def _scheduled(day: Day, method: str, fields: Fields) -> tuple[Fields, Fields]:
    """Returns the change as the reply shows it, and as events show it."""
    state = "CHARGE_TYPE_CHANGE_STATE_PENDING"
    expected = {"chargeTypeChange": Has(**fields, state=state, changeId=ANYTHING, submitTime=ANYTHING)}
    change = day.repeatable("schedule a change", method, fields, {"effectiveTime": "2099-01-01T00:00:00Z"}, expected)
    change = change["chargeTypeChange"]
    data = {name: change[name] for name in ("changeId", "product", "internetChargeType", "effectiveTime")}
    day.happened("charge_type_change.scheduled", "chargeTypeChangeScheduled", {"change": data})
    return change, data


def _arrives(day: Day, watcher: Follower, what: str, member: str, data: Fields, seconds: float) -> None:
    event = watcher.wait(f"activation.charge_type_change.{what}", seconds)
    good = matches(event, Has(data={member: {"change": data}}))
    problem = f"expected {data} within {seconds} s, got {event}, all: {watcher.events}; {watcher.problem}"
    day.check(f"the event {what} arrives", good, problem)


def _locks(day: Day) -> None:
    which: Fields = {"accountId": str(day.account_id), "product": "PRODUCT_CDN"}
    lock, unlock, listed = (f"OperationLockService/{verb}" for verb in ("Lock", "Unlock", "ListOperationLocks"))
    held: list[str] = []
    for reason, on_service in (("financial", True), ("security", False)):
        held.append(reason)
        by = {**which, "reason": reason, "lockedBy": "operator client"}
        reply = day.expect(f"lock: {reason}", lock, by, {"operationLock": {**by, "lockTime": ANYTHING}})
        day.expect(f"lock: {reason} again, the lock stays as it is", lock, {**by, "lockedBy": "another"}, reply)
        data = {name: by[name] for name in ("product", "reason", "lockedBy")}
        day.happened("operation.locked", "operationLocked", data)
        day.sdk(
            f"locked, {held}",
            "DescribeCdnService",
            {**day.cdn, "OperationLocks": {"LockReason": [{"LockReason": each} for each in held]}},
        )
        status = {**GOOD, "OnService": on_service, "InDebt": True}
        day.sdk(f"status, {held}", "DescribeUserCdnStatus", status)
    holding = [Has(reason=reason) for reason in held]
    day.expect("locks that hold", listed, which, {"operationLocks": holding})
    for reason in held:
        day.expect(f"unlock: {reason}", unlock, {**which, "reason": reason}, {"lifted": True})
        day.expect(f"unlock: {reason} again, nothing happens", unlock, {**which, "reason": reason}, {})
        data = {"product": which["product"], "reason": reason}
        day.happened("operation.unlocked", "operationUnlocked", data)
    day.sdk("unlocked", "DescribeCdnService", day.cdn)
    day.sdk("status, unlocked", "DescribeUserCdnStatus", GOOD)
    day.expect("no lock holds", listed, which, {})
    lifted = [Has(reason=reason, liftTime=ANYTHING) for reason in held]
    day.pages("locks, lifted ones too", listed, {**which, "showLifted": True}, "operationLocks", lifted)


def _account(day: Day) -> None:
    number = str(day.account_id)
    update, get = "AccountService/UpdateAccount", "AccountService/GetAccount"
    read = day.expect("read the account", get, {"accountId": number}, {"account": ANYTHING})["account"]
    # Fields that the mask does not name are ignored.
    change = {"account": {"accountId": number, "balance": "7", "bidUser": True, "etag": read["etag"]}}
    masked = {**change, "updateMask": "balance"}
    kept = {**read, "balance": "7", "etag": ANYTHING, "updateTime": ANYTHING}
    reply = day.repeatable("update by mask", update, masked, {"updateMask": "bidUser"}, {"account": kept})
    day.refuse("update with an old etag", update, masked, r.ETAG_DIFFERS)
    day.happened("account.changed", "accountChanged", {"version": "2"})
    day.expect("read the account again", get, {"accountId": number}, reply)


def _lists(day: Day) -> None:
    number = str(day.account_id)
    second = day.expect("a second key", "AccessKeyService/CreateAccessKey", {"accountId": number})["accessKey"]
    day.happened("access_key.changed", "accessKeyChanged", {"accessKeyId": second["accessKeyId"]})
    keys = [Has(accessKeyId=key) for key in sorted([day.who.key, second["accessKeyId"]])]
    day.pages("keys", "AccessKeyService/ListAccessKeys", {"accountId": number}, "accessKeys", keys)
    opened = [
        Has(product="PRODUCT_CDN", instanceId=number, internetChargeType=BY_BANDWIDTH),
        Has(product="PRODUCT_DCDN", internetChargeType=BY_TRAFFIC),
    ]
    day.pages("instances", "InstanceService/ListInstances", {"accountId": number}, "instances", opened)
    # The list has all accounts: the first two pages must be in order.
    accounts, one = "AccountService/ListAccounts", {"accounts": [ANYTHING], "nextPageToken": ANYTHING}
    first = day.expect("accounts, first page", accounts, {"pageSize": 1}, one)
    token = first["nextPageToken"]
    after = Expected("the next account", lambda found: int(found["accountId"]) > int(first["accounts"][0]["accountId"]))
    day.expect("accounts, second page", accounts, {"pageSize": 1, "pageToken": token}, Has(accounts=[after]))
    day.refuse("accounts, tampered token", accounts, {"pageToken": tampered(token)}, r.INVALID_FIELDS)


def _keys(day: Day) -> None:
    key = {"accessKeyId": day.who.key}
    status = ("DescribeUserCdnStatus", GOOD)
    disabled = {"accessKey": Has(**key, disabled=True)}
    reply = day.expect("disable the key", "AccessKeyService/DisableAccessKey", key, disabled)
    day.happened("access_key.changed", "accessKeyChanged", {**key, "disabled": True})
    day.sdk("a disabled key", status[0], r.KEY_DISABLED)
    # Not the whole reply: the day of the last use may have been recorded in between.
    same = {"accessKey": Has(**key, disabled=True, etag=reply["accessKey"]["etag"])}
    day.expect("disable again, it stays disabled", "AccessKeyService/DisableAccessKey", key, same)
    old = {**key, "etag": '"0"'}
    day.refuse("enable with an old etag", "AccessKeyService/EnableAccessKey", old, r.ETAG_DIFFERS)
    etag = {**key, "etag": reply["accessKey"]["etag"]}
    day.expect("enable the key", "AccessKeyService/EnableAccessKey", etag, {"accessKey": Has(**key, etag=ANYTHING)})
    day.happened("access_key.changed", "accessKeyChanged", key)
    day.sdk("an enabled key", *status)
    delete = {**key, "requestId": str(uuid.uuid4())}
    day.expect("delete the key", "AccessKeyService/DeleteAccessKey", delete, {})
    day.happened("access_key.changed", "accessKeyChanged", Has(**key, deleted=True))
    day.sdk("a deleted key", status[0], r.NO_KEY)
    day.expect("delete again with the same id, the same answer", "AccessKeyService/DeleteAccessKey", delete, {})
    day.refuse("delete again", "AccessKeyService/DeleteAccessKey", key, r.KEY_GONE)


def _events(day: Day) -> list[Fields]:
    """Lists all events from the empty cursor, page by page: each once and in order."""
    account, found, cursor = {"accountId": str(day.account_id)}, [], ""
    end = time.monotonic() + ARRIVES_WITHIN
    while True:
        fields = {**account, "cursor": cursor, "pageSize": 4}
        page = day.expect("a page of events", "EventService/ListEvents", fields, Has(nextCursor=ANYTHING))
        cursor = page["nextCursor"]
        found += page.get("events", [])
        if not page.get("events") and (len(found) >= len(day.events) or time.monotonic() > end):
            break
        time.sleep(0 if page.get("events") else 0.1)
    envelope = {"source": "//cdn-activation", "subject": f"accounts/{day.account_id}", "id": ANYTHING, "time": ANYTHING}
    expected = [{**envelope, **account, "type": kind, "data": data} for kind, data in day.events]
    lines = "\n".join(f"{want}\n    {got}" for want, got in itertools.zip_longest(expected, found))
    day.check("all events are listed, typed and in order", matches(found, expected), f"expected and got:\n{lines}")
    times = [event["time"].rstrip("Z").ljust(20, ".").ljust(30, "0") for event in found]
    day.check("later events have later times", all(a < b for a, b in itertools.pairwise(times)), str(times))
    unique = len({event["id"] for event in found}) == len(found)
    day.check("each event is listed once", unique, str([event["id"] for event in found]))
    for name, wrong in (
        ("tampered", {**account, "cursor": tampered(cursor)}),
        ("of another account", {"accountId": "1", "cursor": cursor}),
        ("of all accounts", {"cursor": cursor}),
    ):
        for verb in ("List", "Watch"):
            day.refuse(f"{verb} with a cursor {name}", f"EventService/{verb}Events", wrong, r.INVALID_FIELDS)
    return found
