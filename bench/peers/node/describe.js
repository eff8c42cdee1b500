// Describe: what the row of the statement says now. Its columns are those of the statement, see ../README.md.
'use strict';

const { status } = require('@grpc/grpc-js');
const { microseconds } = require('./database');
const { Refused } = require('./refused');

// The numbers of the enums by the spelling in storage.
const INTERNET = {
  PayByTraffic: 1,
  PayByBandwidth: 2,
  PayByBandwidth95: 3,
  PayByBandwidth_monthavg: 4,
  PayByBandwidth_month4th: 5,
  PayByBandwidth_monthday95avg: 6,
  PayByBandwidth_nighthalf95: 7,
};
const WEBSOCKET = { websockettraffic: 1, websocketbps: 2 };

// The reply, without the id of the request.
function describe(rows) {
  if (rows.length === 0) throw new Refused(status.NOT_FOUND, 'DCDN has not been opened');
  const instance = rows[0];
  const now = Date.now() * 1000;
  const changes = Object.entries(instance.changes).map(change);
  const locks = Object.entries(instance.locks).map(lock).sort((a, b) => (after(a, b) ? 1 : -1));
  const reply = {
    instance_id: instance.instance_id,
    opening_time: timestamp(instance.opening_time),
    operation_locks: { lock_reason: locks.map(({ reason }) => ({ lock_reason: reason })) },
  };
  const internet = charged('internet', instance.internet_charge_type, changes, now);
  reply.internet_charge_type = INTERNET[internet.current];
  if (internet.changing) {
    reply.changing_charge_type = INTERNET[internet.changing.chargeType];
    reply.changing_affect_time = timestamp(internet.changing.effectiveTime);
  }
  if (instance.websocket_charge_type !== null) {
    const websocket = charged('websocket', instance.websocket_charge_type, changes, now);
    reply.websocket_type = WEBSOCKET[websocket.current];
    if (websocket.changing) {
      reply.websocket_changing_type = WEBSOCKET[websocket.changing.chargeType];
      reply.websocket_changing_time = timestamp(websocket.changing.effectiveTime);
    }
  }
  return reply;
}

// A change by its id, and a lock by its reason; `at` is when it was submitted, or locked.
function change([id, { kind, charge_type, submitted_at, effective_time }]) {
  return { id, kind, chargeType: charge_type, at: microseconds(submitted_at), effectiveTime: microseconds(effective_time) };
}

function lock([reason, { lock_id, locked_at }]) {
  return { id: lock_id, reason, at: microseconds(locked_at) };
}

// The charge type of a kind in force, and the change submitted last.
function charged(kind, opening, changes, now) {
  let inForce, changing;
  for (const change of changes) {
    if (change.kind !== kind) continue;
    if (!changing || after(change, changing)) changing = change;
    if (change.effectiveTime > now) continue;
    const later = !inForce || change.effectiveTime > inForce.effectiveTime;
    if (later || (change.effectiveTime === inForce.effectiveTime && after(change, inForce))) inForce = change;
  }
  return { current: inForce ? inForce.chargeType : opening, changing };
}

// Whether `a` was submitted, or locked, after `b`.
function after(a, b) {
  return a.at === b.at ? a.id > b.id : a.at > b.at;
}

function timestamp(microseconds) {
  const seconds = Math.floor(microseconds / 1e6);
  return { seconds, nanos: (microseconds - seconds * 1e6) * 1000 };
}

module.exports = { describe };
