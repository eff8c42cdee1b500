//! `SignatureDoesNotMatch` of V3, with the string to sign and the canonical request of the server.
//! The client signs the hash of the body, and the server computes this hash itself.

use cdn_activation::domain::time;
use sha2::{Digest, Sha256};

use super::STATUS_JSON;
use crate::support::Api;
use crate::support::drafts::DraftV3;
use crate::support::refusals::{Format, Refusal, signature_v3_does_not_match};
use crate::support::rest::{Key, hex};

/// Returns the refusal of a draft whose signature covers these headers.
fn mismatch(draft: &DraftV3, signed: &str) -> Refusal {
    signature_v3_does_not_match(&draft.string_to_sign(signed), &draft.canonical_request(signed))
}

#[tokio::test]
async fn a_wrong_secret_is_answered_with_the_text_that_the_server_signs() {
    let api = Api::start().await;
    let key = api.account().await;
    for secret in [String::new(), "testsecret".to_owned(), format!("{}&", key.secret)] {
        let wrong = Key { secret, ..key.clone() };
        for (format, accept) in [(Format::Json, "application/json"), (Format::Xml, "text/xml")] {
            let draft = api
                .draft("DescribeUserCdnStatus", "2018-05-10", "b=2 &a=<é>&A=*~")
                .with("accept", accept)
                .with("user-agent", "tool <1> & \"2\" 'three' \\")
                .signed(&wrong);
            let names = draft.names();
            api.send_draft(&draft).await.is(format, &mismatch(&draft, &names));
        }
    }
}

/// The expected text is written out here, so that it is not computed by the same rules as the
/// answer.
#[tokio::test]
async fn the_refusal_has_exactly_the_documented_text() {
    let api = Api::start().await;
    let key = api.account().await;
    let host = api.addresses.rest.to_string();
    let at = "2024-02-29T12:00:00Z";
    api.clock.set_wire_now(time::parse(at).expect("an instant"));
    let draft = api
        .draft("DescribeUserCdnStatus", "2018-05-10", "InternetChargeType=a b&Empty=")
        .with("x-acs-signature-nonce", "1")
        .with("user-agent", "a<b");
    let names = draft.names();
    let fields =
        format!("Credential={},SignedHeaders={names},Signature={}", key.id, "0".repeat(64));
    let draft = draft.with("authorization", &format!("ACS3-HMAC-SHA256 {fields}"));
    let canonical = format!(
        "POST\n/\nEmpty=&InternetChargeType=a%20b\nhost:{host}\nuser-agent:a<b\n\
         x-acs-action:DescribeUserCdnStatus\nx-acs-content-sha256:\
         e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
         x-acs-date:2024-02-29T12:00:00Z\nx-acs-signature-nonce:1\nx-acs-version:2018-05-10\n\n\
         host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;\
         x-acs-version\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let hash = hex(&Sha256::digest(&canonical));
    let json = api.send_draft(&draft).await;
    let expected = format!(
        "{{\"RequestId\":\"REQUEST-ID\",\"HostId\":\"127.0.0.1\",\"Code\":\"SignatureDoesNotMatch\",\
         \"Message\":\"Specified signature does not match our calculation. server StringToSign is \
         [ACS3-HMAC-SHA256\\n{hash}] server CanonicalRequest is [{}]\"}}",
        canonical.replace('\n', "\\n"),
    );
    assert_eq!((json.status, json.body_without_request_id()), (400, expected));
    let xml = api.send_draft(&draft.with("accept", "text/xml")).await;
    let expected = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>REQUEST-ID</RequestId><HostId>\
         127.0.0.1</HostId><Code>SignatureDoesNotMatch</Code><Message>Specified signature does not \
         match our calculation. server StringToSign is [ACS3-HMAC-SHA256\n{hash}] server \
         CanonicalRequest is [{}]</Message></Error>",
        canonical.replace("=&I", "=&amp;I").replace("a<b", "a&lt;b"),
    );
    assert_eq!((xml.status, xml.body_without_request_id()), (400, expected));
}

/// Changes a signed request.
type Change = fn(DraftV3) -> DraftV3;

#[tokio::test]
async fn every_change_after_signing_is_detected() {
    let api = Api::start().await;
    let key = api.account().await;
    let changes: [(&str, Change); 9] = [
        ("the method", |mut draft| {
            draft.method = "GET".to_owned();
            draft
        }),
        ("a value of the query", |mut draft| {
            draft.query.insert("Owner".to_owned(), "2".to_owned());
            draft
        }),
        ("an added parameter", |mut draft| {
            draft.query.insert("Extra".to_owned(), String::new());
            draft
        }),
        ("a removed parameter", |mut draft| {
            draft.query.clear();
            draft
        }),
        ("the version", |draft| draft.with("x-acs-version", "2014-11-11")),
        ("the action", |draft| draft.with("x-acs-action", "DescribeCdnService")),
        ("a header of the client", |draft| draft.with("user-agent", "Another/1")),
        ("a removed header", |draft| draft.without("user-agent")),
        ("the nonce", |draft| draft.with("x-acs-signature-nonce", "another")),
    ];
    for (what, change) in changes {
        let draft =
            api.draft("OpenCdnService", "2018-05-10", "Owner=1").with("user-agent", "Tool/1");
        let names = draft.names();
        let draft = change(draft.signed(&key));
        let reply = api.send_draft(&draft).await;
        assert_eq!(reply.text("Code"), "SignatureDoesNotMatch", "{what}");
        reply.is(Format::Json, &mismatch(&draft, &names));
    }
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
}

#[tokio::test]
async fn a_body_that_differs_from_the_signed_one_is_detected() {
    let api = Api::start().await;
    let key = api.account().await;
    let empty = api.status_draft();
    let form = || api.status_draft().with_form("Owner=1");
    let mut changed = form().signed(&key);
    changed.body = b"Owner=2".to_vec();
    let mut longer = form().signed(&key);
    longer.body.extend(b"&InternetChargeType=PayByTraffic");
    let mut gone = form().signed(&key);
    gone.body.clear();
    let form_type = "application/x-www-form-urlencoded";
    let mut added = empty.clone().with("content-type", form_type).signed(&key);
    added.body = b"Owner=2".to_vec();
    let upper = empty.headers["x-acs-content-sha256"].to_uppercase();
    let upper = empty.clone().with("x-acs-content-sha256", &upper).signed(&key);
    let unsigned = empty.with("x-acs-content-sha256", "UNSIGNED-PAYLOAD").signed(&key);
    for draft in [changed, longer, gone, added, upper, unsigned] {
        let names = draft.names();
        api.send_draft(&draft).await.is(Format::Json, &mismatch(&draft, &names));
    }
    api.send_draft(&form().signed(&key)).await.says(Format::Json, STATUS_JSON);
}

#[tokio::test]
async fn a_v3_signature_that_is_not_a_mac_does_not_match() {
    let api = Api::start().await;
    let key = api.account().await;
    let good = api.status_draft().signed(&key);
    let names = api.status_draft().names();
    let mac = good.signature(&key, &names);
    for signature in [
        "0".to_owned(),
        "zz".to_owned(),
        mac.to_uppercase(),
        mac[..62].to_owned(),
        format!("{mac}00"),
        "0".repeat(4000),
    ] {
        let fields = format!("Credential={},SignedHeaders={names},Signature={signature}", key.id);
        let draft = good.clone().with("authorization", &format!("ACS3-HMAC-SHA256 {fields}"));
        api.send_draft(&draft).await.is(Format::Json, &mismatch(&draft, &names));
    }
    api.send_draft(&good).await.succeeded(); // no refusal has used the nonce up
}
