//! Broken signers of V1. Each signs the same request, and the doctor names its mistake.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::signer::{
    SECRET, escape, hash, joined, pairs, query, query_with, sha1, sha256, string_v1, url,
};
use super::{codes, explained, explained_with, named_by_mac};

const KEY: &str = "testsecret&";

/// Returns the URL and the curl command of a request with this signature.
fn pasted(signature: &str) -> [String; 2] {
    let url = url(signature);
    [format!("curl -s -X GET \\\n  '{url}'"), url]
}

/// Checks that the MAC names the mistake of a signer that signs this string, and that the string
/// names it without the secret.
fn names(code: &str, string_to_sign: &str) {
    assert_ne!(string_to_sign, string_v1(&query()), "{code} is a mistake");
    for text in pasted(&sha1(KEY, string_to_sign)) {
        assert_eq!(named_by_mac(&explained(&text), SECRET), code, "{string_to_sign}");
        let with_own = explained_with(&text, string_to_sign);
        assert_eq!(named_by_mac(&with_own, SECRET), code);
        if string_to_sign.ends_with('\n') {
            continue; // the line end of a pasted text does not count
        }
        assert_eq!(codes(&with_own), [code], "{string_to_sign}");
        assert!(with_own.difference.is_some());
    }
}

#[test]
fn the_right_signature_is_correct() {
    for text in pasted(&sha1(KEY, &string_v1(&query()))) {
        let explanation = explained(&text);
        assert_eq!(named_by_mac(&explanation, SECRET), "correct");
        assert_eq!(named_by_mac(&explanation, "another"), "nothing");
        assert_eq!(named_by_mac(&explanation, " testsecret\r\n"), "correct", "a pasted secret");
        assert!(codes(&explanation).is_empty());
        assert_eq!(explanation.steps.last().unwrap().text, string_v1(&query()));
        let with_own = explained_with(&text, &string_v1(&query()));
        assert_eq!(codes(&with_own), ["string_is_right"]);
        assert!(with_own.difference.is_none());
    }
}

#[test]
fn mistakes_of_encoders_are_named() {
    let plus = |text: &str| escape(text).replace("%20", "+");
    let star = |text: &str| escape(text).replace("%2A", "*");
    let tilde = |text: &str| escape(text).replace('~', "%7E");
    let java =
        |text: &str| plus(&text.replace('~', "\u{1}")).replace("%01", "%7E").replace("%2A", "*");
    let javascript = |text: &str| star(text).replace("%21", "!");
    let lower = |text: &str| {
        let mut parts = text.split('%').map(str::to_owned).collect::<Vec<_>>();
        for part in &mut parts[1..] {
            part[..2].make_ascii_lowercase();
        }
        parts.join("%")
    };
    names("plus_for_blank", &string_v1(&query_with(plus)));
    names("star_not_encoded", &string_v1(&query_with(star)));
    names("tilde_encoded", &string_v1(&query_with(tilde)));
    names("form_encoding", &string_v1(&query_with(java)));
    names("form_encoding", &string_v1(&query_with(|text| tilde(text).replace("%20", "+"))));
    names("javascript_encoding", &string_v1(&query_with(javascript)));
    names("slash_not_encoded", &string_v1(&query_with(|text| escape(text).replace("%2F", "/"))));
    names("colon_not_encoded", &string_v1(&query_with(|text| escape(text).replace("%3A", ":"))));
    names("not_utf8", &string_v1(&query_with(|text| escape(text).replace("%C3%A9", "%E9"))));
    names("lower_case_hex", &lower(&string_v1(&lower(&query()))));
    names("lower_case_hex", &string_v1(&lower(&query())));
    let dotnet = |text: &str| lower(&java(text).replace("%21", "!"));
    names("dotnet_encoding", &format!("GET&%2f&{}", dotnet(&query_with(dotnet))));
}

#[test]
fn encoding_too_often_or_too_rarely_is_named() {
    let (right, plain) = (query(), query_with(str::to_owned));
    names("double_encoding", &string_v1(&query_with(|text| escape(&escape(text)))));
    names("double_encoding", &string_v1(&escape(&right)));
    names("single_encoding", &format!("GET&%2F&{right}"));
    names("single_encoding", &format!("GET&/&{right}"));
    names("values_not_encoded", &string_v1(&plain));
    names("no_encoding", &format!("GET&/&{plain}"));
    names("whole_string_encoded", &escape(&format!("GET&/&{right}")));
    names("path_not_encoded", &format!("GET&/&{}", escape(&right)));
}

#[test]
fn mistakes_in_the_string_are_named() {
    let encoded = escape(&query());
    names("wrong_method", &format!("POST&%2F&{encoded}"));
    names("method_not_in_capitals", &format!("get&%2F&{encoded}"));
    names("method_missing", &format!("&%2F&{encoded}"));
    names("path_missing", &format!("GET&&{encoded}"));
    names("path_missing", &format!("GET&{encoded}"));
    names("line_end_after_string", &format!("GET&%2F&{encoded}\n"));
    names("stray_separator", &string_v1(&format!("&{}", query())));
    names("stray_separator", &string_v1(&format!("{}&", query())));
}

