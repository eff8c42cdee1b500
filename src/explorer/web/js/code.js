// The sample code for the form as it is filled. It never has the secret.
import { by, option } from './dom.js';
import { load, text } from './texts.js';

let samples = [];
let render;
let current;

const suits = (sample, action) => !sample.actions || sample.actions.includes(action);

function grpcValue(parameter, value) {
  return parameter.values?.find((known) => known.spelling === value)?.grpc_value ?? value;
}

/** Returns what a template is filled with. */
function filled({ catalog, product, action, state, key }) {
  const known = new Map(action.parameters.map((parameter) => [parameter.name, parameter]));
  const parameters = Object.entries(state.parameters).map(([name, value]) => {
    const parameter = known.get(name);
    return { name, value, type: parameter.type, grpcValue: grpcValue(parameter, value) };
  });
  const https = location.protocol === 'https:';
  return {
    product: product.product,
    service: product.service,
    action: action.name,
    version: state.version,
    parameters,
    endpoint: catalog.endpoint ?? location.origin,
    https,
    host: location.hostname,
    port: location.port || (https ? '443' : '80'),
    keyId: key.keyId,
    accountId: key.accountId,
    grpc: catalog.grpc ?? null,
    xml: state.format === 'XML',
    v3: state.signature === 'V3',
  };
}

// Says what the client of a sample needs, and what of the form it cannot do.
function note({ needs, install, signatures, formats }, state) {
  const parts = [];
  if (needs) parts.push(text('sample_needs', { needs, install }));
  if (signatures?.length && !signatures.includes(state.signature)) {
    parts.push(text('sample_signature', { signatures: signatures.join(', ') }));
  }
  if (formats?.length && !formats.includes(state.format)) {
    parts.push(text('sample_format', { formats: formats.join(', ') }));
  }
  return parts.join(' ');
}

function show() {
  const sample = samples.find((known) => known.id === by('sample-language').value);
  if (!sample || !current) return;
  by('copied').textContent = '';
  by('sample-note').textContent = note(sample, current.state);
  try {
    by('sample-code').textContent = render(sample.template, filled(current));
  } catch (failure) {
    by('sample-code').textContent = text('sample_failed', { message: failure.message });
  }
}

/** Shows the sample of the chosen language for this form. A language without a sample of the action is not offered. */
export function showSample(form) {
  current = form;
  const select = by('sample-language');
  const chosen = select.value;
  const offered = samples.filter((sample) => suits(sample, form.action.name));
  select.replaceChildren(...offered.map(({ id, title }) => option(id, title)));
  if (offered.some(({ id }) => id === chosen)) select.value = chosen;
  show();
}

async function copy() {
  try {
    await navigator.clipboard.writeText(by('sample-code').textContent);
    by('copied').textContent = text('copied');
  } catch {
    by('copied').textContent = text('copy_failed');
  }
}

/** Loads the samples. They come after the form, because the page is usable without them. */
export async function loadSamples() {
  by('sample-language').addEventListener('change', show);
  by('copy-sample').addEventListener('click', copy);
  try {
    [samples, { render }] = await Promise.all([load('samples.json'), import('./samples.js')]);
  } catch {
    by('sample-note').textContent = text('sample_none');
  }
  if (current) showSample(current);
}
