"""The textbook service in Python: grpcio.aio, asyncpg and uvloop, one process. See ../README.md."""

import os
import uuid

import asyncpg
import grpc
import uvloop
from activation.cdn.v1 import cdn_pb2, cdn_pb2_grpc
from activation.dcdn.v1 import dcdn_pb2_grpc

import describe
import opening
from refused import Refused

DESCRIBE_CONNECTIONS = 8
OPEN_CONNECTIONS = 16  # Open waits for the disk and gains by more of them


class Callers:
    """Who may call, and which account a call is about."""

    def __init__(self, token: str):
        self.authorization = f"Bearer {token}"

    def account_id(self, context: grpc.aio.ServicerContext) -> int:
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization") != self.authorization:
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, "the token is wrong")
        try:
            return int(metadata.get("x-account-id", ""))
        except ValueError:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "x-account-id is not a number") from None


class Dcdn(dcdn_pb2_grpc.DcdnServiceServicer):
    def __init__(self, callers: Callers, pool: asyncpg.Pool, statement: str):
        self.callers = callers
        self.pool = pool
        self.statement = statement

    async def DescribeDcdnService(self, request, context):
        try:
            account_id = self.callers.account_id(context)
            # asyncpg prepares the statement once per connection.
            instance = await self.pool.fetchrow(self.statement, account_id, "dcdn")
            return describe.reply(instance, request_id())
        except Refused as refused:
            await context.abort(refused.code, str(refused))


class Cdn(cdn_pb2_grpc.CdnServiceServicer):
    def __init__(self, callers: Callers, pool: asyncpg.Pool):
        self.callers = callers
        self.pool = pool

    async def OpenCdnService(self, request, context):
        try:
            account_id = self.callers.account_id(context)
            await opening.open_cdn(self.pool, account_id, opening.charge_type(request.internet_charge_type))
            return cdn_pb2.OpenCdnServiceResponse(request_id=request_id())
        except Refused as refused:
            await context.abort(refused.code, str(refused))


def request_id() -> str:
    return str(uuid.uuid4()).upper()


async def leave(_connection) -> None:
    """What the pool does with a connection that is given back: the default, a query that resets the session, would
    cost a round trip per call, and nothing here changes a session."""


async def pool(url: str, connections: int) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        url, min_size=connections, max_size=connections, max_inactive_connection_lifetime=0, reset=leave
    )


async def main() -> None:
    url = os.environ["DATABASE_URL"]
    callers = Callers(os.environ["SERVICE_TOKEN"])
    for_describing = await pool(url, DESCRIBE_CONNECTIONS)
    for_opening = await pool(url, OPEN_CONNECTIONS)
    # Without the option a second server could listen on the same port, and each would get some of the calls.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    dcdn_pb2_grpc.add_DcdnServiceServicer_to_server(Dcdn(callers, for_describing, os.environ["DESCRIBE_SQL"]), server)
    cdn_pb2_grpc.add_CdnServiceServicer_to_server(Cdn(callers, for_opening), server)
    host, _, _ = os.environ["LISTEN"].rpartition(":")
    port = server.add_insecure_port(os.environ["LISTEN"])
    await server.start()
    print(f"ready {host}:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
