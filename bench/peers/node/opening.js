// Open: one transaction of four statements, and the conditions in the order in which they are reported.
'use strict';

const { randomUUID } = require('node:crypto');
const { status } = require('@grpc/grpc-js');
const { Refused } = require('./refused');

// What an account may open with by itself, by number; by traffic where nothing is given.
const PUBLIC = { 0: 'PayByTraffic', 1: 'PayByTraffic', 2: 'PayByBandwidth' };

const READ_ACCOUNT = `
  SELECT site, intl_allowed, bid_user, real_name_verified, profile_complete, payment_method_valid,
      balance, orders_refused, event_time
  FROM accounts WHERE account_id = $1 FOR SHARE`;
const INSERT_INSTANCE = `
  INSERT INTO instances (account_id, product, instance_id, internet_charge_type,
      websocket_charge_type, opening_time, order_id, event_time)
  VALUES ($1, 'cdn', $2, $3, NULL, $4, $5, $6) ON CONFLICT DO NOTHING`;
const INSERT_ORDER = `
  INSERT INTO orders (account_id, order_id, product, internet_charge_type, websocket_charge_type,
      ordered_at)
  VALUES ($1, $2, 'cdn', $3, NULL, $4)`;
const INSERT_EVENT = `
  INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
  VALUES ($1, $2, $1::bigint % 16, $3, 'activation.instance.opened', $4)`;
const EVENT_DATA = Buffer.alloc(90, 'e'); // stands for an encoded event: as many bytes as one of ours

// The stored spelling of what is to be opened with.
function publicChargeType(number) {
  const chargeType = PUBLIC[number];
  if (!chargeType) throw new Refused(status.INVALID_ARGUMENT, 'the charge type cannot be opened with');
  return chargeType;
}

async function openCdn(pool, accountId, chargeType) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await write(client, accountId, chargeType);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

async function write(client, accountId, chargeType) {
  // Named: prepared once per connection.
  const run = (name, text, values) => client.query({ name, text, values });
  const { rows } = await run('account', READ_ACCOUNT, [accountId]);
  if (rows.length === 0) throw new Refused(status.NOT_FOUND, 'there is no such account');
  const account = rows[0];
  checkBeforeOpening(account);
  const now = Date.now() * 1000;
  const eventTime = text(Math.max(now, account.event_time + 1));
  const orderId = randomUUID();
  const values = [accountId, accountId, chargeType, text(now), orderId, eventTime];
  const { rowCount } = await run('instance', INSERT_INSTANCE, values);
  if (rowCount === 0) throw new Refused(status.ALREADY_EXISTS, 'CDN has been opened');
  checkAfterOpening(account);
  await run('order', INSERT_ORDER, [accountId, orderId, chargeType, text(now)]);
  await run('event', INSERT_EVENT, [accountId, randomUUID(), eventTime, EVENT_DATA]);
}

// The conditions that are reported before "has been opened".
function checkBeforeOpening(account) {
  if (account.bid_user) throw new Refused(status.PERMISSION_DENIED, 'bid user');
  if (account.site === 'intl' && !account.intl_allowed) {
    throw new Refused(status.PERMISSION_DENIED, 'international site');
  }
}

// The conditions that are reported after it.
function checkAfterOpening(account) {
  const { FAILED_PRECONDITION, ABORTED } = status;
  if (!account.real_name_verified) throw new Refused(FAILED_PRECONDITION, 'no real-name authentication');
  if (!account.profile_complete) throw new Refused(FAILED_PRECONDITION, 'the profile is incomplete');
  if (!account.payment_method_valid) throw new Refused(FAILED_PRECONDITION, 'no payment method');
  if (Number(account.balance) < 0) throw new Refused(FAILED_PRECONDITION, 'the balance is too low');
  if (account.orders_refused) throw new Refused(ABORTED, 'orders are refused');
}

// A time for PostgreSQL, with its microseconds.
function text(microseconds) {
  const milliseconds = Math.floor(microseconds / 1000);
  const rest = String(microseconds - milliseconds * 1000).padStart(3, '0');
  return new Date(milliseconds).toISOString().replace('Z', `${rest}Z`);
}

module.exports = { publicChargeType, openCdn };
