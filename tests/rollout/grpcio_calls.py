"""Calls with grpcio until standard input ends; then prints one line with four columns for each kind of client.

Usage: TOKEN=... grpcio_calls.py SERVICE_CONFIG ADDRESS,ADDRESS PROXY ACCOUNT
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import grpc

METHOD = "/activation.cdn.v1.CdnService/DescribeCdnService"
ROUND_ROBIN = '{"loadBalancingConfig": [{"round_robin": {}}]}'
CALLERS = 2
PAUSE = 0.02


class Client:
    """A channel, its callers, and what became of their calls."""

    def __init__(self, name: str, target: str, config: str | None, metadata: list[tuple[str, str]]) -> None:
        # A target with several addresses is no valid authority of HTTP/2 (docs/clients.md).
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "cdn-activation")]
        if config is not None:
            options.append(("grpc.service_config", config))
        self.name, self._metadata = name, metadata
        self._channel = grpc.insecure_channel(target, options)
        self._call = self._channel.unary_unary(METHOD, bytes, bytes)  # an empty message needs no descriptors
        self._lock = threading.Lock()
        self.calls, self.failed, self.first_failure = 0, 0, None
        self._begun = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Calls, pauses and calls again."""
        while not stop.is_set():
            failure = None
            try:
                self._call(b"", metadata=self._metadata, timeout=10)
            except grpc.RpcError as error:
                failure = f"after {time.monotonic() - self._begun:.1f} s: {error.code().name}: {error.details()}"
            with self._lock:
                self.calls += 1
                self.failed += failure is not None
                self.first_failure = self.first_failure or failure
            time.sleep(PAUSE)

    def told(self) -> str:
        """Returns the line about the calls."""
        first = (self.first_failure or "").replace("\n", " ")
        return f"{self.name}\t{self.calls}\t{self.failed}\t{first}"


def main() -> None:
    """Runs all clients."""
    path, replicas, proxy, account = sys.argv[1:]
    config = Path(path).read_text()
    metadata = [("authorization", f"Bearer {os.environ['TOKEN']}"), ("x-account-id", account)]
    directly, through = f"ipv4:{replicas}", f"ipv4:{proxy}"
    clients = [
        Client("grpcio, directly", directly, ROUND_ROBIN, metadata),
        Client("grpcio with the service config, directly", directly, config, metadata),
        Client("grpcio, through haproxy (h2)", through, None, metadata),
        Client("grpcio with the service config, through haproxy (h2)", through, config, metadata),
    ]
    stop = threading.Event()
    threads = [threading.Thread(target=client.run, args=(stop,)) for client in clients for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    for client in clients:
        print(client.told())


if __name__ == "__main__":
    main()
