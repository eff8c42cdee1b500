"""What the scenarios run against: the processes of one deployment and its accounts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from collections.abc import Callable

from clients.base import Endpoint, Identity
from operator_api import READ_ONLY, TRAITS, Operator

# The demo accounts of `dev` (docs/behaviour.md, "Demo accounts"): the role follows "testid-" in the key's id.
DEMO = {
    "able": (1000000000000001, "testid"),
    "opened": (1000000000000002, "testid-opened"),
    "bid": (1000000000000003, "testid-bid"),
    "intl": (1000000000000004, "testid-intl"),
    "noname": (1000000000000005, "testid-noname"),
    "noprofile": (1000000000000006, "testid-noprofile"),
    "nopay": (1000000000000007, "testid-nopay"),
    "poor": (1000000000000008, "testid-poor"),
    "noorder": (1000000000000009, "testid-noorder"),
    "readonly": (1000000000000010, "testid-readonly"),
    "disabled": (1000000000000011, "testid-disabled"),
}


@dataclass
class World:
    """One environment. `roles` has the account for each row of the opening table."""

    name: str
    endpoints: list[Endpoint]
    roles: dict[str, Identity]
    operator: Operator
    # The difference between the business clock and the clock of this machine (`dev --at`).
    ahead: timedelta = timedelta(0)
    # Kills the process at an endpoint and starts it again, in a deployment.
    restart: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        self._turns = itertools.cycle(self.endpoints)

    def turn(self) -> Endpoint:
        """Returns the next process. If there are several, requests alternate between them."""
        return next(self._turns)

    def now(self) -> datetime:
        """Returns the time of the business clock."""
        return datetime.now(timezone.utc) + self.ahead


def demo_roles() -> dict[str, Identity]:
    """Returns the demo accounts."""
    return {role: Identity(account_id, key, "testsecret") for role, (account_id, key) in DEMO.items()}


def made_roles(operator: Operator) -> dict[str, Identity]:
    """Creates the same accounts through the operator services, for a deployment without demo accounts.

    The caller opens "opened", because opening is an action and not an operator's call.
    """
    roles = {role: operator.fresh(**traits) for role, traits in TRAITS.items()}
    roles["able"], roles["opened"] = operator.fresh(), operator.fresh()
    roles["readonly"] = operator.create_key(operator.create_account(), READ_ONLY)
    roles["disabled"] = operator.fresh()
    operator.disable_key(roles["disabled"])
    return roles
