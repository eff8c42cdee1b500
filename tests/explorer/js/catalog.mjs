// What the tests of the page's modules need to know about the actions, read from the proto files.
import { readFileSync } from 'node:fs';

const read = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

/** Returns the values of an enum: `[{name, spelling}]`. */
function valuesOf(text, name) {
  const body = text.match(new RegExp(`enum ${name} \\{([^}]*)\\}`))[1];
  return [...body.matchAll(/(\w+) = \d+ \[\(activation\.rpc\.v1\.spelling\) = "(\w+)"\]/g)].map(([, value, spelling]) => ({
    name: value,
    spelling,
  }));
}

function parametersOf(text, message, charges) {
  const body = text.match(new RegExp(`message ${message} \\{([^}]*)\\}`))[1];
  return [...body.matchAll(/^\s*([\w.]+) \w+ = \d+ \[\s*json_name = "(\w+)"/gm)].map(([, type, name]) => {
    const own = type.split('.').pop();
    return type === 'string' ? { name, type, values: [] } : { name, type: 'enum', values: valuesOf(charges, own) };
  });
}

/** Returns every action in each of its versions: `{product, service, action, version, newest, parameters}`. */
export function actions() {
  const charges = read('proto/activation/billing/v1/charge.proto');
  return ['cdn', 'dcdn'].flatMap((product) => {
    const text = read(`proto/activation/${product}/v1/${product}.proto`);
    const [, service, body] = text.match(/service (\w+) \{([\s\S]*?)\n\}/);
    const versions = [...body.matchAll(/rpc\.v1\.versions\) = "([\d-]+)"/g)].map(([, version]) => version);
    return [...body.matchAll(/rpc (\w+)\((\w+)\)[^;{]*(?:;|\{([^}]*)\})/g)].flatMap(([, action, request, options]) => {
      const own = [...(options ?? '').matchAll(/method_versions\) = "([\d-]+)"/g)].map(([, version]) => version);
      const served = own.length > 0 ? own : versions;
      const parameters = parametersOf(text, request, charges);
      return served.map((version) => ({
        product,
        service: `activation.${product}.v1.${service}`,
        action,
        version,
        newest: version === [...served].sort().at(-1),
        parameters,
      }));
    });
  });
}

/** Returns a filled form of an action. Each parameter has `value`, or else the first of its values. */
export function filled(entry, more = {}, value = undefined) {
  return {
    product: entry.product,
    service: entry.service,
    action: entry.action,
    version: entry.version,
    parameters: entry.parameters.map(({ name, type, values }) => ({
      name,
      type,
      value: value ?? values[0]?.spelling ?? '2018-03-19T00:00:00Z',
      grpcValue: value === undefined ? values[0]?.name : undefined,
    })),
    endpoint: 'http://127.0.0.1:8080/',
    https: false,
    host: '127.0.0.1',
    port: '8080',
    keyId: 'testid',
    accountId: '1000000000000001',
    grpc: '127.0.0.1:50051',
    xml: false,
    v3: true,
    ...more,
  };
}
