//! `Content-MD5`, which the classic SDK sends with form bodies: if it is given, it must be right.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::{FORM, HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::{CONTENT_MD5, Format};
use crate::support::rest::{hex, query};

/// Returns the header for a body.
pub(super) fn digest(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

#[tokio::test]
async fn the_right_digest_of_a_body_is_accepted() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let body = query(&api.sign(&key, "POST", api.common(&key, HISTORY)));
    let headers = [FORM, ("Content-MD5", &digest(body.as_bytes()))];
    let reply = api.send("POST", "/", &headers, body.as_bytes()).await;
    reply.says(Format::Json, HISTORY_JSON);
    // The digest of an empty body, too.
    let target = format!("/?{}", query(&api.sign(&key, "GET", api.common(&key, HISTORY))));
    let reply = api.send("GET", &target, &[("Content-MD5", &digest(b""))], b"").await;
    reply.says(Format::Json, HISTORY_JSON);
}

#[tokio::test]
async fn a_wrong_digest_is_refused() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for (name, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
        let given = format!("{HISTORY}&Format={name}");
        let body = query(&api.sign(&key, "POST", api.common(&key, &given)));
        let right = digest(body.as_bytes());
        let hex = hex(&Md5::digest(body.as_bytes()));
        for wrong in [
            digest(b""),
            digest(format!("{body} ").as_bytes()),
            right.to_lowercase(),
            right.trim_end_matches('=').to_owned(),
            hex,
            "?".to_owned(),
            String::new(),
        ] {
            let headers = [FORM, ("Content-MD5", wrong.as_str())];
            let reply = api.send("POST", "/", &headers, body.as_bytes()).await;
            reply.is(format, &CONTENT_MD5);
        }
        // The refusals did not use the nonce.
        api.send("POST", "/", &[FORM], body.as_bytes()).await.succeeded();
    }
}

#[tokio::test]
async fn the_digest_of_a_v3_request_is_checked_too() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let form = "StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z";
    let draft = || api.draft("DescribeCdnUserBillType", "2018-05-10", "").with_form(form);
    let right = digest(&draft().body);
    let accepted = draft().with("content-md5", &right).signed(&key);
    api.send_draft(&accepted).await.says(Format::Json, HISTORY_JSON);
    for (accept, format) in [("application/json", Format::Json), ("text/xml", Format::Xml)] {
        let wrong = draft().with("accept", accept).with("content-md5", &digest(b"")).signed(&key);
        api.send_draft(&wrong).await.is(format, &CONTENT_MD5);
    }
}
