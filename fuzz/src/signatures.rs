//! The two canonical forms, and the header `Authorization` of signature V3.

use std::fmt::Write;

use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::signature::v3::Authorization;
use cdn_activation::auth::signature::{Pair, Parameters, v1, v3};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Reads `name=value` pairs that are joined by line feeds. Nothing is decoded.
fn pairs(text: &str) -> Vec<Pair> {
    let pairs = text.split('\n').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                all.push(char::from(byte));
            }
            _ => write!(all, "%{byte:02X}").expect("a String takes all"),
        }
        all
    })
}

/// Returns the canonical query of pairs, as the documentation describes it.
fn canonical_query(mut pairs: Vec<Pair>) -> String {
    pairs.sort();
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Pairs, one a line.
pub fn canonical_v1(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let pairs = pairs(text);
    let string_to_sign = v1::string_to_sign("POST", &pairs.iter().collect());
    let signed = pairs.into_iter().filter(|(name, _)| name != "Signature").collect();
    assert_eq!(string_to_sign, format!("POST&%2F&{}", escaped(&canonical_query(signed))));
    let key = v1::Key::new(&Secret::new(text.to_owned()));
    let signature = key.sign(&string_to_sign);
    assert!(key.verify(&string_to_sign, &signature));
    assert!(!key.verify(&format!("{string_to_sign}x"), &signature));
}

/// Three parts, separated by an empty line: the names of the signed headers joined by `;`, headers
/// (`name: value`, one a line), and pairs.
pub fn canonical_v3(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, "\n\n");
    let mut part = || parts.next().unwrap_or_default();
    let (signed_headers, given, pairs) = (part(), part(), pairs(part()));
    let mut headers = HeaderMap::new();
    for (name, value) in given.lines().filter_map(|line| line.split_once(':')) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    let parameters: Parameters = pairs.iter().collect();
    let request = v3::canonical_request("GET", &parameters, &headers, signed_headers, "hash");
    let mut expected = format!("GET\n/\n{}\n", canonical_query(pairs));
    for name in signed_headers.split(';') {
        let values = headers.get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        let value = values.join(",");
        writeln!(expected, "{name}:{}", value.trim()).expect("a String takes all");
    }
    assert_eq!(request, expected + "\n" + signed_headers + "\nhash");
    let key = v3::Key::new(&Secret::new(text.to_owned()));
    let signature = key.sign(&request);
    assert!(key.verify(&request, &signature) && !key.verify("", &signature));
    assert!(
        !key.verify(&request, &signature.to_uppercase()) || signature.bytes().all(|b| b < b'a')
    );
}

/// The header. What is read of it, written again in any order, is read again.
pub fn authorization(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(read) = Authorization::parse(text) else { return };
    let Authorization { credential, signed_headers, signature } = read;
    for value in [credential, signed_headers, signature] {
        assert!(!value.is_empty() && !value.contains(',') && text.contains(value));
    }
    let mut names: Vec<_> = signed_headers.split(';').collect();
    assert!(names.iter().all(|name| read.signs(name)) && !read.signs(";"));
    names.sort_unstable();
    assert!(names.windows(2).all(|two| two[0] != two[1]), "a header is named once");
    let fields = [
        format!("Credential={credential}"),
        format!("SignedHeaders={signed_headers}"),
        format!("Signature={signature}"),
    ];
    for [a, b, c] in [[0, 1, 2], [1, 2, 0], [2, 1, 0]] {
        let written = format!("{}, {},{}", fields[a], fields[b], fields[c]);
        assert_eq!(Authorization::parse(&written), Some(read), "{written}");
        assert_eq!(Authorization::parse(&format!("{written},{}", fields[a])), None);
        assert_eq!(Authorization::parse(&format!("{}, {}", fields[a], fields[b])), None);
    }
}
