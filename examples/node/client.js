// A client of cdn-activation in Node.js: retries, deadlines, the account, and events that are followed across restarts.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const root = fileURLToPath(new URL('../..', import.meta.url));
const DEADLINE = 5_000; // milliseconds, retries included
const WATCH = 30_000; // the longest that the service allows
// What a follower goes on after: the deadline of a watch, a server that stops, a broken connection.
const GOES_ON = [grpc.status.DEADLINE_EXCEEDED, grpc.status.UNAVAILABLE, grpc.status.CANCELLED];

const files = ['cdn/v1/cdn', 'operator/v1/operation_lock', 'operator/v1/event'].map((file) => `activation/${file}.proto`);
const definition = loader.loadSync(files, { includeDirs: [`${root}/proto`], longs: String, enums: String, defaults: true });
const { activation } = grpc.loadPackageDefinition(definition);

/** One connection to each address, with the token of this service. */
class Client {
  constructor(target, token) {
    const options = { 'grpc.service_config': readFileSync(`${root}/deploy/service-config.json`, 'utf8') }; // retries
    // A list of addresses is not a valid authority. With TLS, this would be the name in the certificate.
    if (target.includes(',')) options['grpc.default_authority'] = 'cdn-activation';
    const plaintext = grpc.credentials.createInsecure(); // createSsl beyond this machine
    this.token = token;
    this.cdn = new activation.cdn.v1.CdnService(target, plaintext, options);
    this.locks = new activation.operator.v1.OperationLockService(target, plaintext, options);
    this.events = new activation.operator.v1.EventService(target, plaintext, options);
  }

  /** The metadata and the deadline of a call. An action needs the account; an operator's call does not. */
  context(accountId, milliseconds = DEADLINE) {
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${this.token}`);
    if (accountId) metadata.set('x-account-id', accountId);
    return [metadata, { deadline: Date.now() + milliseconds }];
  }

  /** Makes a call and returns the reply. */
  call(service, method, request, accountId) {
    return new Promise((resolve, reject) => {
      const done = (error, reply) => (error ? reject(error) : resolve(reply));
      service[method](request, ...this.context(accountId), done);
    });
  }

  /**
   * Follows the events of an account, from the stored cursor or from the oldest that is kept, until `process` returns
   * false. A cursor is stored after its event is processed.
   */
  async follow(accountId, cursorFile, process) {
    let cursor = existsSync(cursorFile) ? readFileSync(cursorFile, 'utf8') : '';
    for (let failures = 0; ; ) {
      const watch = this.events.WatchEvents({ cursor, accountId }, ...this.context(undefined, WATCH));
      try {
        for await (const response of watch) {
          failures = 0;
          const more = !response.event || (await process(response.event));
          cursor = response.cursor;
          store(cursorFile, cursor);
          if (!more) return;
        }
      } catch (error) {
        // OUT_OF_RANGE (CursorExpired) ends here, too: read the state anew, then start with an empty cursor.
        if (!GOES_ON.includes(error.code)) throw error;
        failures += 1;
        if (failures > 1) await sleep((50 + 50 * Math.random()) * Math.min(2 ** failures, 20));
      } finally {
        watch.cancel();
      }
    }
  }

  close() {
    for (const service of [this.cdn, this.locks, this.events]) service.close();
  }
}

/** Replaces a file as a whole. */
function store(path, text) {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

async function main(target, accountId) {
  const { TOKEN_FILE, CURSOR_FILE, REASON, EVENTS = '0' } = process.env;
  const client = new Client(target, readFileSync(TOKEN_FILE, 'utf8').trim());
  const status = await client.call(client.cdn, 'DescribeUserCdnStatus', {}, accountId);
  console.log(`status enabled=${status.enabled ?? status.Enabled}`);

  // Each write has an id of its own. The retries of the service config repeat the write with the same id.
  const lock = () => ({ accountId, product: 'PRODUCT_CDN', reason: REASON, requestId: randomUUID() });
  const { operationLock } = await client.call(client.locks, 'Lock', lock());
  console.log(`locked ${operationLock.reason}`);
  const { lifted } = await client.call(client.locks, 'Unlock', lock());
  console.log(`lifted ${lifted}`);

  let left = Number(EVENTS); // 0: without an end
  await client.follow(accountId, CURSOR_FILE, (event) => {
    console.log(`event ${event.id} ${event.type} ${event.data.operationUnlocked?.reason ?? ''}`);
    left -= 1;
    return left !== 0;
  });
  client.close();
}

await main(process.argv[2], process.argv[3]);
