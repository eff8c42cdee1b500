//! Test vectors of the two signature modules: the captures, and the published examples.

use std::collections::BTreeSet;

use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::signature::{Pair, canonical_query, v1, v3};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::support::captures::{Capture, HttpRequest, captures, files, json};

fn key_v1(secret: &str) -> v1::Key {
    v1::Key::new(&Secret::new(secret.to_owned()))
}

fn key_v3(secret: &str) -> v3::Key {
    v3::Key::new(&Secret::new(secret.to_owned()))
}

/// Returns all parameters, in the order of the wire.
pub fn all_pairs(request: &HttpRequest) -> Vec<Pair> {
    request.query.iter().cloned().chain(request.form()).collect()
}

fn header_map(request: &HttpRequest) -> HeaderMap {
    let pairs = request.headers.iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    });
    pairs.collect()
}

/// Returns what the modules of the server compute from a V3 request: the canonical request, the
/// string to sign, and the parsed authorization.
pub fn v3_of<'a>(
    request: &HttpRequest,
    authorization: &'a str,
) -> (String, String, v3::Authorization<'a>) {
    let fields = authorization.strip_prefix(v3::ALGORITHM).expect("the algorithm").trim();
    let authorization = v3::Authorization::parse(fields).expect("three fields");
    let canonical = v3::canonical_request(
        &request.method,
        &request.query.iter().collect(),
        &header_map(request),
        authorization.signed_headers,
        request.header("x-acs-content-sha256").expect("the hash of the body"),
    );
    let to_sign = v3::string_to_sign(&canonical);
    (canonical, to_sign, authorization)
}

#[test]
fn the_index_describes_the_captured_files() {
    let captures = captures();
    assert_eq!(captures.len(), 352);
    let indexed: BTreeSet<_> = captures.iter().map(|capture| capture.file.clone()).collect();
    assert_eq!(indexed, files().into_iter().collect());
    for capture in &captures {
        let Capture { file, request, .. } = capture;
        assert_eq!(request.method, capture.text("method"), "{file}");
        assert_eq!(request.header("host"), Some(capture.text("host")), "{file}");
        let names = |pairs: &[Pair]| {
            serde_json::Value::from(pairs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())
        };
        assert_eq!(names(&request.query), capture.says["query_names"], "{file}");
        assert_eq!(names(&request.form()), capture.says["body_names"], "{file}");
        let parameters = request.parameters();
        for (name, value) in capture.says["business_params"].as_object().expect("an object") {
            assert_eq!(parameters.get(name).map(String::as_str), value.as_str(), "{file}");
        }
        // Official clients send these headers with both signatures. A V1 request has the
        // parameters, too.
        for (header, field) in [("x-acs-action", "action"), ("x-acs-version", "version")] {
            let given = request.header(header);
            assert!(given.is_none_or(|given| given == capture.text(field)), "{file}");
            assert!(given.is_some() || !capture.is_v3(), "{file}");
        }
        if capture.is_v1() {
            for (parameter, field) in [
                ("Action", "action"),
                ("Version", "version"),
                ("Timestamp", "timestamp"),
                ("SignatureNonce", "nonce"),
                ("Signature", "signature"),
            ] {
                assert_eq!(parameters[parameter], capture.text(field), "{file}");
            }
        }
    }
}

#[test]
fn v1_captures_are_signed_as_the_index_says() {
    let captures: Vec<_> = captures().into_iter().filter(Capture::is_v1).collect();
    assert_eq!(captures.len(), 257);
    for capture in &captures {
        let pairs = all_pairs(&capture.request);
        let signed = pairs.iter().filter(|(name, _)| name != v1::SIGNATURE);
        let signed = signed.collect();
        assert_eq!(canonical_query(&signed), capture.text("canonical_query"), "{}", capture.file);
        let to_sign = v1::string_to_sign(&capture.request.method, &pairs.iter().collect());
        assert_eq!(to_sign, capture.text("string_to_sign"), "{}", capture.file);
        let signature = capture.text("signature");
        let key = key_v1(capture.says["credential"]["access_key_secret"].as_str().expect("one"));
        assert_eq!(key.sign(&to_sign), signature, "{}", capture.file);
        assert!(key.verify(&to_sign, signature), "{}", capture.file);
        assert!(!key_v1("testsecret&").verify(&to_sign, signature), "{}", capture.file);
        assert!(!key.verify(&to_sign[1..], signature), "{}", capture.file);
    }
}

#[test]
fn v3_captures_are_signed_as_the_index_says() {
    let captures: Vec<_> = captures().into_iter().filter(Capture::is_v3).collect();
    assert_eq!(captures.len(), 91);
    for capture in &captures {
        let Capture { file, request, says } = capture;
        let authorization = request.header("authorization").expect("an authorization");
        let (canonical, to_sign, authorization) = v3_of(request, authorization);
        assert_eq!(canonical, capture.text("canonical_request"), "{file}");
        assert_eq!(to_sign, capture.text("string_to_sign"), "{file}");
        assert_eq!(Some(authorization.credential), says["credential"]["access_key_id"].as_str());
        let names: Vec<_> = authorization.signed_headers.split(';').collect();
        assert_eq!(serde_json::Value::from(names), says["signed_headers"], "{file}");
        assert_eq!(authorization.signature, capture.text("signature"), "{file}");
        let hash = request.header("x-acs-content-sha256");
        assert_eq!(hash, Some(v3::hash(&request.body).as_str()), "{file}");
        let key = key_v3(says["credential"]["access_key_secret"].as_str().expect("one"));
        assert_eq!(key.sign(&to_sign), authorization.signature, "{file}");
        assert!(key.verify(&to_sign, authorization.signature), "{file}");
        assert!(!key_v3("testsecret&").verify(&to_sign, authorization.signature), "{file}");
        assert!(!key.verify(&to_sign[1..], authorization.signature), "{file}");
    }
}

/// The examples are from the manuals of the vendor.
#[test]
fn the_published_examples_verify() {
    let vectors = json("published-vectors.json");
    let vectors = vectors["vectors"].as_array().expect("a list");
    assert_eq!(vectors.len(), 3);
    let mut signatures = Vec::new();
    for vector in vectors {
        let request = vector["request"].as_str().expect("a request").as_bytes().to_vec();
        let request = HttpRequest::parse(request);
        let secret = vector["secret"].as_str().expect("a secret");
        let title = &vector["title"];
        if let Some(authorization) = request.header("authorization") {
            let (_, to_sign, authorization) = v3_of(&request, authorization);
            assert!(key_v3(secret).verify(&to_sign, authorization.signature), "{title}");
            assert_eq!(key_v3(secret).sign(&to_sign), authorization.signature, "{title}");
            signatures.push(authorization.signature.to_owned());
        } else {
            let pairs = all_pairs(&request);
            let to_sign = v1::string_to_sign(&request.method, &pairs.iter().collect());
            let signature = &request.parameters()["Signature"];
            assert!(key_v1(secret).verify(&to_sign, signature), "{title}");
            assert_eq!(&key_v1(secret).sign(&to_sign), signature, "{title}");
            signatures.push(signature.clone());
        }
    }
    assert_eq!(
        signatures,
        [
            "KkkQOf0ymKf4yVZLggy6kYiwgFs=",
            "OLeaidS1JvxuMvnyHOwuJ+uX5qY=",
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
        ]
    );
}
