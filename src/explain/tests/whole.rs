//! What is recognised, and the answer as a whole.

use serde_json::{Value, json};

use super::signer::{SECRET, escape, query, sha1, string_v1, url};
use super::{codes, explained, explained_with, named_by_mac};
use crate::auth::signature::v3;
use crate::explain::{Kind, answer};

#[test]
fn the_message_of_the_server_is_compared_with_the_own_string() {
    let right = string_v1(&query());
    let message =
        "Specified signature is not matched with our calculation. server string to sign is:";
    let body = json!({"Code": "SignatureDoesNotMatch", "Message": format!("{message}{right}")});
    let xml = format!("<Error><Message>{message}{}</Message></Error>", right.replace('&', "&amp;"));
    let own = right.replace("%2520", "%2B");
    for text in [body.to_string(), xml, format!("{message}{right}")] {
        let explanation = explained_with(&text, &own);
        assert_eq!(explanation.recognised, Some(Kind::StringToSign));
        assert_eq!(codes(&explanation), ["plus_for_blank"]);
        assert_eq!(explanation.steps.last().unwrap().text, right);
        let difference = explanation.difference.unwrap();
        assert_eq!(difference.at, right.find("%2520").unwrap() + 2);
        assert_eq!(difference.column, difference.at + 1);
    }
}

#[test]
fn the_message_of_v3_is_compared_with_the_own_request() {
    let server = "GET\n/\na=b%20c\nhost:h\n\nhost\nabc";
    let message = format!(
        "Specified signature does not match our calculation. server StringToSign is [{}] server \
         CanonicalRequest is [{server}]",
        v3::string_to_sign(server)
    );
    let text = json!({"Message": message}).to_string();
    for (own, code) in [
        (server.replace("%20", "+"), "plus_for_blank"),
        (server.replace("host:h", "host:other"), "header_differs"),
        (server.replace("a=b", "a=b&d=e"), "value_differs"),
        (server.to_owned(), "string_is_right"),
    ] {
        let explanation = explained_with(&text, &own);
        assert_eq!(explanation.recognised, Some(Kind::CanonicalRequest));
        assert_eq!(codes(&explanation)[0], code, "{own}");
        assert_eq!(explanation.steps[1].text, server);
    }
}

#[test]
fn an_own_string_alone_is_compared_with_the_right_one() {
    for (own, code) in [
        (string_v1(&query()), "string_is_right"),
        (string_v1(&query().replace("%20", "+")), "plus_for_blank"),
        (format!("GET&/&{}", escape(&query())), "path_not_encoded"),
        (format!("GET&%2F&{}", query()), "single_encoding"),
    ] {
        let explanation = explained(&own);
        assert_eq!(explanation.recognised, Some(Kind::StringToSign));
        assert_eq!(codes(&explanation), [code], "{own}");
    }
    let explanation = explained(&v3::string_to_sign("x"));
    assert_eq!(codes(&explanation), ["only_a_hash"]);
    let own = "GET\n/\na=b c\nhost:h\n\nhost\nabc";
    assert_eq!(codes(&explained(own)), ["values_not_encoded"]);
}

#[test]
fn what_the_request_itself_shows_is_named() {
    let right = url(&sha1("testsecret&", &string_v1(&query())));
    for (text, code) in [
        (right.replace("/?", "/path?"), "path_not_root"),
        (format!("{right}&Format=JSON"), "parameter_twice"),
        (right.replace("HMAC-SHA1", "HMAC-SHA256"), "signature_method_unknown"),
        (right.replace('&', "&amp;"), "html_escaped"),
        (format!("curl {right}"), "url_not_quoted"),
        (format!("curl -d @file '{right}'"), "option_not_read"),
        ("curl -K file".to_owned(), "option_not_read"),
        ("curl -F a=b 'http://h/?Action=A'".to_owned(), "option_not_read"),
        (right.split("&Signature=").next().unwrap().to_owned(), "signature_missing"),
        ("What is this?".to_owned(), "not_recognised"),
        ("a".repeat(65 * 1024), "too_long"),
    ] {
        assert_eq!(codes(&explained(&text))[0], code);
    }
    assert_eq!(named_by_mac(&explained(&right.replace('&', "&amp;")), SECRET), "html_escaped");
    assert_eq!(named_by_mac(&explained(&format!("curl {right}")), SECRET), "correct");
}

#[test]
fn the_answer_has_the_members_that_the_page_reads() {
    let text = url(&sha1("testsecret&", &string_v1(&query())));
    let request = json!({"text": text, "lang": "zh-CN", "client_string_to_sign": "GET&%2F&a%3D"});
    let answer: Value =
        serde_json::from_str(&answer(request.to_string().as_bytes()).unwrap()).unwrap();
    assert_eq!((&answer["version"], &answer["recognised"]), (&json!("V1"), &json!("url")));
    assert_eq!(answer["difference"]["line"], 1);
    let first = answer["candidates"][0].as_object().unwrap();
    let names: Vec<_> = first.keys().map(String::as_str).collect();
    let expected = [
        "advice",
        "algorithm",
        "code",
        "encoding",
        "key_prefix",
        "key_suffix",
        "secret",
        "string_to_sign",
        "title",
    ];
    assert_eq!(names, expected);
    assert_eq!((&first["code"], &first["title"]), (&json!("correct"), &json!("签名正确")));
    assert_eq!((&first["secret"], &first["key_suffix"]), (&json!("trimmed"), &json!("&")));
    assert_eq!((&first["encoding"], &first["algorithm"]), (&json!("base64"), &json!("HMAC-SHA1")));
    assert!(super::super::answer(b"{}").unwrap_err().contains("text"));
}
