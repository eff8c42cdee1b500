//! Broken signers of V3. Each signs the same request, and the doctor names its mistake.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::signer::{SECRET, escape, hash, sha1, sha256};
use super::{codes, explained, explained_with, named_by_mac};

const SIGNED: &str = "content-type;host;x-acs-action;x-acs-content-sha256;x-acs-date";
const FORM: &str = "application/x-www-form-urlencoded";
const BODY: &str = "Name=a%20b";
const QUERY: &str = "B=a%20b%2Ac&a=";

fn lines() -> String {
    let hash = hash(BODY);
    format!(
        "content-type:{FORM}\nhost:127.0.0.1:8080\nx-acs-action:OpenCdnService\n\
         x-acs-content-sha256:{hash}\nx-acs-date:2026-08-06T02:19:46Z\n"
    )
}

fn canonical() -> String {
    format!("POST\n/\n{QUERY}\n{}\n{SIGNED}\n{}", lines(), hash(BODY))
}

fn to_sign(canonical: &str) -> String {
    format!("ACS3-HMAC-SHA256\n{}", hash(canonical))
}

/// Returns the request with a signature, as a curl command and as raw HTTP.
fn pasted(signature: &str) -> [String; 2] {
    let authorization = format!(
        "ACS3-HMAC-SHA256 Credential=LTAItest,SignedHeaders={SIGNED},Signature={signature}"
    );
    let headers = [
        ("X-Acs-Action", "OpenCdnService"),
        ("x-acs-date", "2026-08-06T02:19:46Z"),
        ("x-acs-content-sha256", &hash(BODY)),
        ("Content-Type", FORM),
        ("Authorization", &authorization),
    ];
    let options = headers.map(|(name, value)| format!("-H '{name}: {value}'")).join(" \\\n  ");
    let lines = headers.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    [
        format!("curl {options} -d '{BODY}' 'http://127.0.0.1:8080/?a=&B=a+b%2ac'"),
        format!("POST /?a=&B=a+b%2ac HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{lines}\r\n{BODY}"),
    ]
}

/// Checks that the MAC names the mistake of a signer with this canonical request, and that the
/// request names it without the secret.
fn names(code: &str, wrong: &str) {
    assert_ne!(wrong, canonical(), "{code} is a mistake");
    for text in pasted(&hex::encode(sha256(SECRET, &to_sign(wrong)))) {
        assert_eq!(named_by_mac(&explained(&text), SECRET), code, "{wrong}");
        if !wrong.ends_with('\n') && !wrong.contains('\r') {
            assert_eq!(codes(&explained_with(&text, wrong)), [code], "{wrong}");
            assert_eq!(codes(&explained_with(&text, &to_sign(wrong))), [code], "{wrong}");
        }
    }
}

#[test]
fn the_right_signature_is_correct() {
    let right = hex::encode(sha256(SECRET, &to_sign(&canonical())));
    for text in pasted(&right) {
        let explanation = explained(&text);
        assert_eq!(named_by_mac(&explanation, SECRET), "correct");
        assert!(codes(&explanation).is_empty(), "{explanation:?}");
        assert_eq!(explanation.steps[1].text, canonical());
        assert_eq!(codes(&explained_with(&text, &canonical())), ["string_is_right"]);
        assert_eq!(codes(&explained_with(&text, &to_sign(&canonical()))), ["string_is_right"]);
    }
    for text in pasted(&right.to_ascii_uppercase()) {
        assert_eq!(named_by_mac(&explained(&text), SECRET), "signature_upper_case");
    }
}

#[test]
fn mistakes_in_the_query_are_named() {
    let with = |query: &str| canonical().replace(QUERY, query);
    names("plus_for_blank", &with("B=a+b%2Ac&a="));
    names("star_not_encoded", &with("B=a%20b*c&a="));
    names("double_encoding", &with("B=a%2520b%252Ac&a="));
    names("values_not_encoded", &with("B=a b*c&a="));
    names("query_encoded_twice", &with(&escape(QUERY)));
    names("query_missing", &with(""));
    names("not_sorted", &with("a=&B=a%20b%2Ac"));
    names("empty_value_left_out", &with("B=a%20b%2Ac"));
    names("empty_value_without_equals", &with("B=a%20b%2Ac&a"));
    names("form_in_query", &with("B=a%20b%2Ac&Name=a%20b&a="));
    names("stray_separator", &with(&format!("?{QUERY}")));
    names("parameter_not_signed", &with("a="));
    names("as_on_the_wire", &with("B=a+b%2ac&a="));
}

