//! A little signer of its own, which shares no code with the one under test.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The secret of the tests.
pub const SECRET: &str = "testsecret";

/// Percent-encodes as the rule says.
pub fn escape(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Returns HMAC-SHA1 in base64.
pub fn sha1(key: &str, text: &str) -> String {
    let mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
}

/// Returns HMAC-SHA256.
pub fn sha256(key: &str, text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// Returns the SHA-256 in hex digits.
pub fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The parameters of the tests. Their values have everything that encoders treat differently.
pub fn pairs() -> Vec<(String, String)> {
    let pairs = [
        ("Version", "2018-05-10"),
        ("Action", "OpenCdnService"),
        ("InternetChargeType", "a b*c~d/e:f!g\u{e9}"),
        ("accountName", "x"),
        ("Format", "JSON"),
        ("SignatureType", ""),
        ("AccessKeyId", "LTAItest"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", "9b7a44b0"),
        ("Timestamp", "2026-08-06T02:19:46Z"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Returns the canonical query of pairs in their order.
pub fn joined(pairs: &[(String, String)], escape: impl Fn(&str) -> String) -> String {
    let texts: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    texts.join("&")
}

/// Returns the canonical query of sorted pairs.
pub fn query() -> String {
    query_with(escape)
}

/// Returns the canonical query of sorted pairs with another encoder.
pub fn query_with(escape: impl Fn(&str) -> String) -> String {
    let mut pairs = pairs();
    pairs.sort();
    joined(&pairs, escape)
}

/// Returns the right string to sign of V1.
pub fn string_v1(query: &str) -> String {
    format!("GET&%2F&{}", escape(query))
}

/// Returns a URL with this signature.
pub fn url(signature: &str) -> String {
    let query = joined(&pairs(), escape);
    format!("http://127.0.0.1:8080/?{query}&Signature={}", escape(signature))
}
