//! The headers that a V3 signature covers. The client chooses them, but some must be among them.

use super::STATUS_JSON;
use crate::support::Api;
use crate::support::drafts::DraftV3;
use crate::support::refusals::{Format, INCOMPLETE_SIGNATURE, signature_v3_does_not_match};

/// Returns the names of a draft's headers without these.
fn all_but(draft: &DraftV3, left_out: &[&str]) -> String {
    let names = draft.names();
    let kept = names.split(';').filter(|name| !left_out.contains(name));
    kept.collect::<Vec<_>>().join(";")
}

#[tokio::test]
async fn a_signature_that_does_not_cover_a_required_header_is_incomplete() {
    let api = Api::start().await;
    let key = api.account().await;
    for name in [
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-content-sha256",
        "x-acs-credentials-provider",
        "x-acs-retry-attempts",
    ] {
        let prepare = |draft: DraftV3| {
            let draft = draft
                .with("x-acs-credentials-provider", "static_ak")
                .with("x-acs-retry-attempts", "1")
                .with_form("Owner=1");
            let signed = all_but(&draft, &[name]);
            draft.signed_over(&key, &signed)
        };
        api.refuses_v3(prepare, &INCOMPLETE_SIGNATURE).await;
    }
}

#[tokio::test]
async fn a_header_that_is_added_after_signing_makes_the_signature_incomplete() {
    let api = Api::start().await;
    let key = api.account().await;
    for (name, value) in
        [("x-acs-anything", "1"), ("x-acs-anything", ""), ("x-acs-bearer-token", "token")]
    {
        let prepare = |draft: DraftV3| draft.signed(&key).with(name, value);
        api.refuses_v3(prepare, &INCOMPLETE_SIGNATURE).await;
    }
}

#[tokio::test]
async fn a_signature_without_the_hash_of_the_body_is_incomplete() {
    let api = Api::start().await;
    let key = api.account().await;
    let absent = |draft: DraftV3| draft.without("x-acs-content-sha256").signed(&key);
    api.refuses_v3(absent, &INCOMPLETE_SIGNATURE).await;
    let taken_away = |draft: DraftV3| draft.signed(&key).without("x-acs-content-sha256");
    api.refuses_v3(taken_away, &INCOMPLETE_SIGNATURE).await;
    let empty = |draft: DraftV3| draft.with("x-acs-content-sha256", "").signed(&key);
    api.refuses_v3(empty, &INCOMPLETE_SIGNATURE).await;
}

#[tokio::test]
async fn names_of_signed_headers_must_be_in_lower_case() {
    let api = Api::start().await;
    let key = api.account().await;
    let prepare = |draft: DraftV3| {
        let signed = draft.names().replace("x-acs-date", "X-Acs-Date");
        draft.signed_over(&key, &signed)
    };
    api.refuses_v3(prepare, &INCOMPLETE_SIGNATURE).await;
}

/// The official Java SDK does not sign `host`. Some public signers do not sign `content-type`.
#[tokio::test]
async fn the_host_and_the_type_of_the_body_need_not_be_signed() {
    let api = Api::start().await;
    let key = api.account().await;
    for unsigned in [&["host"][..], &["content-type"], &["host", "content-type"]] {
        let draft = api.status_draft().with_form("Owner=1");
        let signed = all_but(&draft, unsigned);
        let reply = api.send_draft(&draft.signed_over(&key, &signed)).await;
        reply.says(Format::Json, STATUS_JSON);
    }
}

/// The Python SDK signs `accept` and `user-agent`. The Node SDK does not.
#[tokio::test]
async fn other_headers_may_be_signed_or_not() {
    let api = Api::start().await;
    let key = api.account().await;
    let draft = || {
        api.status_draft()
            .with("accept", "application/json")
            .with("user-agent", "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2")
            .with("x-forwarded-for", "192.0.2.1")
    };
    for unsigned in [
        &[][..],
        &["accept"],
        &["user-agent"],
        &["accept", "user-agent"],
        &["accept", "user-agent", "x-forwarded-for"],
    ] {
        let draft = draft();
        let signed = all_but(&draft, unsigned);
        let reply = api.send_draft(&draft.signed_over(&key, &signed)).await;
        reply.says(Format::Json, STATUS_JSON);
    }
    // A header that is not signed can change on the way. A signed header cannot.
    let not_signed = draft().signed_over(&key, &all_but(&draft(), &["user-agent"]));
    api.send_draft(&not_signed.with("user-agent", "proxy/1")).await.succeeded();
    let signed = draft().signed(&key).with("user-agent", "proxy/1");
    assert_eq!(api.send_draft(&signed).await.text("Code"), "SignatureDoesNotMatch");
}

/// A header that is signed and not sent counts as empty, so it cannot be added later.
#[tokio::test]
async fn a_signed_header_that_is_absent_counts_as_empty() {
    let api = Api::start().await;
    let key = api.account().await;
    let draft = api.status_draft().with("x-none", "").signed(&key);
    api.send_draft(&draft.clone().without("x-none")).await.says(Format::Json, STATUS_JSON);
    let draft = api.status_draft().with("x-none", "");
    let names = draft.names();
    let draft = draft.signed(&key).with("x-none", "something");
    let refusal = signature_v3_does_not_match(
        &draft.string_to_sign(&names),
        &draft.canonical_request(&names),
    );
    api.send_draft(&draft).await.is(Format::Json, &refusal);
}

