'use strict';
// The other end of python/clients/node_process.py: it reads one JSON request per line and writes one JSON answer per line.
// It is separate from the adapters, so that each adapter contains only the use of its SDK.

const readline = require('readline');

/**
 * Answers requests until standard input ends.
 *
 * `call` gets the request and returns the documented fields of a success. `explain` turns an error that it throws into
 * a refusal. An error that `explain` does not know is reported as a crash of the client, because the suite is to find
 * the replies that an SDK cannot read.
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
