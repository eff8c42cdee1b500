//! Signs every capture anew, as its client would sign it today: with another key, nonce and time,
//! and those with a security token also with another token. Everything else stays as it was, byte
//! for byte.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::signature::{v1, v3};
use cdn_activation::domain::time;
use cdn_activation::proto::operator::v1 as operator;
use md5::{Digest, Md5};

use super::expected::{actual, answer_of, expected, expected_with_a_valid_token};
use super::vectors::{all_pairs, v3_of};
use crate::support::Api;
use crate::support::captures::{Capture, HttpRequest, captures};
use crate::support::refusals::TOKEN_MALFORMED;
use crate::support::rest::{Key, encode, nonce};

/// The key with which a capture is signed, and a security token that replaces the captured one.
struct CaptureSigner<'a> {
    key: &'a Key,
    token: Option<&'a str>,
}

/// Returns the bytes of the capture, signed by `by` at this instant, which is written as in
/// `2026-11-29T08:00:00`.
fn signed_anew(capture: &Capture, by: &CaptureSigner<'_>, second: &str) -> Vec<u8> {
    let CaptureSigner { key, token } = by;
    // The fraction and the `Z` stay as the client wrote them, also if they are absent.
    let timestamp = format!("{second}{}", &capture.timestamp()[second.len()..]);
    if capture.is_v1() {
        let with = |signature: &str| {
            let nonce = nonce();
            let mut values = vec![
                ("AccessKeyId", key.id.as_str()),
                ("SignatureNonce", &nonce),
                ("Timestamp", &timestamp),
                ("Signature", signature),
            ];
            values.extend(token.map(|token| ("SecurityToken", token)));
            with_parameters(&capture.request.bytes, &values)
        };
        let unsigned = HttpRequest::parse(with(""));
        let pairs: Vec<_> = all_pairs(&unsigned);
        let signed = pairs.iter().filter(|(name, _)| name != v1::SIGNATURE);
        let to_sign = v1::string_to_sign(&unsigned.method, &signed.collect());
        let signature = v1::Key::new(&Secret::new(key.secret.clone())).sign(&to_sign);
        with_parameters(&unsigned.bytes, &[("Signature", &signature)])
    } else {
        let nonce = nonce();
        let mut values = vec![
            ("x-acs-accesskey-id", key.id.as_str()),
            ("x-acs-date", &timestamp),
            ("x-acs-signature-nonce", &nonce),
        ];
        values.extend(token.map(|token| ("x-acs-security-token", token)));
        let dated = with_headers(&capture.request.bytes, &values);
        let request = HttpRequest::parse(dated.clone());
        let old = request.header("authorization").expect("an authorization");
        let (_, to_sign, authorization) = v3_of(&request, old);
        let signature = v3::Key::new(&Secret::new(key.secret.clone())).sign(&to_sign);
        let new = old.replace(authorization.signature, &signature).replace(
            &format!("Credential={}", authorization.credential),
            &format!("Credential={}", key.id),
        );
        with_headers(&dated, &[("authorization", &new)])
    }
}

/// Returns the request with other values of these parameters, in the query and in the form.
fn with_parameters(bytes: &[u8], values: &[(&str, &str)]) -> Vec<u8> {
    let (head, body) = parts(bytes);
    let (line, headers) = head.split_once("\r\n").expect("headers");
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    let target = match target.split_once('?') {
        Some((path, query)) => format!("{path}?{}", with_values(query, values)),
        None => target.to_owned(),
    };
    let head = format!("{method} {target} {version}\r\n{headers}");
    let is_form =
        head.to_ascii_lowercase().contains("content-type: application/x-www-form-urlencoded");
    if !is_form || body.is_empty() {
        return [head.as_bytes(), b"\r\n\r\n", body].concat();
    }
    let body = with_values(std::str::from_utf8(body).expect("a form"), values);
    let head = [head.as_bytes(), b"\r\n\r\n"].concat();
    let digest = STANDARD.encode(Md5::digest(body.as_bytes()));
    let head = with_headers(
        &head,
        &[("content-length", &body.len().to_string()), ("content-md5", &digest)],
    );
    [&head, body.as_bytes()].concat()
}