#[tokio::test]
async fn values_are_signed_without_the_blanks_around_them() {
    let api = Api::start().await;
    let key = api.account().await;
    let draft = api.status_draft().with("user-agent", "Tool/1").signed(&key);
    let sent = draft.with("user-agent", "   Tool/1 \t ");
    api.send_draft(&sent).await.says(Format::Json, STATUS_JSON);
    // Blanks within a value are signed.
    let draft = api.status_draft().with("user-agent", "Tool  1").signed(&key);
    api.send_draft(&draft).await.says(Format::Json, STATUS_JSON);
}

#[tokio::test]
async fn names_of_headers_on_the_wire_may_be_in_any_case() {
    let api = Api::start().await;
    let key = api.account().await;
    let draft = api.status_draft().signed(&key);
    let upper_case = |(name, value): (&str, _)| (name.to_ascii_uppercase(), value);
    let headers: Vec<_> = draft.headers_without_host().into_iter().map(upper_case).collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let reply = api.send("POST", "/", &headers, b"").await;
    reply.says(Format::Json, STATUS_JSON);
}

/// The port is part of the signed host. The `HostId` of the answer does not have the port.
#[tokio::test]
async fn the_host_is_signed_as_it_was_sent() {
    let api = Api::start().await;
    let key = api.account().await;
    for (signed, sent, accepted) in [
        ("cdn.example.com:8080", "cdn.example.com:8080", true),
        ("cdn.example.com", "cdn.example.com", true),
        ("cdn.example.com", "cdn.example.com:80", false),
        ("cdn.example.com", "CDN.example.com", false),
    ] {
        let draft = api.status_draft().with("host", signed).signed(&key).with("host", sent);
        let head = "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n";
        let request = format!("{head}{}\r\n", draft.lines());
        let reply = api.send_raw(request.as_bytes()).await;
        assert_eq!(reply.status == 200, accepted, "{signed} as {sent}: {reply:?}");
        if !accepted {
            assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
            assert_eq!(reply.text("HostId"), sent.trim_end_matches(":80"));
        }
    }
}

/// A second copy of a signed header is not signed, and it would be undefined which of the two
/// counts.
#[tokio::test]
async fn a_signed_header_that_is_sent_twice_is_refused() {
    let api = Api::start().await;
    let key = api.account().await;
    for name in ["user-agent", "accept-language", "x-none"] {
        let draft = api.status_draft().with(name, "1").signed(&key);
        for second in ["2", "1", ""] {
            let mut headers = draft.headers_without_host();
            headers.push((name, second));
            let reply = api.send("POST", "/", &headers, b"").await;
            let refused = (reply.status, reply.text("Code"));
            assert_eq!(refused, (400, "SignatureDoesNotMatch".to_owned()), "{name}: {second}");
        }
        api.send_draft(&draft).await.says(Format::Json, STATUS_JSON);
    }
}

#[tokio::test]
async fn letters_beyond_ascii_are_signed_like_other_letters() {
    let api = Api::start().await;
    let key = api.account().await;
    let draft = api.status_draft().with("user-agent", "Tööl 打/1").signed(&key);
    api.send_draft(&draft).await.says(Format::Json, STATUS_JSON);
    let signed_as_empty = api.status_draft().with("user-agent", "").signed(&key);
    for value in ["Tööl", "\u{fffd}"] {
        let draft = signed_as_empty.clone().with("user-agent", value);
        let names = signed_as_empty.names();
        let refusal = signature_v3_does_not_match(
            &draft.string_to_sign(&names),
            &draft.canonical_request(&names),
        );
        api.send_draft(&draft).await.is(Format::Json, &refusal);
    }
    let head = "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n";
    let lines = signed_as_empty.lines().replace("user-agent: ", "user-agent: ?");
    let bytes: Vec<u8> = format!("{head}{lines}\r\n")
        .bytes()
        .map(|byte| if byte == b'?' { 0xff } else { byte }) // not valid UTF-8
        .collect();
    assert_eq!(api.send_raw(&bytes).await.text("Code"), "SignatureDoesNotMatch");
    api.send_draft(&signed_as_empty).await.says(Format::Json, STATUS_JSON);
}

#[tokio::test]
async fn a_header_that_is_named_twice_makes_the_signature_incomplete() {
    let api = Api::start().await;
    let key = api.account().await;
    // Each repetition would repeat the value in the canonical request: 12,000 times 24 kB.
    let prepare = |draft: DraftV3| {
        let draft = draft.with("x-acs-a", "a");
        let signed = [draft.names().as_str(), ";x-acs-a"].concat();
        draft.signed_over(&key, &signed)
    };
    api.refuses_v3(prepare, &INCOMPLETE_SIGNATURE).await;
}