#[test]
fn mistakes_in_the_headers_are_named() {
    let canonical = canonical();
    names(
        "header_not_trimmed",
        &canonical
            .replace("\nhost:", "\nhost: ")
            .replace("action:", "action: ")
            .replace("type:", "type: ")
            .replace("sha256:", "sha256: ")
            .replace("date:2", "date: 2"),
    );
    names(
        "header_names_not_lower_case",
        &canonical
            .replace("x-acs-action:", "X-Acs-Action:")
            .replace("host:", "Host:")
            .replace("content-type:", "Content-Type:"),
    );
    names("host_and_port", &canonical.replace(":8080", ""));
    names("content_type_differs", &canonical.replace(FORM, &format!("{FORM}; charset=utf-8")));
    names("header_line_missing", &canonical.replace("host:127.0.0.1:8080\n", ""));
    names("blank_line_missing", &canonical.replace("\n\n", "\n"));
    names("crlf", &canonical.replace('\n', "\r\n"));
    let mut sorted: Vec<_> = SIGNED.split(';').collect();
    sorted.reverse();
    let reversed = sorted.join(";");
    let mut lines: Vec<_> = lines().lines().map(str::to_owned).collect();
    lines.reverse();
    let wrong = format!("POST\n/\n{QUERY}\n{}\n\n{reversed}\n{}", lines.join("\n"), hash(BODY));
    let text = pasted(&hex::encode(sha256(SECRET, &to_sign(&wrong))));
    assert_eq!(named_by_mac(&explained(&text[0]), SECRET), "nothing");
    let sent = text[0].replace(SIGNED, &reversed);
    assert_eq!(named_by_mac(&explained(&sent), SECRET), "correct", "the order is the client's");
    let signed = hex::encode(sha256(SECRET, &to_sign(&canonical)));
    let text = pasted(&signed)[0].replace(SIGNED, &reversed);
    assert_eq!(named_by_mac(&explained(&text), SECRET), "headers_not_sorted");
}

#[test]
fn mistakes_in_method_path_and_payload_hash_are_named() {
    let canonical = canonical();
    names("wrong_method", &canonical.replace("POST", "GET"));
    names("method_not_in_capitals", &canonical.replace("POST", "post"));
    names("path_missing", &canonical.replace("POST\n/\n", "POST\n\n"));
    let line = format!("{SIGNED}\n{}", hash(BODY));
    names("unsigned_payload", &canonical.replace(&line, &format!("{SIGNED}\nUNSIGNED-PAYLOAD")));
    names(
        "payload_hash_signed_differs",
        &canonical.replace(&line, &format!("{SIGNED}\n{}", hash(""))),
    );
    names("line_end_after_request", &format!("{canonical}\n"));
}

#[test]
fn mistakes_after_the_canonical_request_are_named() {
    let canonical = canonical();
    for (code, string) in [
        ("canonical_request_not_hashed", canonical.clone()),
        ("canonical_request_not_hashed", format!("ACS3-HMAC-SHA256\n{canonical}")),
        ("algorithm_line_missing", hash(&canonical)),
        ("hash_in_capitals", format!("ACS3-HMAC-SHA256\n{}", hash(&canonical).to_uppercase())),
        ("line_end_after_string", format!("{}\n", to_sign(&canonical))),
    ] {
        for text in pasted(&hex::encode(sha256(SECRET, &string))) {
            assert_eq!(named_by_mac(&explained(&text), SECRET), code);
        }
    }
}

#[test]
fn mistakes_in_the_key_and_the_mac_are_named() {
    let string = to_sign(&canonical());
    let sha1_in_hex = hex::encode(STANDARD.decode(sha1(SECRET, &string)).unwrap());
    for (code, signature) in [
        ("ampersand_appended", hex::encode(sha256("testsecret&", &string))),
        ("newline_in_secret", hex::encode(sha256("testsecret\n", &string))),
        ("hmac_sha1", sha1_in_hex),
        ("base64_for_hex", STANDARD.encode(sha256(SECRET, &string))),
    ] {
        for text in pasted(&signature) {
            assert_eq!(named_by_mac(&explained(&text), SECRET), code);
        }
    }
}

#[test]
fn what_the_server_refuses_beside_the_signature_is_named() {
    let right = hex::encode(sha256(SECRET, &to_sign(&canonical())));
    let text = &pasted(&right)[0];
    let other_body = text.replace(BODY, "Name=other");
    assert_eq!(codes(&explained(&other_body)), ["payload_hash_of_another_body"]);
    assert_eq!(named_by_mac(&explained(&other_body), SECRET), "payload_hash_of_another_body");
    let unsigned = text.replace("curl ", "curl -H 'x-acs-version: 1' ");
    assert_eq!(named_by_mac(&explained(&unsigned), SECRET), "header_not_signed");
    let absent = text.replace("-H 'x-acs-date: 2026-08-06T02:19:46Z'", "");
    assert_eq!(codes(&explained(&absent)), ["signed_header_not_sent"]);
    let unreadable = text.replace("Credential=LTAItest,", "");
    assert_eq!(codes(&explained(&unreadable)), ["authorization_unreadable"]);
    let no_hash = text.replace("-H 'x-acs-content-sha256", "-H 'y");
    assert!(codes(&explained(&no_hash)).contains(&"payload_hash_missing"));
    let json = text.replace(FORM, "application/json");
    assert!(codes(&explained(&json)).contains(&"body_not_a_form"));
}
