"""Several processes on one database, and several requests at once: the next request at any process sees every change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import refusals as r
from clients.base import Client, Endpoint, Identity
from clients.raw import send, v1_request
from outcome import Outcome
from scenarios import CDN_OPEN, DCDN_OPEN, NEVER
from trial import Trial

ROUNDS = 6


def nonces_across_processes(trial: Trial) -> None:
    """A request that one process accepted is refused by every other."""
    who = trial.world.roles["able"]
    first, last = trial.world.endpoints[0], trial.world.endpoints[-1]
    for name, sent_to, replayed_to in [("A then B", first, last), ("B then A", last, first)]:
        request = v1_request(who, "DescribeUserCdnStatus", {})
        trial.judge("race", f"first, {name}", send(sent_to, "DescribeUserCdnStatus", request), NEVER, str(request))
        trial.judge(
            "race",
            f"replayed, {name}",
            send(replayed_to, "DescribeUserCdnStatus", request),
            r.NONCE_USED,
            f"the same at the other process: {request}",
        )


def keys_across_processes(trial: Trial) -> None:
    """A key that was disabled through one process is refused by the other at once."""
    for endpoint in trial.world.endpoints:
        who = trial.world.operator.fresh()
        outcome = trial.call(who, "DescribeUserCdnStatus", endpoint=endpoint)
        trial.judge("race", "a new key, at once", outcome, NEVER, "DescribeUserCdnStatus")
        trial.world.operator.disable_key(who)
        outcome = trial.call(who, "DescribeUserCdnStatus", endpoint=endpoint)
        trial.judge("race", "a disabled key, at once", outcome, r.KEY_DISABLED, "DescribeUserCdnStatus")


def simultaneous_openings(trial: Trial, second: Client) -> None:
    """Two clients open the same product at the same time: always one succeeds, and the other is refused."""
    ends = [(trial.client, trial.world.endpoints[0]), (second, trial.world.endpoints[-1])]
    for turn in range(ROUNDS):
        for product, (action, params), refusal in [
            ("CDN", CDN_OPEN, r.CDN_HAS_OPENED),
            ("DCDN", DCDN_OPEN, r.DCDN_HAS_OPENED),
        ]:
            who = trial.world.operator.fresh()
            outcomes = _at_once(ends, who, action, params)
            name = f"{product}, round {turn + 1}, against {second.name}"
            winners = [outcome for outcome in outcomes if outcome.ok]
            losers = [refusal.differs(outcome) for outcome in outcomes if not outcome.ok]
            good = len(winners) == 1 and losers == [None]
            trial.record(
                "race",
                name,
                "" if good else f"expected one success and one {refusal.code}, got\n" + "\n".join(map(str, outcomes)),
            )
            described = trial.call(who, f"Describe{'Dcdn' if product == 'DCDN' else 'Cdn'}Service")
            trial.record("race", f"{name}: it is open", "" if described.ok else f"got {described}")


def _at_once(ends: list[tuple[Client, Endpoint]], who: Identity, action: str, params: dict[str, str]) -> list[Outcome]:
    barrier = Barrier(len(ends))

    def attempt(end: tuple[Client, Endpoint]) -> Outcome:
        client, endpoint = end
        barrier.wait(timeout=30)
        return client.call(endpoint, who, action, params)

    with ThreadPoolExecutor(len(ends)) as pool:
        return list(pool.map(attempt, ends))
