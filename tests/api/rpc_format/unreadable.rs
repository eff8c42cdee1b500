//! Names and values that a reply cannot repeat: bytes that are not UTF-8, and characters that XML
//! cannot contain. The refusal has the name of the parameter, as far as it can be shown.

use super::{FORM, HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::{Format, invalid};
use crate::support::rest::query;

/// Encoded texts that are refused.
const UNREADABLE: [&str; 18] = [
    "%00",
    "a%00b",
    "%01",
    "%09",
    "%0A",
    "a%0D%0Ab",
    "%1B%5B31m",
    "%7F",
    "%C2%80",
    "%C2%85",
    "%C2%9F",
    "%FF",
    "a%80",
    "%C3",
    "%C0%80",       // a NUL in two bytes
    "%ED%A0%80",    // half of a surrogate pair
    "%F4%90%80%80", // beyond Unicode
    "%EF%BF%BF",    // U+FFFF
];

#[tokio::test]
async fn a_value_that_cannot_be_read_is_refused_with_the_name_of_its_parameter() {
    let api = Api::start().await;
    for value in UNREADABLE.into_iter().chain(["%EF%BF%BE"]) {
        for (requested, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let query = format!("Action=OpenCdnService&Format={requested}&Odd%20one={value}");
            api.send_get(&query).await.is(format, &invalid("Odd one"));
            let form = format!("Odd%20one={value}");
            let target = format!("/?Action=OpenCdnService&Format={requested}");
            let reply = api.send("POST", &target, &[FORM], form.as_bytes()).await;
            reply.is(format, &invalid("Odd one"));
        }
    }
}

#[tokio::test]
async fn of_a_name_that_cannot_be_read_the_readable_part_is_shown() {
    let api = Api::start().await;
    for (name, shown) in [
        ("a%00b", "ab"),
        ("%0A", ""),
        ("a%7Fb%1Bc", "abc"),
        ("a%FFb", "a\u{fffd}b"),
        ("%C3", "\u{fffd}"),
        ("a%EF%BF%BFb", "ab"),
        ("a%EF%BF%BEb", "ab"),
        ("%3Cb%3E%00%26%22", "<b>&\""),
        ("a%00%FF", "a\u{fffd}"),
    ] {
        for (requested, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let query = format!("Action=OpenCdnService&Format={requested}&{name}=1");
            api.send_get(&query).await.is(format, &invalid(shown));
            let bare = format!("Action=OpenCdnService&Format={requested}&{name}");
            api.send_get(&bare).await.is(format, &invalid(shown));
        }
    }
}

#[tokio::test]
async fn a_parameter_that_cannot_be_read_is_refused_before_anything_else_is_checked() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let signed = query(&api.sign(&key, "GET", api.common(&key, HISTORY)));
    api.send_get(&format!("{signed}&Odd=%00")).await.is(Format::Json, &invalid("Odd"));
    api.send_get("Odd=%00").await.is(Format::Xml, &invalid("Odd"));
    let draft = api.draft("DescribeUserCdnStatus", "2018-05-10", "").signed(&key);
    let headers = draft.headers_without_host();
    api.send("POST", "/?Odd=%FF", &headers, b"").await.is(Format::Json, &invalid("Odd"));
    api.send_get(&signed).await.says(Format::Json, HISTORY_JSON); // the nonce was not used
}

/// The query comes before the form.
#[tokio::test]
async fn of_several_parameters_that_cannot_be_read_the_first_is_named() {
    let api = Api::start().await;
    let reply = api.send_get("Format=JSON&a=1&b=%00&c=%FF").await;
    reply.is(Format::Json, &invalid("b"));
    let reply = api.send("POST", "/?Format=JSON&c=%FF", &[FORM], b"b=%00").await;
    reply.is(Format::Json, &invalid("c"));
}

/// The answer is the same as without a format.
#[tokio::test]
async fn a_format_that_cannot_be_read_is_answered_in_xml() {
    let api = Api::start().await;
    api.send_get("Action=x&Format=JSON%00").await.is(Format::Xml, &invalid("Format"));
}

#[tokio::test]
async fn every_other_character_can_be_sent() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let mut parameters = api.common(&key, HISTORY);
    let letters =
        "\u{a0}\u{ad}\u{200b}\u{2028}\u{202e}\u{d7ff}\u{e000}\u{fffd}\u{feff}\u{10ffff}😀";
    parameters.insert("Letters".to_owned(), letters.to_owned());
    let signed = api.sign(&key, "GET", parameters);
    api.send_get(&query(&signed)).await.says(Format::Json, HISTORY_JSON);
}
