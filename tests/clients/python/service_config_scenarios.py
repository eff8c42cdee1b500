"""The service config that is shipped for clients, in Python's gRPC, while replicas are killed and started again."""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from clients.grpcio import refused_by_rpc
from operator_api import PACKAGE
from reflection import Server
from trial import Trial

CONFIG = Path(__file__).parents[3] / "deploy" / "service-config.json"
CALLERS = 4
# gRPC connects again a second after a connection was refused.
AGAIN = 3.0


def replicas_that_are_killed(trial: Trial) -> None:
    """Reads, and writes with a request id, do not fail while one replica after the other is killed."""
    world = trial.world
    assert world.restart is not None
    target = "ipv4:" + ",".join(endpoint.grpc for endpoint in world.endpoints)
    # Without an authority, gRPC would send the whole list as the name of the server.
    options = [("grpc.service_config", CONFIG.read_text()), ("grpc.default_authority", "cdn-activation")]
    server = Server(target, world.endpoints[0].token, options)
    server.call(f"{PACKAGE}.AccountService", "ListAccounts", {})  # reads the descriptors, which threads cannot do at once
    done, problems, calls = threading.Event(), [], itertools.count()

    def work() -> None:
        while not done.is_set():
            account = str(random.randrange(10**12, 10**15))
            for method, fields in [
                ("CreateAccount", {"account": {"accountId": account}, "requestId": str(uuid.uuid4())}),
                ("GetAccount", {"accountId": account}),
            ]:
                try:
                    server.call(f"{PACKAGE}.AccountService", method, fields)
                    next(calls)
                except grpc.RpcError as error:
                    problems.append(f"{method} {fields}: {refused_by_rpc(error)}")

    with ThreadPoolExecutor(CALLERS) as pool:
        workers = [pool.submit(work) for _ in range(CALLERS)]
        try:
            for index in range(len(world.endpoints)):
                time.sleep(AGAIN / 3)
                world.restart(index)
                time.sleep(AGAIN)
        finally:
            done.set()
        for worker in workers:
            worker.result()
    server.close()
    made = next(calls)
    trial.record("restart", "no call fails with the service config", "\n".join(problems))
    trial.record("restart", "callers were busy", "" if made > 100 else f"only {made} calls")
