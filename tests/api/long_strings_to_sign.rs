//! The refusal of a signature shows at most 8 KiB of what the server signs, so that an answer is not
//! many times as large as its request.

use crate::support::Api;
use crate::support::rest::{Key, query};

const SHOWN: usize = 8192;

/// Checks that the text after a lead-in is cut at the limit, and returns the part that is shown.
fn assert_cut<'a>(message: &'a str, lead_in: &str) -> &'a str {
    let (_, text) = message.split_once(lead_in).unwrap_or_else(|| panic!("no {lead_in}"));
    let (shown, mark) = text.split_once("... (cut: the first ").expect("a mark");
    assert_eq!(shown.len(), SHOWN);
    let (_, rest) = mark.split_once(" bytes)").expect("the mark's end");
    let numbers = &mark[..mark.len() - rest.len()];
    assert!(numbers.starts_with("8192 of "), "{numbers}");
    shown
}

#[tokio::test]
async fn a_string_to_sign_is_shown_up_to_8_kib() {
    let api = Api::start().await;
    let key = api.account().await;
    let wrong = Key { secret: "another-secret".to_owned(), ..key };
    let long = "/".repeat(20_000); // each is three bytes in the query and five in the string to sign

    let parameters = api.common(&wrong, &format!("Action=OpenCdnService&Name={long}"));
    let string_to_sign = crate::support::rest::string_to_sign_v1("POST", &parameters);
    let body = query(&api.sign(&wrong, "POST", parameters));
    let content_type = [("Content-Type", "application/x-www-form-urlencoded")];
    let reply = api.send("POST", "/", &content_type, body.as_bytes()).await;
    assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
    let message = reply.text("Message");
    let shown = assert_cut(&message, "server string to sign is:");
    assert!(string_to_sign.starts_with(shown));
    assert!(message.ends_with(&format!(" of {} bytes)", string_to_sign.len())));

    let long = "a".repeat(20_000);
    let reply = api.post_v3(&wrong, "OpenCdnService", "2018-05-10", &format!("Name={long}")).await;
    assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
    let message = reply.text("Message");
    let shown = assert_cut(&message, "server CanonicalRequest is [");
    assert!(shown.starts_with("POST\n/\nName=aaa"), "{}", &shown[..40]);
    assert!(message.contains("server StringToSign is [ACS3-HMAC-SHA256\n"));
}
