"""A client of cdn-activation in Python: retries, deadlines, the account, and events that are followed across restarts."""

from __future__ import annotations

import os
import random
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import grpc

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "gen"))  # made by grpcio-tools: see run

from activation.billing.v1 import charge_pb2 as billing  # noqa: E402
from activation.cdn.v1 import cdn_pb2, cdn_pb2_grpc  # noqa: E402
from activation.event.v1.event_pb2 import Event  # noqa: E402
from activation.operator.v1 import event_pb2, event_pb2_grpc, operation_lock_pb2, operation_lock_pb2_grpc  # noqa: E402

SERVICE_CONFIG = HERE.parents[1] / "deploy" / "service-config.json"
DEADLINE = 5.0  # seconds, retries included
WATCH = 30.0  # the longest that the service allows
# What a follower goes on after: the deadline of a watch, a server that stops, a broken connection.
GOES_ON = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


class Client:
    """One connection to each address, with the token of this service."""

    def __init__(self, target: str, token: str) -> None:
        options = [("grpc.service_config", SERVICE_CONFIG.read_text())]  # retries
        if "," in target:
            # A list of addresses is not a valid authority. With TLS, this would be the name in the certificate.
            options.append(("grpc.default_authority", "cdn-activation"))
        self._channel = grpc.insecure_channel(target, options)  # grpc.secure_channel beyond this machine
        self._token = ("authorization", f"Bearer {token}")
        self.cdn = cdn_pb2_grpc.CdnServiceStub(self._channel)
        self.locks = operation_lock_pb2_grpc.OperationLockServiceStub(self._channel)
        self.events = event_pb2_grpc.EventServiceStub(self._channel)

    def context(self, account_id: int | None = None, seconds: float = DEADLINE) -> dict:
        """The metadata and the deadline of a call. An action needs the account; an operator's call does not."""
        account = [("x-account-id", str(account_id))] if account_id else []
        return {"metadata": [self._token, *account], "timeout": seconds}

    def follow(self, account_id: int, cursor_file: Path, process: Callable[[Event], bool]) -> None:
        """Follows the events of an account, from the stored cursor or from the oldest that is kept, until `process`
        returns False. A cursor is stored after its event is processed.
        """
        cursor, failures = cursor_file.read_text() if cursor_file.exists() else "", 0
        while True:
            request = event_pb2.WatchEventsRequest(cursor=cursor, account_id=account_id)
            try:
                for response in self.events.WatchEvents(request, **self.context(seconds=WATCH)):
                    failures = 0
                    more = not response.HasField("event") or process(response.event)
                    cursor = response.cursor
                    store(cursor_file, cursor)
                    if not more:
                        return
            except grpc.RpcError as error:
                # OUT_OF_RANGE (CursorExpired) ends here, too: read the state anew, then start with an empty cursor.
                if error.code() not in GOES_ON:
                    raise
                failures += 1
                if failures > 1:
                    time.sleep(random.uniform(0.05, 0.1) * min(2**failures, 20))


def store(path: Path, text: str) -> None:
    """Replaces a file as a whole."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def main(target: str, account_id: int) -> None:
    client = Client(target, Path(os.environ["TOKEN_FILE"]).read_text().strip())
    status = client.cdn.DescribeUserCdnStatus(cdn_pb2.DescribeUserCdnStatusRequest(), **client.context(account_id))
    print(f"status enabled={str(status.enabled).lower()}", flush=True)

    # Each write has an id of its own. The retries of the service config repeat the write with the same id.
    lock = {"account_id": account_id, "product": billing.PRODUCT_CDN, "reason": os.environ["REASON"]}
    request = operation_lock_pb2.LockRequest(**lock, request_id=str(uuid.uuid4()))
    locked = client.locks.Lock(request, **client.context()).operation_lock
    print(f"locked {locked.reason}", flush=True)
    request = operation_lock_pb2.UnlockRequest(**lock, request_id=str(uuid.uuid4()))
    print(f"lifted {str(client.locks.Unlock(request, **client.context()).lifted).lower()}", flush=True)

    left = int(os.environ.get("EVENTS", "0"))  # 0: without an end

    def process(event: Event) -> bool:
        nonlocal left
        print(f"event {event.id} {event.type} {event.data.operation_unlocked.reason}", flush=True)
        left -= 1
        return left != 0

    client.follow(account_id, Path(os.environ["CURSOR_FILE"]), process)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
