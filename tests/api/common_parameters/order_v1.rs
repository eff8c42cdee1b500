//! The order of checks for V1: if a request has two defects, the earlier one is reported.

use super::order::{Defect, Keys, TOO_OLD, USED_NONCE, pairs};
use crate::support::Api;
use crate::support::rest::{Key, Parameters, query};

/// The order of checks.
const ORDER: [Defect; 22] = [
    Defect::Duplicate,
    Defect::Missing("Action"),
    Defect::Missing("Version"),
    Defect::UnknownVersion,
    Defect::UnknownAction,
    Defect::Missing("AccessKeyId"),
    Defect::Missing("Signature"),
    Defect::Missing("SignatureMethod"),
    Defect::Missing("SignatureVersion"),
    Defect::Missing("SignatureNonce"),
    Defect::Missing("Timestamp"),
    Defect::UnknownKey,
    Defect::DisabledKey,
    Defect::SecurityToken,
    Defect::TimestampFormat,
    Defect::TimestampAge,
    Defect::SignatureMethod,
    Defect::Signature,
    Defect::UsedNonce,
    Defect::Permission,
    Defect::Parameter,
    Defect::State,
];

/// Returns the query of a request with exactly these defects.
fn defective(api: &Api, keys: &Keys, defects: &[Defect], format: &str) -> String {
    let mut key: Key = keys.of(defects).clone();
    let mut parameters = api.common(&key, &format!("Action=OpenCdnService&Format={format}"));
    let set = |parameters: &mut Parameters, name: &str, value: &str| {
        parameters.insert(name.to_owned(), value.to_owned());
    };
    for defect in defects {
        match defect {
            Defect::Missing(name) => drop(parameters.remove(*name)),
            Defect::UnknownVersion => set(&mut parameters, "Version", "2000-01-01"),
            Defect::UnknownAction => set(&mut parameters, "Action", "CloseCdnService"),
            Defect::UnknownKey => set(&mut parameters, "AccessKeyId", "nobody"),
            Defect::SecurityToken => set(&mut parameters, "SecurityToken", "token"),
            Defect::TimestampFormat => set(&mut parameters, "Timestamp", "2018-03-19 12:07:30"),
            Defect::TimestampAge => set(&mut parameters, "Timestamp", TOO_OLD),
            Defect::SignatureMethod => set(&mut parameters, "SignatureMethod", "HMAC-SHA256"),
            Defect::UsedNonce => set(&mut parameters, "SignatureNonce", USED_NONCE),
            Defect::Parameter => set(&mut parameters, "InternetChargeType", "PayByMoon"),
            Defect::Signature => key.secret.push('?'),
            Defect::Duplicate => set(&mut parameters, "RegionId", "cn-hangzhou"),
            Defect::DisabledKey | Defect::Permission | Defect::State => {} // traits of the key
            Defect::IncompleteSignature => unreachable!("V3 only"),
        }
    }
    let mut signed = api.sign(&key, "GET", parameters);
    if defects.contains(&Defect::Missing("Signature")) {
        signed.remove("Signature");
    }
    let twice = if defects.contains(&Defect::Duplicate) { "&RegionId=cn-hangzhou" } else { "" };
    query(&signed) + twice
}

#[tokio::test]
async fn the_earlier_of_two_defects_of_a_v1_request_is_reported() {
    let api = Api::start().await;
    let keys = Keys::create(&api).await;
    let mut wrong = Vec::new();
    let pairs = pairs(&ORDER);
    assert!(pairs.len() > 200, "{} pairs", pairs.len());
    for defects in pairs {
        let reply = api.send_get(&defective(&api, &keys, &defects, "JSON")).await;
        let reported = (reply.status, reply.text("Code"));
        if reported != defects[0].refusal() {
            wrong.push((defects, reported));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn the_order_is_the_same_in_xml() {
    let api = Api::start().await;
    let keys = Keys::create(&api).await;
    for defects in ORDER.windows(2).filter(|defects| pairs(defects).len() == 3) {
        let reply = api.send_get(&defective(&api, &keys, defects, "XML")).await;
        let (status, code) = defects[0].refusal();
        assert_eq!(reply.status, status, "{defects:?}: {reply:?}");
        assert!(reply.body.contains(&format!("<Code>{code}</Code>")), "{defects:?}: {reply:?}");
        assert_eq!(reply.headers["content-type"], "text/xml;charset=utf-8");
    }
}

#[tokio::test]
async fn all_defects_of_a_request_are_reported_one_at_a_time() {
    let api = Api::start().await;
    let keys = Keys::create(&api).await;
    let conflicting = [Defect::UnknownKey, Defect::TimestampFormat, Defect::UnknownVersion];
    let order: Vec<_> = ORDER
        .into_iter()
        .filter(|defect| !matches!(defect, Defect::Missing(_)) && !conflicting.contains(defect))
        .collect();
    for position in 0..order.len() {
        let defects = &order[position..];
        let reply = api.send_get(&defective(&api, &keys, defects, "JSON")).await;
        assert_eq!((reply.status, reply.text("Code")), defects[0].refusal(), "{defects:?}");
    }
    api.send_get(&defective(&api, &keys, &[], "JSON")).await.succeeded();
}
