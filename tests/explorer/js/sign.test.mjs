// Signs the requests that real clients sent (tests/captures), and compares with the signatures that they sent.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { base64, canonicalQuery, encode, mac, signV1, signV3 } from '../../../src/explorer/web/js/sign.js';

const CAPTURES = new URL('../../captures/', import.meta.url);
const SECRETS = { testid: 'testsecret' };
const read = (name) => readFileSync(new URL(name, CAPTURES), 'utf8');

/** Decodes a query or a form, as the service does. */
function decode(text) {
  const parts = text.split('&').filter(Boolean);
  return Object.fromEntries(parts.map((part) => part.split('=').map((side) => decodeURIComponent(side.replace(/\+/g, ' ')))));
}

function parse(raw) {
  const end = raw.indexOf('\r\n\r\n');
  const [line, ...lines] = raw.slice(0, end).split('\r\n');
  const [method, target] = line.split(' ');
  const headers = {};
  for (const header of lines) {
    const at = header.indexOf(':');
    headers[header.slice(0, at).toLowerCase()] = header.slice(at + 1).trim();
  }
  const sent = raw.slice(end + 4);
  const body = headers['transfer-encoding'] === 'chunked' ? unchunk(sent) : sent;
  return { method, query: decode(target.split('?')[1] ?? ''), headers, body };
}

function unchunk(text) {
  const size = parseInt(text, 16);
  if (!size) return '';
  const start = text.indexOf('\r\n') + 2;
  return text.slice(start, start + size) + unchunk(text.slice(start + size + 2));
}

async function signatureV1({ method, query, body }, secret) {
  const { Signature, ...parameters } = { ...query, ...decode(body) };
  // The parameters of the capture replace all that `signV1` adds.
  const signed = await signV1({ method, parameters, keyId: '', secret, nonce: '', timestamp: '' });
  return { sent: Signature, computed: signed.signature };
}

async function signatureV3({ method, query, headers, body }, secret) {
  const field = (name) => new RegExp(`${name}=([^,]+)`).exec(headers.authorization)[1].trim();
  const names = field('SignedHeaders').split(';');
  const signed = await signV3({
    method,
    action: headers['x-acs-action'],
    version: headers['x-acs-version'],
    parameters: query,
    keyId: field('Credential'),
    secret,
    nonce: headers['x-acs-signature-nonce'],
    date: headers['x-acs-date'],
    body,
    headers: Object.fromEntries(names.map((name) => [name, headers[name] ?? ''])),
  });
  return { sent: field('Signature'), computed: signed.signature };
}

function signatures(raw, secret) {
  const request = parse(raw);
  const isV3 = request.headers.authorization?.startsWith('ACS3');
  return isV3 ? signatureV3(request, secret) : signatureV1(request, secret);
}

for (const { title, secret, request } of JSON.parse(read('published-vectors.json')).vectors) {
  test(`the published example has its signature: ${title}`, async () => {
    const { sent, computed } = await signatures(request, secret);
    assert.equal(computed, sent);
  });
}

test('every recorded request of a real client has its signature', async () => {
  const verified = JSON.parse(read('index.json')).captures.filter((capture) => capture.signature_verified);
  assert.ok(verified.length > 250);
  for (const { file, credential, signature } of verified) {
    const { sent, computed } = await signatures(read(file), credential.access_key_secret ?? SECRETS.testid);
    assert.equal(sent, signature, file);
    assert.equal(computed, signature, file);
  }
});

test('only letters, digits and four marks stay unencoded', () => {
  assert.equal(encode("aZ09-_.~ *+/=&!'()中"), 'aZ09-_.~%20%2A%2B%2F%3D%26%21%27%28%29%E4%B8%AD');
});

test('names are sorted by bytes, and an empty value stays', () => {
  assert.equal(canonicalQuery({ b: '', ab: '2', a: '1', B: '3' }), 'B=3&a=1&ab=2&b=');
  const query = canonicalQuery({ '\u{1F600}': '', '\uFF5E': '' });
  assert.equal(query, '%EF%BD%9E=&%F0%9F%98%80=');
});

test('GET has the parameters in the URL, POST in the body', async () => {
  const call = { parameters: { Action: 'A' }, keyId: 'k', secret: 's', nonce: 'n', timestamp: 't' };
  const get = await signV1({ ...call, method: 'GET' });
  assert.ok(get.url.startsWith('/?AccessKeyId=k&Action=A&'));
  assert.ok(get.url.endsWith(`&Signature=${encode(get.signature)}`));
  assert.equal(get.body, undefined);
  const post = await signV1({ ...call, method: 'POST' });
  assert.equal(post.url, '/');
  assert.ok(post.body.includes('Action=A'));
});

test('a security token is signed', async () => {
  const call = { method: 'GET', keyId: 'k', secret: 's', token: 'a token', nonce: 'n' };
  const v1 = await signV1({ ...call, parameters: {}, timestamp: 't' });
  assert.match(v1.canonicalQuery, /SecurityToken=a%20token/);
  const v3 = await signV3({ ...call, action: 'A', version: 'V', parameters: {}, host: 'h', date: 'd' });
  assert.match(v3.headers.authorization, /x-acs-security-token/);
});

test('a key may be empty', async () => {
  // HMAC-SHA1 of an empty text with an empty key.
  assert.equal(base64(await mac('SHA-1', '', '')), '+9sdGxiqbAgyS31ktx+3Y3BpDh0=');
});
