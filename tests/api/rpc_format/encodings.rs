//! How parameters may be percent-encoded on the wire. The canonical form of the decoded values is
//! signed, so all encodings of a request have one meaning (docs/protocol.md, "Signature V1").

use super::{FORM, HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::Format;
use crate::support::rest::{Key, Parameters, encode, parameters, query};

/// A value with all characters that clients encode in different ways.
const ODD: &str = "a b!*()'~-_.é打😀%+&=/:?#@,;[]{}|\\^`\"<>$";

type Spelling = fn(&str) -> String;

/// Encodes blanks as `+`, as Python Tea does.
fn plus(text: &str) -> String {
    encode(text).replace("%20", "+")
}

/// Does not encode `! * ( ) '`, as Node does.
fn bare(text: &str) -> String {
    [("%21", "!"), ("%2A", "*"), ("%28", "("), ("%29", ")"), ("%27", "'")]
        .iter()
        .fold(encode(text), |text, (encoded, plain)| text.replace(encoded, plain))
}

/// Encodes with hex digits in lower case.
fn lower_case(text: &str) -> String {
    let encoded = encode(text);
    let (first, escapes) = encoded.split_once('%').unwrap_or((&encoded, ""));
    let escapes = escapes.split('%').filter(|escape| !escape.is_empty());
    let lower =
        escapes.map(|escape| ["%", &escape[..2].to_ascii_lowercase(), &escape[2..]].concat());
    [first.to_owned(), lower.collect::<Vec<_>>().concat()].concat()
}

/// Encodes every byte, also letters.
fn everything(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

/// Does not encode letters beyond ASCII.
fn raw_letters(text: &str) -> String {
    let one = |letter: char| {
        if letter.is_ascii() { encode(&letter.to_string()) } else { letter.to_string() }
    };
    text.chars().map(one).collect()
}

const SPELLINGS: [(&str, Spelling); 6] = [
    ("canonical", encode),
    ("blanks as plus", plus),
    ("bare punctuation", bare),
    ("lower-case hex", lower_case),
    ("every byte", everything),
    ("raw letters", raw_letters),
];

fn spelled(parameters: &Parameters, spelling: Spelling) -> String {
    let pairs =
        parameters.iter().map(|(name, value)| format!("{}={}", spelling(name), spelling(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn odd_parameters(api: &Api, key: &Key) -> Parameters {
    let mut parameters = api.common(key, HISTORY);
    parameters.insert("Odd".to_owned(), ODD.to_owned());
    parameters.insert(ODD.to_owned(), String::new());
    parameters
}

#[tokio::test]
async fn every_encoding_of_a_signed_value_is_the_same_value() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for (name, spelling) in SPELLINGS {
        let signed = api.sign(&key, "GET", odd_parameters(&api, &key));
        let reply = api.send_get(&spelled(&signed, spelling)).await;
        assert_eq!(reply.status, 200, "{name}, query: {reply:?}");
        reply.says(Format::Json, HISTORY_JSON);
        let signed = api.sign(&key, "POST", odd_parameters(&api, &key));
        let body = spelled(&signed, spelling);
        let reply = api.send("POST", "/", &[FORM], body.as_bytes()).await;
        assert_eq!(reply.status, 200, "{name}, form: {reply:?}");
        reply.says(Format::Json, HISTORY_JSON);
    }
}

#[tokio::test]
async fn v3_signs_decoded_values_too() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let given = "StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z";
    for (name, spelling) in SPELLINGS {
        let mut draft = api.draft("DescribeCdnUserBillType", "2018-05-10", "");
        draft.query = parameters(given);
        draft.query.insert("Odd".to_owned(), ODD.to_owned());
        let draft = draft.signed(&key);
        let headers = draft.headers_without_host();
        let target = format!("/?{}", spelled(&draft.query, spelling));
        let reply = api.send("POST", &target, &headers, b"").await;
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        reply.says(Format::Json, HISTORY_JSON);
    }
}

/// In the encoding of forms, `+` is a blank, and `%2B` is a plus.
#[tokio::test]
async fn a_plus_is_a_blank_and_an_encoded_plus_is_a_plus() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for (signed_value, sent, accepted) in [
        (" ", "+", true),
        (" ", "%20", true),
        ("+", "%2B", true),
        ("+", "%2b", true),
        ("+", "+", false),
        (" ", "%2B", false),
        ("%2B", "%252B", true),
        ("%2B", "%2B", false),
    ] {
        let mut parameters = api.common(&key, HISTORY);
        parameters.insert("Sign".to_owned(), signed_value.to_owned());
        let mut signed = api.sign(&key, "GET", parameters);
        signed.remove("Sign");
        let reply = api.send_get(&format!("{}&Sign={sent}", query(&signed))).await;
        if accepted {
            reply.says(Format::Json, HISTORY_JSON);
        } else {
            assert_eq!(reply.text("Code"), "SignatureDoesNotMatch", "{signed_value} as {sent}");
        }
    }
}

/// A percent sign before anything else than two hex digits stands for itself.
#[tokio::test]
async fn a_percent_sign_that_does_not_begin_an_escape_is_a_percent_sign() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for value in ["%", "100%", "%zz", "%4", "%%41"] {
        let decoded = if value == "%%41" { "%A" } else { value };
        let mut parameters = api.common(&key, HISTORY);
        parameters.insert("Sign".to_owned(), decoded.to_owned());
        let mut signed = api.sign(&key, "GET", parameters);
        signed.remove("Sign");
        let reply = api.send_get(&format!("{}&Sign={value}", query(&signed))).await;
        assert_eq!(reply.status, 200, "{value}: {reply:?}");
    }
}

#[tokio::test]
async fn names_may_be_encoded_like_values() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let signed = query(&api.sign(&key, "GET", api.common(&key, HISTORY)));
    let encoded = signed.replace("Action=", "%41ction=").replace("Signature=", "%53ignatur%65=");
    assert_ne!(encoded, signed);
    api.send_get(&encoded).await.says(Format::Json, HISTORY_JSON);
}

#[tokio::test]
async fn empty_parts_between_parameters_are_ignored() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let signed = query(&api.sign(&key, "GET", api.common(&key, HISTORY)));
    let spaced = format!("&&{}&", signed.replace('&', "&&&"));
    api.send_get(&spaced).await.says(Format::Json, HISTORY_JSON);
}
