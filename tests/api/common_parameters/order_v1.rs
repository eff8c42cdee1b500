//! The order of checks, V1: a request that is wrong in two ways reports the earlier one.

use super::order::{Fault, Keys, TOO_OLD, USED_NONCE, pairs};
use crate::support::Api;
use crate::support::rest::{Key, Parameters, query};

/// The order of checks.
const ORDER: [Fault; 22] = [
    Fault::Duplicate,
    Fault::Missing("Action"),
    Fault::Missing("Version"),
    Fault::UnknownVersion,
    Fault::UnknownAction,
    Fault::Missing("AccessKeyId"),
    Fault::Missing("Signature"),
    Fault::Missing("SignatureMethod"),
    Fault::Missing("SignatureVersion"),
    Fault::Missing("SignatureNonce"),
    Fault::Missing("Timestamp"),
    Fault::UnknownKey,
    Fault::DisabledKey,
    Fault::SecurityToken,
    Fault::TimestampFormat,
    Fault::TimestampAge,
    Fault::SignatureMethod,
    Fault::Signature,
    Fault::UsedNonce,
    Fault::Permission,
    Fault::Parameter,
    Fault::State,
];

/// The query of a request with exactly these faults.
fn faulty(api: &Api, keys: &Keys, faults: &[Fault], format: &str) -> String {
    let mut key: Key = keys.of(faults).clone();
    let mut parameters = api.common(&key, &format!("Action=OpenCdnService&Format={format}"));
    let set = |parameters: &mut Parameters, name: &str, value: &str| {
        parameters.insert(name.to_owned(), value.to_owned());
    };
    for fault in faults {
        match fault {
            Fault::Missing(name) => drop(parameters.remove(*name)),
            Fault::UnknownVersion => set(&mut parameters, "Version", "2000-01-01"),
            Fault::UnknownAction => set(&mut parameters, "Action", "CloseCdnService"),
            Fault::UnknownKey => set(&mut parameters, "AccessKeyId", "nobody"),
            Fault::SecurityToken => set(&mut parameters, "SecurityToken", "token"),
            Fault::TimestampFormat => set(&mut parameters, "Timestamp", "2018-03-19 12:07:30"),
            Fault::TimestampAge => set(&mut parameters, "Timestamp", TOO_OLD),
            Fault::SignatureMethod => set(&mut parameters, "SignatureMethod", "HMAC-SHA256"),
            Fault::UsedNonce => set(&mut parameters, "SignatureNonce", USED_NONCE),
            Fault::Parameter => set(&mut parameters, "InternetChargeType", "PayByMoon"),
            Fault::Signature => key.secret.push('?'),
            Fault::Duplicate => set(&mut parameters, "RegionId", "cn-hangzhou"),
            Fault::DisabledKey | Fault::Permission | Fault::State => {} // the key's own
            Fault::IncompleteSignature => unreachable!("V3 only"),
        }
    }
    let mut signed = api.sign(&key, "GET", parameters);
    if faults.contains(&Fault::Missing("Signature")) {
        signed.remove("Signature");
    }
    let twice = if faults.contains(&Fault::Duplicate) { "&RegionId=cn-hangzhou" } else { "" };
    query(&signed) + twice
}

#[tokio::test]
async fn of_two_faults_of_a_v1_request_the_earlier_one_is_reported() {
    let api = Api::start().await;
    let keys = Keys::create(&api).await;
    let mut wrong = Vec::new();
    let pairs = pairs(&ORDER);
    assert!(pairs.len() > 200, "{} pairs", pairs.len());
    for faults in pairs {
        let reply = api.send_get(&faulty(&api, &keys, &faults, "JSON")).await;
        let reported = (reply.status, reply.text("Code"));
        if reported != faults[0].refusal() {
            wrong.push((faults, reported));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn the_order_is_the_same_in_xml() {
    let api = Api::start().await;
    let keys = Keys::create(&api).await;
    for faults in ORDER.windows(2).filter(|faults| pairs(faults).len() == 3) {
        let reply = api.send_get(&faulty(&api, &keys, faults, "XML")).await;
        let (status, code) = faults[0].refusal();
        assert_eq!(reply.status, status, "{faults:?}: {reply:?}");
        assert!(reply.body.contains(&format!("<Code>{code}</Code>")), "{faults:?}: {reply:?}");
        assert_eq!(reply.headers["content-type"], "text/xml;charset=utf-8");
    }
}

#[tokio::test]
async fn a_request_that_is_wrong_in_every_way_is_mended_one_report_at_a_time() {
    let api = Api::start().await;
    let keys = Keys::create(&api).await;
    let conflicting = [Fault::UnknownKey, Fault::TimestampFormat, Fault::UnknownVersion];
    let order: Vec<_> = ORDER
        .into_iter()
        .filter(|fault| !matches!(fault, Fault::Missing(_)) && !conflicting.contains(fault))
        .collect();
    for position in 0..order.len() {
        let faults = &order[position..];
        let reply = api.send_get(&faulty(&api, &keys, faults, "JSON")).await;
        assert_eq!((reply.status, reply.text("Code")), faults[0].refusal(), "{faults:?}");
    }
    api.send_get(&faulty(&api, &keys, &[], "JSON")).await.succeeded();
}