#[test]
fn mistakes_in_the_parameters_are_named() {
    let mut sorted = pairs();
    sorted.sort();
    names("not_sorted", &string_v1(&joined(&pairs(), escape)));
    let mut ignoring_case = pairs();
    ignoring_case.sort_by_key(|(name, _)| name.to_lowercase());
    names("sorted_ignoring_case", &string_v1(&joined(&ignoring_case, escape)));
    names(
        "empty_value_without_equals",
        &string_v1(&query().replace("SignatureType=", "SignatureType")),
    );
    names("empty_value_left_out", &string_v1(&query().replace("SignatureType=&", "")));
    names(
        "signature_included",
        &string_v1(&query().replace("SignatureMethod", "Signature=&SignatureMethod")),
    );
    for left_out in ["Format", "accountName", "AccessKeyId"] {
        let kept: Vec<_> = sorted.iter().filter(|(name, _)| name != left_out).cloned().collect();
        let string = string_v1(&joined(&kept, escape));
        names("parameter_not_signed", &string);
        let explanation = explained_with(&url("x"), &string);
        assert!(explanation.causes.iter().any(|cause| cause.title.contains(left_out)));
    }
}

#[test]
fn a_parameter_that_is_signed_and_not_sent_is_named_by_the_own_string() {
    let string = string_v1(&query().replace("Format=JSON", "Format=XML&RegionId=cn"));
    let explanation = explained_with(&url(&sha1(KEY, &string)), &string);
    let titles: Vec<_> = explanation.causes.iter().map(|cause| cause.title.as_str()).collect();
    assert_eq!(codes(&explanation), ["value_differs", "parameter_not_sent"]);
    assert!(titles[0].contains("Format") && titles[1].contains("RegionId"));
    assert_eq!(named_by_mac(&explanation, SECRET), "own_string");
    let explanation = explained_with(&url(&sha1(SECRET, &string)), &string);
    assert_eq!(named_by_mac(&explanation, SECRET), "ampersand_missing+own_string");
}

#[test]
fn mistakes_in_the_form_are_named() {
    let curl = |signature: &str| {
        format!(
            "curl 'http://h/?Action=A&Signature={}' -d 'Name=a b' --data Other=1 -H 'Accept: x'",
            escape(signature)
        )
    };
    for (code, query) in [
        ("correct", "Action=A&Name=a%20b&Other=1"),
        ("form_not_signed", "Action=A"),
        ("query_not_signed", "Name=a%20b&Other=1"),
        ("parameter_not_signed", "Action=A&Name=a%20b"),
    ] {
        let string = format!("POST&%2F&{}", escape(query));
        assert_eq!(named_by_mac(&explained(&curl(&sha1(KEY, &string))), SECRET), code);
    }
}

#[test]
fn mistakes_in_the_key_and_the_mac_are_named() {
    let string = string_v1(&query());
    let mac = STANDARD.decode(sha1(KEY, &string)).unwrap();
    for (code, signature) in [
        ("ampersand_missing", sha1(SECRET, &string)),
        ("newline_in_secret", sha1("testsecret\n&", &string)),
        ("newline_in_secret", sha1("testsecret\r\n&", &string)),
        ("blanks_around_secret", sha1(" testsecret&", &string)),
        ("blanks_around_secret", sha1("testsecret &", &string)),
        ("quotes_around_secret", sha1("\"testsecret\"&", &string)),
        ("hmac_sha256", STANDARD.encode(sha256(KEY, &string))),
        ("hex_for_base64", hex::encode(&mac)),
        ("base64_of_hex", STANDARD.encode(hex::encode(&mac))),
        ("hmac_sha256+hex_for_base64", hex::encode(sha256(KEY, &string))),
        (
            "ampersand_missing+plus_for_blank",
            sha1(SECRET, &string_v1(&query().replace("%20", "+"))),
        ),
    ] {
        for text in pasted(&signature) {
            assert_eq!(named_by_mac(&explained(&text), SECRET), code);
        }
    }
    let other_key = format!("{SECRET}\t&");
    let explanation = explained(&url(&sha1(&other_key, &string)));
    assert_eq!(named_by_mac(&explanation, "testsecret\t"), "blanks_around_secret");
    for (code, key) in [("empty_secret", "&"), ("key_id_as_secret", "LTAItest&")] {
        assert_eq!(codes(&explained(&url(&sha1(key, &string)))), [code]);
    }
    assert_eq!(codes(&explained(&url(&hex::encode(&mac)))), ["hex_for_base64"]);
    assert_eq!(codes(&explained(&url(&STANDARD.encode(sha256(KEY, &string))))), ["hmac_sha256"]);
    assert!(codes(&explained(&url(&hash("x")))).contains(&"hex_for_base64"));
}

/// Returns a right signature that contains this character, and the nonce that makes it.
fn signature_with(wanted: char) -> (String, String) {
    let of = |nonce: u32| {
        let nonce = nonce.to_string();
        let query = query().replace("9b7a44b0", &nonce);
        (sha1(KEY, &string_v1(&query)), nonce)
    };
    (0..1000).map(of).find(|(signature, _)| signature.contains(wanted)).unwrap()
}

#[test]
fn damage_to_the_signature_is_named() {
    let (signature, nonce) = signature_with('+');
    let url = |signature: &str| {
        let query = joined(&pairs(), escape).replace("9b7a44b0", &nonce);
        format!("http://h/?{query}&Signature={signature}")
    };
    for (code, sent) in [
        ("signature_plus_as_blank", signature.clone()),
        ("signature_encoded_twice", escape(&escape(&signature))),
        ("signature_with_line_end", escape(&format!("{signature}\n"))),
        ("signature_url_safe", escape(&signature.replace('+', "-").replace('/', "_"))),
        ("signature_without_padding", escape(signature.trim_end_matches('='))),
    ] {
        let explanation = explained(&url(&sent));
        assert_eq!(codes(&explanation), [code]);
        assert_eq!(named_by_mac(&explanation, SECRET), code);
        assert_eq!(explanation.signature.as_deref(), Some(signature.as_str()));
    }
    assert_eq!(named_by_mac(&explained(&url(&escape(&signature))), SECRET), "correct");
}
