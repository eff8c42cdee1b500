// Signs the request of the form, sends it to the same origin, and returns what was sent and what came back.
import { canonicalQuery, signV1, signV3 } from './sign.js';

const FORM = 'application/x-www-form-urlencoded';

const now = () => new Date().toISOString().slice(0, 19) + 'Z';

async function prepareV1(state, key) {
  const common = { Action: state.action, Version: state.version, Format: state.format };
  const signed = await signV1({
    ...key,
    method: state.method,
    parameters: { ...state.parameters, ...common },
    nonce: crypto.randomUUID(),
    timestamp: now(),
  });
  const headers = signed.body === undefined ? {} : { 'content-type': FORM };
  return { ...signed, headers, canonical: signed.canonicalQuery };
}

// GET has the parameters in the query, POST in a form. Clients do both under V3.
async function prepareV3(state, key) {
  const body = state.method === 'POST' ? canonicalQuery(state.parameters) : '';
  const accept = state.format === 'XML' ? 'text/xml' : 'application/json';
  const signed = await signV3({
    ...key,
    method: state.method,
    action: state.action,
    version: state.version,
    parameters: state.method === 'POST' ? {} : state.parameters,
    host: location.host,
    nonce: crypto.randomUUID(),
    date: now(),
    body,
    headers: { accept, ...(body ? { 'content-type': FORM } : {}) },
  });
  return { ...signed, body: body || undefined, canonical: signed.canonicalRequest };
}

/** Signs the request that the form describes. */
export async function prepare(state, key) {
  const signed = await (state.signature === 'V3' ? prepareV3(state, key) : prepareV1(state, key));
  const { url, headers, body, canonical, stringToSign, signature } = signed;
  return { method: state.method, url, headers, body, canonical, stringToSign, signature };
}

/** Returns the request as text, as it goes out. */
export function requestText({ method, url, headers, body }) {
  const { host, ...others } = headers;
  const lines = [`${method} ${url} HTTP/1.1`, `host: ${host ?? location.host}`];
  for (const [name, value] of Object.entries(others)) lines.push(`${name}: ${value}`);
  if (body) lines.push(`content-length: ${new TextEncoder().encode(body).length}`);
  return `${lines.join('\n')}\n\n${body ?? ''}`;
}

/** Sends a signed request. The host is the browser's to set; it is the one that was signed. */
export async function send({ method, url, headers, body }) {
  const { host: _, ...own } = headers;
  const began = performance.now();
  const reply = await fetch(url, {
    method, headers: own, body, cache: 'no-store', credentials: 'omit', redirect: 'error',
  });
  const received = await reply.text();
  return {
    status: reply.status,
    statusText: reply.statusText,
    headers: [...reply.headers],
    body: received,
    milliseconds: Math.max(1, Math.round(performance.now() - began)),
  };
}
