// Renders samples for main.py: a list of forms on standard input, the list of their samples on standard output.
// `node render.mjs --list` prints the index of the samples and the actions instead.
import { readFileSync } from 'node:fs';

import { render } from '../../../src/explorer/web/js/samples.js';
import { actions } from '../js/catalog.mjs';

const folder = new URL('../../../src/explorer/web/samples/', import.meta.url);
const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8'));
const catalog = actions();

/** Returns the sample for `{sample, action, version, parameters: {name: value}, endpoint, grpc, accountId, xml, v3}`. */
function sampleOf({ sample, action, version, parameters, ...form }) {
  const entry = catalog.find((each) => each.action === action && each.version === version);
  const template = readFileSync(new URL(index.find(({ id }) => id === sample).file, folder), 'utf8');
  const described = entry.parameters.filter(({ name }) => name in parameters);
  return render(template, {
    ...form,
    product: entry.product,
    service: entry.service,
    action,
    version,
    https: false,
    parameters: described.map(({ name, type, values }) => ({
      name,
      type,
      value: parameters[name],
      grpcValue: values.find(({ spelling }) => spelling === parameters[name])?.name,
    })),
  });
}

if (process.argv.includes('--list')) {
  process.stdout.write(JSON.stringify({ samples: index, actions: catalog }));
} else {
  process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(sampleOf)));
}
