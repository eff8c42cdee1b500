// Pools of connections, and times in microseconds since 1970: pg's own Date would lose them. As a Number a time is
// exact until the year 2255.
'use strict';

const pg = require('pg');

// '2021-02-03 04:05:06.789+00', as a session in UTC writes it; in JSON, '2021-02-03T04:05:06.789+00:00'.
function microseconds(text) {
  const part = (from, to) => Number(text.slice(from, to));
  const day = [part(0, 4), part(5, 7) - 1, part(8, 10)];
  const milliseconds = Date.UTC(...day, part(11, 13), part(14, 16), part(17, 19));
  const fraction = text[19] === '.' ? text.slice(20, text.indexOf('+')).padEnd(6, '0') : 0;
  return milliseconds * 1000 + Number(fraction);
}

pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, microseconds);

// A pool whose connections are all there before the first call, and stay.
async function createPool(connectionString, connections) {
  const pool = new pg.Pool({ connectionString, max: connections, idleTimeoutMillis: 0, options: '-c TimeZone=UTC' });
  const clients = await Promise.all(Array.from({ length: connections }, () => pool.connect()));
  clients.forEach((client) => client.release());
  return pool;
}

module.exports = { createPool, microseconds };
