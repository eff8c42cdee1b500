// Finds the candidate of an explanation that gives the signature.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';

import { matching } from '../../../src/explorer/web/js/doctor.js';

const V1 = { algorithm: 'HMAC-SHA1', encoding: 'base64', key_prefix: '', key_suffix: '&', string_to_sign: 'GET&%2F&a' };
const V3 = { algorithm: 'HMAC-SHA256', encoding: 'hex', key_prefix: '', key_suffix: '', string_to_sign: 'ACS3' };
const sign = (hash, encoding, key, text) => createHmac(hash, key).update(text).digest(encoding);

// The key that a client used, and the candidate that is found.
const KEYS = [
  ['secret&', { ...V1, code: 'correct', secret: 'as_given' }],
  ['secret', { ...V1, code: 'no_ampersand', key_suffix: '', secret: 'as_given' }],
  ['secret\n&', { ...V1, code: 'newline', key_suffix: '\n&', secret: 'as_given' }],
  ['secret &', { ...V1, code: 'blank', key_suffix: ' &', secret: 'as_given' }],
];

for (const [key, candidate] of KEYS) {
  test(`the key ${JSON.stringify(key)} is found as ${candidate.code}`, async () => {
    const signature = sign('sha1', 'base64', key, V1.string_to_sign);
    const found = await matching(KEYS.map(([, known]) => known), signature, 'secret');
    assert.equal(found, candidate);
  });
}

test('a secret that was pasted with blanks is trimmed', async () => {
  const candidate = { ...V3, code: 'trimmed', secret: 'trimmed' };
  const signature = sign('sha256', 'hex', 'secret', V3.string_to_sign);
  assert.equal(await matching([{ ...V3, code: 'correct', secret: 'as_given' }, candidate], signature, ' secret '), candidate);
});

test('each encoding of a signature is found as its own', async () => {
  const candidates = ['hex', 'base64', 'base64_of_hex'].map((encoding) => ({ ...V3, encoding, secret: 'as_given' }));
  const digest = sign('sha256', 'hex', 'secret', V3.string_to_sign);
  const signatures = [digest, Buffer.from(digest, 'hex').toString('base64'), Buffer.from(digest).toString('base64')];
  for (const [index, signature] of signatures.entries()) {
    assert.equal(await matching(candidates, signature, 'secret'), candidates[index]);
  }
});

test('another signature is not found', async () => {
  assert.equal(await matching([KEYS[0][1]], 'AAAA', 'secret'), undefined);
});
