//! The order of checks, V3: the same as V1's.

use super::order::{Fault, Keys, TOO_OLD, USED_NONCE, pairs};
use crate::support::Api;
use crate::support::drafts::DraftV3;
use crate::support::rest::{Key, Reply, query};

/// The order of checks.
const ORDER: [Fault; 20] = [
    Fault::Duplicate,
    Fault::Missing("Action"),
    Fault::Missing("Version"),
    Fault::UnknownVersion,
    Fault::UnknownAction,
    Fault::Missing("AccessKeyId"),
    Fault::Missing("SignatureNonce"),
    Fault::Missing("Timestamp"),
    Fault::UnknownKey,
    Fault::DisabledKey,
    Fault::SecurityToken,
    Fault::TimestampFormat,
    Fault::TimestampAge,
    Fault::SignatureMethod,
    Fault::IncompleteSignature,
    Fault::Signature,
    Fault::UsedNonce,
    Fault::Permission,
    Fault::Parameter,
    Fault::State,
];

/// A request with exactly these faults.
fn faulty(api: &Api, keys: &Keys, faults: &[Fault]) -> DraftV3 {
    let has = |fault| faults.contains(&fault);
    let mut key: Key = keys.of(faults).clone();
    let mut draft = api.draft("OpenCdnService", "2018-05-10", "");
    for fault in faults {
        draft = match fault {
            Fault::Missing("Action") => draft.without("x-acs-action"),
            Fault::Missing("Version") => draft.without("x-acs-version"),
            Fault::Missing("SignatureNonce") => draft.without("x-acs-signature-nonce"),
            Fault::Missing("Timestamp") => draft.without("x-acs-date"),
            Fault::UnknownVersion => draft.with("x-acs-version", "2000-01-01"),
            Fault::UnknownAction => draft.with("x-acs-action", "CloseCdnService"),
            Fault::SecurityToken => draft.with("x-acs-security-token", "token"),
            Fault::TimestampFormat => draft.with("x-acs-date", "2018-03-19 12:07:30"),
            Fault::TimestampAge => draft.with("x-acs-date", TOO_OLD),
            Fault::UsedNonce => draft.with("x-acs-signature-nonce", USED_NONCE),
            _ => draft,
        };
    }
    if has(Fault::Parameter) {
        draft.query.insert("InternetChargeType".to_owned(), "PayByMoon".to_owned());
    }
    if has(Fault::UnknownKey) {
        "nobody".clone_into(&mut key.id);
    }
    if has(Fault::Signature) {
        key.secret.push('?');
    }
    draft = draft.signed(&key);
    if has(Fault::IncompleteSignature) {
        draft = draft.with("x-acs-added-later", "1");
    }
    if has(Fault::SignatureMethod) {
        let other = draft.headers["authorization"].replace("HMAC-SHA256", "HMAC-SM3");
        draft = draft.with("authorization", &other);
    }
    if has(Fault::Missing("AccessKeyId")) { draft.without("authorization") } else { draft }
}

/// Sends a request with these faults.
async fn send(api: &Api, keys: &Keys, faults: &[Fault]) -> Reply {
    let draft = faulty(api, keys, faults);
    let twice = if faults.contains(&Fault::Duplicate) { "&RegionId=1&RegionId=1" } else { "" };
    let target = format!("/?{}{twice}", query(&draft.query));
    let headers = draft.headers_without_host();
    api.send("POST", &target, &headers, b"").await
}

#[tokio::test]
async fn of_two_faults_of_a_v3_request_the_earlier_one_is_reported() {
    let api = Api::start().await;
    let keys = Keys::create(&api).await;
    let mut wrong = Vec::new();
    let pairs = pairs(&ORDER);
    assert!(pairs.len() > 170, "{} pairs", pairs.len());
    for faults in pairs {
        // Without either nothing tells V3 from V1, which then lacks its action.
        if faults == [Fault::Missing("AccessKeyId"), Fault::Missing("Timestamp")] {
            continue;
        }
        let reply = send(&api, &keys, &faults).await;
        let reported = (reply.status, reply.text("Code"));
        if reported != faults[0].refusal() {
            wrong.push((faults, reported));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    send(&api, &keys, &[]).await.succeeded();
}
