"""The operator services over gRPC, by which the suite creates its accounts, keys and locks.

The database is not accessed: the suite creates everything as an internal service does.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

from clients.base import Endpoint, Identity
from reflection import Server

PACKAGE = "activation.operator.v1"
READ_ONLY = (
    '{"Version":"1","Statement":[{"Effect":"Allow","Action":["cdn:Describe*","dcdn:Describe*"],"Resource":"*"}]}'
)
# An account that may open everything. Each trait below violates one condition.
ABLE = {
    "realNameVerified": True,
    "profileComplete": True,
    "paymentMethodValid": True,
    "balance": "1000000",
    "site": "SITE_DOMESTIC",
}
TRAITS: dict[str, dict[str, Any]] = {
    "bid": {"bidUser": True},
    "intl": {"site": "SITE_INTL"},
    "noname": {"realNameVerified": False},
    "noprofile": {"profileComplete": False},
    "nopay": {"paymentMethodValid": False},
    "poor": {"balance": "-1"},
    "noorder": {"ordersRefused": True},
}


class Operator:
    """Calls the operator services of one process."""

    # Random, so that several runs can use the same database.
    _ids = itertools.count(random.randrange(2 * 10**15, 9 * 10**15))

    def __init__(self, endpoint: Endpoint) -> None:
        self.server = Server(endpoint.grpc, endpoint.token)

    def call(self, service: str, method: str, **fields: Any) -> Any:
        """Calls `activation.operator.v1.<service>/<method>`."""
        return self.server.call(f"{PACKAGE}.{service}", method, fields)[0]

    def create_account(self, account_id: int | None = None, **traits: Any) -> int:
        """Creates an account that may open everything, with the given traits changed."""
        account_id = account_id or next(self._ids)
        self.call("AccountService", "CreateAccount", account={"accountId": str(account_id), **ABLE, **traits})
        return account_id

    def update_account(self, account_id: int, **fields: Any) -> None:
        """Changes only the named fields."""
        self.call(
            "AccountService",
            "UpdateAccount",
            account={"accountId": str(account_id), **fields},
            updateMask=",".join(fields),
        )

    def create_key(self, account_id: int, policy: str = "") -> Identity:
        """Creates an access key. Only this reply has the secret."""
        reply = self.call("AccessKeyService", "CreateAccessKey", accountId=str(account_id), policy=policy)
        return Identity(account_id, reply.access_key.access_key_id, reply.access_key_secret)

    def fresh(self, **traits: Any) -> Identity:
        """Creates an account with a key."""
        return self.create_key(self.create_account(**traits))

    def disable_key(self, who: Identity) -> None:
        """Disables the key."""
        self.call("AccessKeyService", "DisableAccessKey", accessKeyId=who.key)

    def enable_key(self, who: Identity) -> None:
        """Enables the key."""
        self.call("AccessKeyService", "EnableAccessKey", accessKeyId=who.key)

    def issue_token(self, who: Identity, policy: str = "") -> Identity:
        """Issues a temporary credential of the key."""
        reply = self.call("AccessKeyService", "IssueSecurityToken", accessKeyId=who.key, policy=policy)
        return Identity(who.account_id, reply.access_key_id, reply.access_key_secret, reply.security_token)

    def lock(self, who: Identity, product: str, reason: str) -> None:
        """Sets a lock on an instance."""
        self.call(
            "OperationLockService",
            "Lock",
            accountId=str(who.account_id),
            product=f"PRODUCT_{product.upper()}",
            reason=reason,
            lockedBy="client suite",
        )

    def unlock(self, who: Identity, product: str, reason: str) -> None:
        """Lifts a lock."""
        self.call(
            "OperationLockService",
            "Unlock",
            accountId=str(who.account_id),
            product=f"PRODUCT_{product.upper()}",
            reason=reason,
        )

    def close(self) -> None:
        """Closes the connection."""
        self.server.close()
