// Describe: what the rows of the statement say now. The columns are those of the statement, see ../README.md.
'use strict';

const { status } = require('@grpc/grpc-js');
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
  const instance = rows.find((row) => row.fact === 'instance');
  if (!instance) throw new Refused(status.NOT_FOUND, 'DCDN has not been opened');
  const now = Date.now() * 1000;
  const locks = rows.filter((row) => row.fact === 'lock').sort((a, b) => (after(a, b) ? 1 : -1));
  const changes = (kind) => rows.filter((row) => row.fact === 'change' && row.text_1 === kind);
  const reply = {
    instance_id: instance.text_1,
    opening_time: timestamp(instance.time_1),
    operation_locks: { lock_reason: locks.map((lock) => ({ lock_reason: lock.text_1 })) },
  };
  const internet = charged(instance.text_2, changes('internet'), now);
  reply.internet_charge_type = INTERNET[internet.current];
  if (internet.changing) {
    reply.changing_charge_type = INTERNET[internet.changing.text_2];
    reply.changing_affect_time = timestamp(internet.changing.time_2);
  }
  if (instance.text_3 !== null) {
    const websocket = charged(instance.text_3, changes('websocket'), now);
    reply.websocket_type = WEBSOCKET[websocket.current];
    if (websocket.changing) {
      reply.websocket_changing_type = WEBSOCKET[websocket.changing.text_2];
      reply.websocket_changing_time = timestamp(websocket.changing.time_2);
    }
  }
  return reply;
}

// The charge type in force, and the change submitted last.
function charged(opening, changes, now) {
  let inForce, changing;
  for (const change of changes) {
    if (!changing || after(change, changing)) changing = change;
    if (change.time_2 > now) continue;
    const later = !inForce || change.time_2 > inForce.time_2;
    if (later || (change.time_2 === inForce.time_2 && after(change, inForce))) inForce = change;
  }
  return { current: inForce ? inForce.text_2 : opening, changing };
}

// Whether `a` was submitted, or locked, after `b`.
function after(a, b) {
  return a.time_1 === b.time_1 ? a.id > b.id : a.time_1 > b.time_1;
}

function timestamp(microseconds) {
  const seconds = Math.floor(microseconds / 1e6);
  return { seconds, nanos: (microseconds - seconds * 1e6) * 1000 };
}

module.exports = { describe };
