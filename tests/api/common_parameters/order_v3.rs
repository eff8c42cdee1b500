//! The order of checks for V3 is the same as for V1.

use super::order::{Defect, Keys, TOO_OLD, USED_NONCE, pairs};
use crate::support::Api;
use crate::support::drafts::DraftV3;
use crate::support::rest::{Key, Reply, query};

/// The order of checks.
const ORDER: [Defect; 20] = [
    Defect::Duplicate,
    Defect::Missing("Action"),
    Defect::Missing("Version"),
    Defect::UnknownVersion,
    Defect::UnknownAction,
    Defect::Missing("AccessKeyId"),
    Defect::Missing("SignatureNonce"),
    Defect::Missing("Timestamp"),
    Defect::UnknownKey,
    Defect::DisabledKey,
    Defect::SecurityToken,
    Defect::TimestampFormat,
    Defect::TimestampAge,
    Defect::SignatureMethod,
    Defect::IncompleteSignature,
    Defect::Signature,
    Defect::UsedNonce,
    Defect::Permission,
    Defect::Parameter,
    Defect::State,
];

/// Returns a request with exactly these defects.
fn defective(api: &Api, keys: &Keys, defects: &[Defect]) -> DraftV3 {
    let has = |defect| defects.contains(&defect);
    let mut key: Key = keys.of(defects).clone();
    let mut draft = api.draft("OpenCdnService", "2018-05-10", "");
    for defect in defects {
        draft = match defect {
            Defect::Missing("Action") => draft.without("x-acs-action"),
            Defect::Missing("Version") => draft.without("x-acs-version"),
            Defect::Missing("SignatureNonce") => draft.without("x-acs-signature-nonce"),
            Defect::Missing("Timestamp") => draft.without("x-acs-date"),
            Defect::UnknownVersion => draft.with("x-acs-version", "2000-01-01"),
            Defect::UnknownAction => draft.with("x-acs-action", "CloseCdnService"),
            Defect::SecurityToken => draft.with("x-acs-security-token", "token"),
            Defect::TimestampFormat => draft.with("x-acs-date", "2018-03-19 12:07:30"),
            Defect::TimestampAge => draft.with("x-acs-date", TOO_OLD),
            Defect::UsedNonce => draft.with("x-acs-signature-nonce", USED_NONCE),
            _ => draft,
        };
    }
    if has(Defect::Parameter) {
        draft.query.insert("InternetChargeType".to_owned(), "PayByMoon".to_owned());
    }
    if has(Defect::UnknownKey) {
        "nobody".clone_into(&mut key.id);
    }
    if has(Defect::Signature) {
        key.secret.push('?');
    }
    draft = draft.signed(&key);
    if has(Defect::IncompleteSignature) {
        draft = draft.with("x-acs-added-later", "1");
    }
    if has(Defect::SignatureMethod) {
        let other = draft.headers["authorization"].replace("HMAC-SHA256", "HMAC-SM3");
        draft = draft.with("authorization", &other);
    }
    if has(Defect::Missing("AccessKeyId")) { draft.without("authorization") } else { draft }
}

/// Sends a request with these defects.
async fn send(api: &Api, keys: &Keys, defects: &[Defect]) -> Reply {
    let draft = defective(api, keys, defects);
    let twice = if defects.contains(&Defect::Duplicate) { "&RegionId=1&RegionId=1" } else { "" };
    let target = format!("/?{}{twice}", query(&draft.query));
    let headers = draft.headers_without_host();
    api.send("POST", &target, &headers, b"").await
}

#[tokio::test]
async fn the_earlier_of_two_defects_of_a_v3_request_is_reported() {
    let api = Api::start().await;
    let keys = Keys::create(&api).await;
    let mut wrong = Vec::new();
    let pairs = pairs(&ORDER);
    assert!(pairs.len() > 170, "{} pairs", pairs.len());
    for defects in pairs {
        // Without both headers, the request is taken for V1, and lacks its action.
        if defects == [Defect::Missing("AccessKeyId"), Defect::Missing("Timestamp")] {
            continue;
        }
        let reply = send(&api, &keys, &defects).await;
        let reported = (reply.status, reply.text("Code"));
        if reported != defects[0].refusal() {
            wrong.push((defects, reported));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    send(&api, &keys, &[]).await.succeeded();
}
