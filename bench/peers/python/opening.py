"""Open: one transaction of four statements, and the conditions in the order in which they are reported."""

import uuid
from datetime import datetime, timedelta, timezone

import asyncpg
from activation.billing.v1 import charge_pb2
from grpc import StatusCode

from refused import Refused

# What an account may open with by itself; by traffic where nothing is given.
PUBLIC = {
    charge_pb2.CHARGE_TYPE_UNSPECIFIED: "PayByTraffic",
    charge_pb2.CHARGE_TYPE_PAY_BY_TRAFFIC: "PayByTraffic",
    charge_pb2.CHARGE_TYPE_PAY_BY_BANDWIDTH: "PayByBandwidth",
}

READ_ACCOUNT = """
    SELECT site, intl_allowed, bid_user, real_name_verified, profile_complete, payment_method_valid,
        balance, orders_refused, event_time
    FROM accounts WHERE account_id = $1 FOR SHARE"""
INSERT_INSTANCE = """
    INSERT INTO instances (account_id, product, instance_id, internet_charge_type,
        websocket_charge_type, opening_time, order_id, event_time)
    VALUES ($1, 'cdn', $2, $3, NULL, $4, $5, $6) ON CONFLICT DO NOTHING"""
INSERT_ORDER = """
    INSERT INTO orders (account_id, order_id, product, internet_charge_type, websocket_charge_type,
        ordered_at)
    VALUES ($1, $2, 'cdn', $3, NULL, $4)"""
INSERT_EVENT = """
    INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
    VALUES ($1, $2, $1::bigint % 16, $3, 'activation.instance.opened', $4)"""
EVENT_DATA = b"e" * 90  # stands for an encoded event: as many bytes as one of ours


def charge_type(number: int) -> str:
    """The stored spelling of what is to be opened with."""
    if number not in PUBLIC:
        raise Refused(StatusCode.INVALID_ARGUMENT, "the charge type cannot be opened with")
    return PUBLIC[number]


async def open_cdn(pool: asyncpg.Pool, account_id: int, internet_charge_type: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        account = await connection.fetchrow(READ_ACCOUNT, account_id)
        if account is None:
            raise Refused(StatusCode.NOT_FOUND, "there is no such account")
        check_before_opening(account)
        now = datetime.now(timezone.utc)
        event_time = max(now, account["event_time"] + timedelta(microseconds=1))
        order_id = uuid.uuid4()
        inserted = await connection.execute(
            INSERT_INSTANCE, account_id, str(account_id), internet_charge_type, now, order_id, event_time
        )
        if inserted == "INSERT 0 0":
            raise Refused(StatusCode.ALREADY_EXISTS, "CDN has been opened")
        # A refusal leaves the transaction, which takes the row back.
        check_after_opening(account)
        await connection.execute(INSERT_ORDER, account_id, order_id, internet_charge_type, now)
        await connection.execute(INSERT_EVENT, account_id, uuid.uuid4(), event_time, EVENT_DATA)


def check_before_opening(account: asyncpg.Record) -> None:
    """The conditions that are reported before "has been opened"."""
    if account["bid_user"]:
        raise Refused(StatusCode.PERMISSION_DENIED, "bid user")
    if account["site"] == "intl" and not account["intl_allowed"]:
        raise Refused(StatusCode.PERMISSION_DENIED, "international site")


def check_after_opening(account: asyncpg.Record) -> None:
    """The conditions that are reported after it."""
    if not account["real_name_verified"]:
        raise Refused(StatusCode.FAILED_PRECONDITION, "no real-name authentication")
    if not account["profile_complete"]:
        raise Refused(StatusCode.FAILED_PRECONDITION, "the profile is incomplete")
    if not account["payment_method_valid"]:
        raise Refused(StatusCode.FAILED_PRECONDITION, "no payment method")
    if account["balance"] < 0:
        raise Refused(StatusCode.FAILED_PRECONDITION, "the balance is too low")
    if account["orders_refused"]:
        raise Refused(StatusCode.ABORTED, "orders are refused")
