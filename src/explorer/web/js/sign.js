// Signs requests as docs/protocol.md describes. Needs Web Crypto only, so it runs in the page and in Node.

const utf8 = new TextEncoder();

/** Percent-encodes all but letters, digits, `-`, `_`, `.` and `~`. */
export function encode(value) {
  const escape = (mark) => '%' + mark.charCodeAt(0).toString(16).toUpperCase();
  return encodeURIComponent(value).replace(/[!'()*]/g, escape);
}

// Compares by bytes of UTF-8. The order of JavaScript texts differs from it beyond the basic plane.
function compareBytes(left, right) {
  const [a, b] = [utf8.encode(left), utf8.encode(right)];
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 ? a.length - b.length : a[at] - (b[at] ?? -1);
}

/** Returns the sorted and encoded parameters. An empty value leaves `name=`. */
export function canonicalQuery(parameters) {
  const names = Object.keys(parameters).sort(compareBytes);
  return names.map((name) => `${encode(name)}=${encode(parameters[name])}`).join('&');
}

const bytes = (value) => (typeof value === 'string' ? utf8.encode(value) : value);

/** Returns the HMAC of a text as bytes. `hash` is SHA-1 or SHA-256. */
export async function mac(hash, key, message) {
  // Web Crypto refuses an empty key. A zero byte gives the same MAC, because keys are padded with zero bytes.
  const raw = bytes(key).length ? bytes(key) : new Uint8Array(1);
  const algorithm = { name: 'HMAC', hash };
  const imported = await crypto.subtle.importKey('raw', raw, algorithm, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, bytes(message)));
}

/** Returns bytes in lower-case hex. */
export const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Returns bytes in base64 with padding. */
export const base64 = (data) => btoa(String.fromCharCode(...data));

/** Returns the SHA-256 of a text in lower-case hex. */
export const sha256 = async (data) => hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes(data))));

/**
 * Signs by V1. `parameters` has `Action`, `Version`, `Format` and those of the action. With GET the result has `url`, otherwise
 * `body`; both start without host.
 */
export async function signV1({ method, parameters, keyId, secret, token, nonce, timestamp }) {
  const all = {
    AccessKeyId: keyId,
    SignatureMethod: 'HMAC-SHA1',
    SignatureNonce: nonce,
    SignatureVersion: '1.0',
    Timestamp: timestamp,
    ...(token ? { SecurityToken: token } : {}),
    ...parameters,
  };
  const query = canonicalQuery(all);
  const stringToSign = `${method}&${encode('/')}&${encode(query)}`;
  const signature = base64(await mac('SHA-1', `${secret}&`, stringToSign));
  const signed = `${query}&Signature=${encode(signature)}`;
  const sent = method === 'GET' ? { url: `/?${signed}` } : { url: '/', body: signed };
  return { ...sent, canonicalQuery: query, stringToSign, signature, parameters: { ...all, Signature: signature } };
}

/** Returns the canonical request of V3. `headers` are the signed ones, by lower-case name. */
export function canonicalRequest({ method, query, headers, hash }) {
  const names = Object.keys(headers).sort(compareBytes);
  const lines = names.map((name) => `${name}:${headers[name].trim()}\n`).join('');
  return [method, '/', query, lines, names.join(';'), hash].join('\n');
}

/**
 * Signs by V3. `parameters` go into the query; `body` is the text of a form, or absent. Every header is signed, those in
 * `headers`, too, which are further ones by lower-case name.
 */
export async function signV3(request) {
  const { method, action, version, parameters, host, keyId, secret, token, nonce, date, body = '', headers = {} } = request;
  const hash = await sha256(body);
  const signed = {
    ...(host ? { host } : {}),
    'x-acs-action': action,
    'x-acs-content-sha256': hash,
    'x-acs-date': date,
    'x-acs-signature-nonce': nonce,
    'x-acs-version': version,
    ...(token ? { 'x-acs-security-token': token } : {}),
    ...headers,
  };
  const query = canonicalQuery(parameters);
  const canonical = canonicalRequest({ method, query, headers: signed, hash });
  const stringToSign = `ACS3-HMAC-SHA256\n${await sha256(canonical)}`;
  const signature = hex(await mac('SHA-256', secret, stringToSign));
  const names = Object.keys(signed).sort(compareBytes).join(';');
  const authorization = `ACS3-HMAC-SHA256 Credential=${keyId},SignedHeaders=${names},Signature=${signature}`;
  return {
    url: query ? `/?${query}` : '/',
    headers: { ...signed, authorization },
    canonicalRequest: canonical,
    stringToSign,
    signature,
  };
}
