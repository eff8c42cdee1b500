// The textbook service in Node: @grpc/grpc-js and pg, one process. See ../README.md.
'use strict';

const { randomUUID } = require('node:crypto');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { createPool } = require('./database');
const { describe } = require('./describe');
const { publicChargeType, openCdn } = require('./opening');
const { Refused } = require('./refused');

const DESCRIBE_CONNECTIONS = 8;
const OPEN_CONNECTIONS = 16; // Open waits for the disk and gains by more of them

const { DATABASE_URL, DESCRIBE_SQL, LISTEN, SERVICE_TOKEN } = process.env;
const authorization = `Bearer ${SERVICE_TOKEN}`;

// The account that a call is about. As text: a 64-bit number does not fit a Number, and pg sends text.
function accountId(metadata) {
  if (metadata.get('authorization')[0] !== authorization) {
    throw new Refused(grpc.status.UNAUTHENTICATED, 'the token is wrong');
  }
  const id = metadata.get('x-account-id')[0];
  if (!/^[0-9]{1,18}$/.test(id ?? '')) {
    throw new Refused(grpc.status.INVALID_ARGUMENT, 'x-account-id is not a number');
  }
  return id;
}

// A handler that answers what `act` resolves to, with a fresh id.
function answering(act) {
  return async (call, callback) => {
    let reply;
    try {
      reply = await act(accountId(call.metadata), call.request);
      reply.request_id = randomUUID().toUpperCase();
    } catch (error) {
      callback(error instanceof Refused ? error : { code: grpc.status.INTERNAL, details: error.message });
      return;
    }
    callback(null, reply);
  };
}

async function main() {
  const describing = await createPool(DATABASE_URL, DESCRIBE_CONNECTIONS);
  const opening = await createPool(DATABASE_URL, OPEN_CONNECTIONS);
  const definition = protoLoader.loadSync(
    ['activation/cdn/v1/cdn.proto', 'activation/dcdn/v1/dcdn.proto'],
    { includeDirs: [process.argv[2]], keepCase: true },
  );
  const server = new grpc.Server();
  server.addService(definition['activation.dcdn.v1.DcdnService'], {
    DescribeDcdnService: answering(async (id) => {
      // Named: prepared once per connection.
      const { rows } = await describing.query({ name: 'describe', text: DESCRIBE_SQL, values: [id, 'dcdn'] });
      return describe(rows);
    }),
  });
  server.addService(definition['activation.cdn.v1.CdnService'], {
    OpenCdnService: answering(async (id, request) => {
      await openCdn(opening, id, publicChargeType(request.internet_charge_type ?? 0));
      return {};
    }),
  });
  server.bindAsync(LISTEN, grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    console.log(`ready ${LISTEN.slice(0, LISTEN.lastIndexOf(':'))}:${port}`);
  });
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
