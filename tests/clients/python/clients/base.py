"""What every client adapter has in common."""

from __future__ import annotations

from dataclasses import dataclass
from collections.abc import Mapping

from outcome import Outcome

CDN, CDN_2014, DCDN = "2018-05-10", "2014-11-11", "2018-01-15"
ACTIONS = {
    "OpenCdnService": CDN,
    "DescribeCdnService": CDN,
    "ModifyCdnService": CDN,
    "DescribeUserCdnStatus": CDN,
    "DescribeCdnUserBillType": CDN,
    "OpenDcdnService": DCDN,
    "DescribeDcdnService": DCDN,
    "DescribeUserDcdnStatus": DCDN,
    "DescribeDcdnUserBillType": DCDN,
}


def product_of(action: str) -> str:
    """The product that an SDK would be made for; an unknown action is tried with DCDN's when it says so."""
    return "dcdn" if "Dcdn" in action else "cdn"


def version_of(action: str) -> str:
    """The API version that clients of today send for an action."""
    return ACTIONS.get(action, DCDN if "Dcdn" in action else CDN)


@dataclass(frozen=True)
class Endpoint:
    """Where one process of the server listens, and the token that its gRPC side wants."""

    rest: str
    grpc: str
    ops: str
    token: str


@dataclass(frozen=True)
class Identity:
    """Who asks: the account for gRPC, its access key for everything that signs."""

    account_id: int
    key: str
    secret: str
    # A security token to send along. No test owns a valid one: a token with a permanent key has to be refused.
    security_token: str | None = None


class Client:
    """One row of the matrix: a client, and the one way of using it that the row is about."""

    name = ""  # as SKIP_CLIENTS spells it
    signature = ""  # V1, V3, or what gRPC has instead
    format = ""  # what the reply is written in
    placement = ""  # where parameters travel
    published = True  # false for this suite's own signer

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The row's labels, in the order of the matrix."""
        return (self.name, self.signature, self.format, self.placement)

    @property
    def is_grpc(self) -> bool:
        """Whether the account is named instead of proved by a signature."""
        return self.signature == "bearer"

    def detects_wrong_secret(self, action: str) -> bool:
        """Whether the client turns the server's SignatureDoesNotMatch into a code of its own, which no server sends."""
        return False

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        """Calls an action. Never raises: what the client cannot read comes back as a crash."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends what the adapter started."""
