'use strict';
// The other end of python/clients/node_process.py: one JSON request per line in, one JSON answer per line out.
// Kept apart from the SDKs so that each adapter shows nothing but how that SDK is used.

const readline = require('readline');

/**
 * Answers requests until standard input ends.
 *
 * `call` gets the request and returns the documented fields of a success; what it throws is turned into a refusal
 * by `explain`, and an error that `explain` does not know is reported as a crash of the client, never swallowed:
 * a reply that an SDK cannot read is exactly what the suite is here to find.
 */
module.exports = function serve(call, explain) {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const request = JSON.parse(line);
    let answer;
    try {
      answer = { ok: true, ...(await call(request)) };
    } catch (error) {
      answer = { ok: false, ...(explain(error) || { crash: String((error && error.stack) || error) }) };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  });
  lines.on('close', () => process.exit(0));
};
