// Signatures V1 and V3, written from docs/protocol.md with Node's crypto: a second implementation beside the page's.
//
// A broken client is made by `breaks`: functions that replace one step of the signature.

import { createHash, createHmac, randomUUID } from "node:crypto";

/** Percent-encodes everything except letters, digits and - _ . ~. */
export function escape(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`);
}

function now() {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

function canonical(parameters, encode) {
  return Object.keys(parameters)
    .sort()
    .map((name) => `${encode(name)}=${encode(parameters[name])}`)
    .join("&");
}

/** Returns the MAC of V1 in base64. */
export function macV1(secret, stringToSign) {
  return createHmac("sha1", `${secret}&`).update(stringToSign).digest("base64");
}

/** Returns the MAC of a V1 client that forgets the `&` after the secret. */
export function macWithoutAmpersand(secret, stringToSign) {
  return createHmac("sha1", secret).update(stringToSign).digest("base64");
}

/** Returns the MAC of V3 in hex. */
export function macV3(secret, stringToSign) {
  return createHmac("sha256", secret).update(stringToSign).digest("hex");
}

/** Returns a signed V1 URL and what the client signed. */
export function signV1({ origin, action, version, keyId, secret, parameters = {}, method = "GET", breaks = {} }) {
  const all = {
    Action: action,
    Version: version,
    Format: "JSON",
    AccessKeyId: keyId,
    SignatureMethod: "HMAC-SHA1",
    SignatureVersion: "1.0",
    SignatureNonce: randomUUID(),
    Timestamp: now(),
    ...parameters,
  };
  const encode = breaks.encode ?? escape;
  const query = canonical({ ...all, ...breaks.alsoSigned }, encode);
  const stringToSign = `${breaks.method ?? method}&%2F&${encode(query)}`;
  const signature = breaks.mac?.(secret, stringToSign) ?? macV1(secret, stringToSign);
  const url = `${origin}/?${canonical(all, escape)}&Signature=${escape(signature)}`;
  return { url, stringToSign, signature };
}

/** Returns a V3 request as a curl command, and what the client signed. */
export function signV3({ origin, action, version, keyId, secret, parameters = {}, method = "GET", breaks = {} }) {
  const headers = {
    host: new URL(origin).host,
    "x-acs-action": action,
    "x-acs-content-sha256": createHash("sha256").update("").digest("hex"),
    "x-acs-date": now(),
    "x-acs-signature-nonce": randomUUID(),
    "x-acs-version": version,
  };
  const query = canonical(parameters, escape);
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join("");
  const digest = headers["x-acs-content-sha256"];
  const canonicalRequest = [breaks.method ?? method, "/", query, lines, names.join(";"), digest].join("\n");
  const stringToSign = `ACS3-HMAC-SHA256\n${createHash("sha256").update(canonicalRequest).digest("hex")}`;
  const signature = breaks.mac?.(secret, stringToSign) ?? macV3(secret, stringToSign);
  const authorization = `ACS3-HMAC-SHA256 Credential=${keyId},SignedHeaders=${names.join(";")},Signature=${signature}`;
  const flags = names.filter((name) => name !== "host").map((name) => `-H '${name}: ${headers[name]}'`);
  const url = query ? `${origin}/?${query}` : `${origin}/`;
  return {
    curl: `curl -X ${method} '${url}' ${flags.join(" ")} -H 'Authorization: ${authorization}'`,
    canonicalRequest,
    stringToSign,
    signature,
  };
}