/// Returns the pairs of a query or form with other values of these names.
fn with_values(text: &str, values: &[(&str, &str)]) -> String {
    let pairs = text.split('&').map(|pair| {
        let name = pair.split('=').next().expect("a name");
        match values.iter().find(|(named, _)| *named == name) {
            Some((_, value)) => Cow::from(format!("{name}={}", encode(value))),
            None => Cow::from(pair),
        }
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Returns the request with other values of these headers. A header that the request does not have
/// is not added.
fn with_headers(bytes: &[u8], values: &[(&str, &str)]) -> Vec<u8> {
    let (head, body) = parts(bytes);
    let lines = head.split("\r\n").map(|line| {
        let name = line.split(':').next().expect("a name");
        match values.iter().find(|(named, _)| name.eq_ignore_ascii_case(named)) {
            Some((_, value)) => format!("{name}: {value}"),
            None => line.to_owned(),
        }
    });
    let head = lines.collect::<Vec<_>>().join("\r\n");
    [head.as_bytes(), b"\r\n\r\n", body].concat()
}

/// Returns the head and the body of a request.
fn parts(bytes: &[u8]) -> (&str, &[u8]) {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    (std::str::from_utf8(&bytes[..end]).expect("UTF-8"), &bytes[end + 4..])
}

#[tokio::test]
async fn captures_that_are_signed_anew_are_answered_as_over_grpc() {
    let api = Api::start().await;
    let (key, twin) = (api.account().await, api.account().await);
    let second = time::format(api.clock.wire_now());
    let second = second.strip_suffix('Z').expect("UTC");
    let mut database = api.database.connect().await;
    let mut succeeded = 0;
    for is_open in [false, true] {
        for capture in captures().iter().filter(|capture| capture.is_v1() || capture.is_v3()) {
            println!("{}", capture.file); // if the test fails, the last line names the capture
            let forget = "DELETE FROM charge_type_changes; DELETE FROM instances";
            sqlx::raw_sql(forget).execute(&mut database).await.expect("runs");
            if is_open {
                for key in [&key, &twin] {
                    api.open_cdn(key).await;
                    api.open_dcdn(key).await;
                }
            }
            api.at(&format!("{second}Z"));
            let by = CaptureSigner { key: &key, token: None };
            let request = signed_anew(capture, &by, second);
            let reply = api.exchange(&request).await.expect("answered");
            let expected = expected(&api, capture, &twin).await;
            assert_eq!(actual(capture, &reply), expected, "{}", capture.file);
            succeeded += u32::from(reply.status == 200);
        }
    }
    assert!(succeeded > 300, "{succeeded} captures succeeded");
}

/// The clients whose requests with a security token were captured.
const CLIENTS_WITH_TOKENS: [&str; 14] = [
    "aliyun_cli",
    "go_classic",
    "go_tea_v3",
    "go_tearpc_terraform",
    "java_classic_v1",
    "java_classic_v1_xml",
    "java_classic_v3",
    "java_tea_v1",
    "java_tea_v3",
    "node_pop",
    "php_classic",
    "php_tea_v3",
    "py_classic",
    "py_tea",
];

#[tokio::test]
async fn captures_with_a_security_token_are_answered_if_a_temporary_credential_signs_them() {
    let api = Api::start().await;
    let (parent, twin) = (api.account().await, api.account().await);
    let request = operator::IssueSecurityTokenRequest {
        access_key_id: parent.id.clone(),
        ..Default::default()
    };
    let issued = api.access_keys().await.issue_security_token(request).await.expect("issued");
    let issued = issued.into_inner();
    let (id, secret) = (issued.access_key_id, issued.access_key_secret);
    let temporary = Key { id, secret, ..parent.clone() };
    let second = time::format(api.clock.wire_now());
    let second = second.strip_suffix('Z').expect("UTC");
    api.at(&format!("{second}Z"));
    let mut database = api.database.connect().await;
    let (mut clients, mut succeeded) = (BTreeSet::new(), 0);
    let captures = captures();
    for is_open in [false, true] {
        for capture in captures.iter().filter(|capture| capture.has_security_token()) {
            println!("{}", capture.file); // if the test fails, the last line names the capture
            sqlx::raw_sql("DELETE FROM instances").execute(&mut database).await.expect("runs");
            if is_open {
                for key in [&parent, &twin] {
                    api.open_cdn(key).await;
                    api.open_dcdn(key).await;
                }
            }
            let by = CaptureSigner { key: &temporary, token: Some(&issued.security_token) };
            let request = signed_anew(capture, &by, second);
            let (text, token) = (String::from_utf8_lossy(&request), &issued.security_token);
            assert!(text.contains(token) || text.contains(&*encode(token)), "{text}");
            let reply = api.exchange(&request).await.expect("answered");
            let expected = expected_with_a_valid_token(&api, capture, &twin).await;
            assert_eq!(actual(capture, &reply), expected, "{}", capture.file);
            clients.extend(capture.file.split("__").next());
            succeeded += u32::from(reply.status == 200);
            // The captured token does not belong to the credential.
            let by = CaptureSigner { key: &temporary, token: None };
            let request = signed_anew(capture, &by, second);
            let reply = api.exchange(&request).await.expect("answered");
            let refused = answer_of(&TOKEN_MALFORMED);
            assert_eq!(actual(capture, &reply), refused, "{}", capture.file);
        }
    }
    assert_eq!(clients, BTreeSet::from(CLIENTS_WITH_TOKENS));
    assert!(succeeded > 40, "{succeeded} captures succeeded");
}
