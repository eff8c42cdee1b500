"""The parts that all client adapters share."""

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
    """Returns the product of an action. For an unknown action, it is DCDN if the name contains it."""
    return "dcdn" if "Dcdn" in action else "cdn"


def version_of(action: str) -> str:
    """Returns the API version that current clients send for an action."""
    return ACTIONS.get(action, DCDN if "Dcdn" in action else CDN)


@dataclass(frozen=True)
class Endpoint:
    """The addresses of one server process, and the token for its gRPC listener."""

    rest: str
    grpc: str
    ops: str
    token: str


@dataclass(frozen=True)
class Identity:
    """The caller: its account for gRPC, and its access key for signed requests."""

    account_id: int
    key: str
    secret: str
    # A security token to send. No test has a valid one: a token with a permanent key must be refused.
    security_token: str | None = None


class Client:
    """One row of the matrix: a client with one way of using it."""

    name = ""  # as SKIP_CLIENTS spells it
    signature = ""  # V1, V3, or the authentication of gRPC
    format = ""  # the format of the reply
    placement = ""  # where parameters are sent
    published = True  # false for this suite's own signer

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Returns the row's labels, in the order of the matrix."""
        return (self.name, self.signature, self.format, self.placement)

    @property
    def is_grpc(self) -> bool:
        """Whether the request names the account instead of signing for it."""
        return self.signature == "bearer"

    def detects_wrong_secret(self, action: str) -> bool:
        """Whether the client replaces the server's SignatureDoesNotMatch by a code of its own."""
        return False

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        """Calls an action. It never raises: a reply that the client cannot read is returned as a crash."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the processes of the adapter."""
