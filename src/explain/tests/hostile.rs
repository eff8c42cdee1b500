//! Texts that no client sends: the doctor neither panics nor answers without bound.

use proptest::prelude::*;

use super::{explained, explained_with, named_by_mac};
use crate::explain::{LONGEST_TEXT, answer};

/// Fragments that reach every parser.
fn text() -> impl Strategy<Value = String> {
    let fragments = prop::sample::select(vec![
        "curl ",
        "-X",
        "-sX",
        "^",
        "\\u",
        "\\x",
        "@f ",
        "-H '",
        "-d ",
        "'",
        "\"",
        "\\",
        "\n",
        "\r\n",
        "$'",
        "http://h",
        "/?",
        "?",
        "&",
        "=",
        "%",
        "%2",
        "%F0",
        "+",
        "GET",
        "POST",
        " HTTP/1.1",
        "GET&%2F&",
        "Signature=",
        "Action=A",
        "authorization: ACS3-HMAC-SHA256 ",
        "Credential=a,SignedHeaders=b;é,Signature=c",
        ": ",
        "x-acs-date:1",
        "transfer-encoding: chunked",
        "content-length: 3",
        "ffff",
        "é",
        "\u{1f600}",
        "server string to sign is:",
        "server CanonicalRequest is [",
        "]",
        "ACS3-HMAC-SHA256",
        "amp;",
        "... (cut: the first ",
        "\u{0}",
        "&amp;",
        "\\u0026",
        "> ",
    ]);
    let part = prop_oneof![3 => fragments.prop_map(str::to_owned), 1 => "\\PC{0,6}"];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in text(), own in text()) {
        let explanation = explained(&text);
        named_by_mac(&explanation, "secret");
        let explanation = explained_with(&text, &own);
        prop_assert!(explanation.candidates.len() <= 200);
        named_by_mac(&explanation, "secret");
    }

    #[test]
    fn no_json_makes_it_panic(json in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = answer(&json);
    }
}

#[test]
fn the_answer_to_a_long_text_is_bounded() {
    let many: String = (0..).map(|number| format!("a{number}=&")).take(20_000).collect();
    let long = "é".repeat(LONGEST_TEXT / 2 - 100);
    let signed: String = "a;".repeat(LONGEST_TEXT / 4);
    let headers: String = "a:b\n".repeat(LONGEST_TEXT / 4 - 100);
    for text in [
        format!("http://h/?{}", &many[..LONGEST_TEXT - 20]),
        format!("http://h/?Action={long}"),
        format!("curl -H 'authorization: ACS3-HMAC-SHA256 SignedHeaders={signed}' 'http://h/?a=b'"),
        format!("GET / HTTP/1.1\n{headers}"),
        format!("GET\n/\n\n{headers}"),
        "&".repeat(LONGEST_TEXT),
        format!("GET&%2F&{}", "%".repeat(LONGEST_TEXT - 20)),
        "curl ".repeat(LONGEST_TEXT / 5),
    ] {
        let json = serde_json::json!({"text": text}).to_string();
        let answer = answer(json.as_bytes()).unwrap();
        assert!(answer.len() < 2 * 1024 * 1024, "{} bytes", answer.len());
    }
}

#[test]
fn a_method_that_is_not_ascii_is_read() {
    let explanation = explained("curl -X 'éa' 'http://h/?Action=a&Signature=x'");
    assert!(explanation.candidates.iter().any(|one| one.string_to_sign.starts_with("éa&%2F&")));
}

#[test]
fn the_work_for_many_distinct_names_is_bounded() {
    let names: Vec<_> = (0..10_000).map(|number| format!("{number:x}=")).collect();
    let query = names.join("&");
    assert!((55_000..LONGEST_TEXT).contains(&query.len()), "{}", query.len());
    let headers: Vec<_> = (0..7_000).map(|number| format!("{number}:")).collect();
    let headers = headers.join("\n");
    let signed: Vec<_> = (0..9_000).map(|number| number.to_string()).collect();
    let signed = signed.join(";");
    let authorization = format!("ACS3-HMAC-SHA256 SignedHeaders={signed}");
    for text in [
        format!("http://h/?{query}&Signature=x"),
        format!("GET\n/\n{query}\nhost:h\n\nhost\nabc"),
        format!("GET\n/\n\n{headers}\n\nhost\nabc"),
        format!("curl -d '{query}' http://h/"),
        format!("curl -H 'authorization: {authorization}' http://h/"),
    ] {
        let start = std::time::Instant::now();
        let explanation = explained(&text);
        assert!(start.elapsed().as_secs() < 2, "{:?} for {}", start.elapsed(), &text[..20]);
        assert_eq!(super::codes(&explanation), ["too_many_parameters"], "{}", &text[..20]);
    }
    let few = |count: usize| format!("GET\n/\n{}\nhost:h\n\nhost\nabc", names[..count].join("&"));
    assert_eq!(super::codes(&explained(&few(501))), ["too_many_parameters"]);
    let start = std::time::Instant::now();
    assert!(explained(&few(500)).recognised.is_some());
    assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
}
