"""Scenarios for gRPC only: tokens, the account header, health, reflection, request ids and the operator services."""

from __future__ import annotations

import uuid
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import refusals as r
from clients.base import Endpoint, Identity
from clients.grpcio import Grpc, refused_by_rpc
from outcome import Outcome, crashed, succeeded
from scenarios import CDN_OPEN, DCDN_OPEN, NEVER
from trial import Trial

STATUS = "DescribeUserCdnStatus"
OPERATOR = "activation.operator.v1"
SERVICES = {
    "activation.cdn.v1.CdnService",
    "activation.dcdn.v1.DcdnService",
    f"{OPERATOR}.AccountService",
    f"{OPERATOR}.AccessKeyService",
    f"{OPERATOR}.AuditService",
    f"{OPERATOR}.EventService",
    f"{OPERATOR}.OperationLockService",
    "grpc.health.v1.Health",
}


def callers_and_accounts(trial: Trial) -> None:
    """Tests the token and the account header."""
    client, able = _grpc(trial), trial.world.roles["able"]
    account = [("x-account-id", str(able.account_id))]
    for name, token in [("no token", None), ("wrong token", "wrong"), ("part of the token", "")]:
        endpoint = trial.world.turn()
        token = endpoint.token[:-1] if token == "" else token
        outcome = client.call_with(endpoint, STATUS, {}, account, token)
        _unauthenticated(trial, name, outcome)
        outcome = _raw(client, endpoint, f"{OPERATOR}.AccountService", "GetAccount", {"accountId": "1"}, token)
        _unauthenticated(trial, f"{name}, operator service", outcome)
    for action, params in (CDN_OPEN, DCDN_OPEN, (STATUS, {})):
        outcome = client.call_with(trial.world.turn(), action, params, [])
        trial.judge("auth", f"{action} without account", outcome, r.NO_ACCOUNT_ID, f"{action} without x-account-id")
    for text in ("abc", "0", "-1", "9223372036854775808", "1.0", "0x10"):
        outcome = client.call_with(trial.world.turn(), STATUS, {}, [("x-account-id", text)])
        trial.judge("auth", f"account {text!r}", outcome, r.BAD_ACCOUNT_ID, f"{STATUS} with x-account-id {text!r}")
    for action, params in (CDN_OPEN, (STATUS, {}), ("DescribeDcdnService", {})):
        outcome = client.call_with(trial.world.turn(), action, params, [("x-account-id", str(2**63 - 1))])
        request = f"{action} with an account that does not exist"
        trial.judge("auth", f"{action} of an unknown account", outcome, r.NO_ACCOUNT, request)
    # A disabled key does not matter here: the token authenticates the service, which names the account.
    trial.answers("auth", "the account of a disabled key", trial.world.roles["disabled"], STATUS, {}, NEVER)


def wire(trial: Trial) -> None:
    """Tests health without a token, reflection and request ids."""
    client = _grpc(trial)
    for endpoint in trial.world.endpoints:
        trial.record("wire", "health without a token", _health(endpoint))
        missing = SERVICES - client.server(endpoint).services()
        trial.record("wire", "reflection lists the services", f"missing: {sorted(missing)}" if missing else "")
    able = trial.world.roles["able"]
    for name, account, expected in [
        ("the request id is always new", able, NEVER),
        ("the request id of a refusal is always new", Identity(2**63 - 1, "", ""), r.NO_ACCOUNT),
    ]:
        sent = str(uuid.uuid4())
        outcome = _as(client, trial, account, sent)
        trial.judge("wire", name, outcome, expected, f"{STATUS} with x-request-id {sent}")
        new = outcome.request_id and outcome.request_id != sent.upper()
        trial.record("wire", f"{name}: another one", "" if new else f"sent {sent}, got {outcome.request_id}")


def operators(trial: Trial) -> None:
    """Tests the operator services for accounts: the next opening sees what they change."""
    operator, client = trial.world.operator, _grpc(trial)
    who = operator.fresh(realNameVerified=False)
    trial.refuses("operator", "an account without a real name", who, *CDN_OPEN, r.NO_NAME)
    operator.update_account(who.account_id, realNameVerified=True)
    trial.answers("operator", "the real name was verified", who, *CDN_OPEN)
    account = {"account": {"accountId": str(who.account_id)}}
    outcome = _raw(client, trial.world.turn(), f"{OPERATOR}.AccountService", "CreateAccount", account)
    trial.judge("operator", "accounts are created once", outcome, r.ACCOUNT_EXISTS, f"CreateAccount {account}")
    change = {"account": {"accountId": str(who.account_id), "etag": "another"}, "updateMask": "balance"}
    outcome = _raw(client, trial.world.turn(), f"{OPERATOR}.AccountService", "UpdateAccount", change)
    trial.judge("operator", "an old etag is refused", outcome, r.ETAG_DIFFERS, f"UpdateAccount {change}")
    reply = operator.call("AccountService", "GetAccount", accountId=str(who.account_id)).account
    kept = reply.real_name_verified and reply.balance == 1_000_000 and reply.site == 1
    trial.record("operator", "an update changes what its mask names", "" if kept else f"GetAccount returns {reply}")


def _grpc(trial: Trial) -> Grpc:
    assert isinstance(trial.client, Grpc)
    return trial.client


def _unauthenticated(trial: Trial, name: str, outcome: Outcome) -> None:
    trial.judge("auth", name, outcome, r.UNAUTHENTICATED, f"a call with {name}")


def _as(client: Grpc, trial: Trial, who: Identity, request_id: str) -> Outcome:
    metadata = [("x-account-id", str(who.account_id)), ("x-request-id", request_id)]
    return client.call_with(trial.world.turn(), STATUS, {}, metadata)


def _raw(
    client: Grpc, endpoint: Endpoint, service: str, method: str, fields: dict[str, Any], token: str | None = ""
) -> Outcome:
    try:
        client.server(endpoint).call(service, method, fields, token=token)
        return succeeded({})
    except grpc.RpcError as error:
        return refused_by_rpc(error)
    except Exception as error:  # noqa: BLE001 - every error goes into the report
        return crashed(f"{type(error).__name__}: {error}")


def _health(endpoint: Endpoint) -> str:
    with grpc.insecure_channel(endpoint.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.RpcError as error:
            return f"{error.code()}: {error.details()}"
    return "" if reply.status == health_pb2.HealthCheckResponse.SERVING else f"the health is {reply.status}"
