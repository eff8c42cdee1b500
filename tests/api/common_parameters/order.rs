//! What can be wrong with a request, in the order in which it is reported (docs/protocol.md, "Order of
//! checks"): parse and limits → version and action known → common parameters present → key exists →
//! enabled → token → timestamp format, then age → signature method → signature → nonce → permission →
//! parameters → state. The requests themselves are built in `order_v1` and `order_v3`.

use std::collections::HashMap;

use cdn_activation::domain::{Time, time};
use chrono::Duration;

use crate::support::Api;
use crate::support::rest::Key;

/// The nonce that every key has used.
pub(super) const USED_NONCE: &str = "used-before";
/// When it is.
const NOW: &str = "2018-03-19T12:07:30Z";
/// A timestamp that is too old by then.
pub(super) const TOO_OLD: &str = "2018-03-19T11:50:00Z";

/// Something wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A parameter occurs twice.
    Duplicate,
    /// This common parameter is absent.
    Missing(&'static str),
    UnknownVersion,
    UnknownAction,
    UnknownKey,
    DisabledKey,
    SecurityToken,
    TimestampFormat,
    TimestampAge,
    SignatureMethod,
    /// V3 only: a header that must be signed is not.
    IncompleteSignature,
    Signature,
    UsedNonce,
    Permission,
    Parameter,
    State,
}

impl Fault {
    /// The documented status and code.
    pub(super) fn refusal(self) -> (u16, String) {
        let (status, code) = match self {
            Self::Missing(name) => return (400, format!("Missing{name}")),
            Self::Duplicate => (400, "InvalidParameter"),
            Self::UnknownVersion => (400, "InvalidVersion"),
            Self::UnknownAction => (404, "InvalidAction.NotFound"),
            Self::UnknownKey => (404, "InvalidAccessKeyId.NotFound"),
            Self::DisabledKey => (400, "InvalidAccessKeyId.Inactive"),
            Self::SecurityToken => (400, "InvalidSecurityToken.MismatchWithAccessKey"),
            Self::TimestampFormat => (400, "InvalidTimeStamp.Format"),
            Self::TimestampAge => (400, "InvalidTimeStamp.Expired"),
            Self::SignatureMethod => (400, "InvalidSignatureMethod"),
            Self::IncompleteSignature => (400, "IncompleteSignature"),
            Self::Signature => (400, "SignatureDoesNotMatch"),
            Self::UsedNonce => (400, "SignatureNonceUsed"),
            Self::Permission => (403, "Forbidden.RAM"),
            Self::Parameter => (400, "InvalidInternetChargeType.ValueNotSupported"),
            Self::State => (400, "CdnService.HasOpened"),
        };
        (status, code.to_owned())
    }

    /// The parameter that it sits in: of two faults in one place a request can have only one.
    fn place(self) -> &'static str {
        match self {
            Self::Missing(name) => name,
            Self::UnknownVersion => "Version",
            Self::UnknownAction => "Action",
            Self::UnknownKey | Self::DisabledKey => "AccessKeyId",
            Self::TimestampFormat | Self::TimestampAge => "Timestamp",
            Self::SignatureMethod => "SignatureMethod",
            Self::IncompleteSignature | Self::Signature => "Signature",
            Self::UsedNonce => "SignatureNonce",
            Self::Duplicate => "twice",
            Self::SecurityToken => "SecurityToken",
            Self::Permission => "permission",
            Self::Parameter => "InternetChargeType",
            Self::State => "state",
        }
    }
}

/// Every fault alone and every two that can go together, the earlier one first.
pub(super) fn pairs(order: &[Fault]) -> Vec<Vec<Fault>> {
    let mut pairs: Vec<Vec<Fault>> = order.iter().map(|fault| vec![*fault]).collect();
    for (position, first) in order.iter().enumerate() {
        let later = order[position + 1..].iter().filter(|later| later.place() != first.place());
        pairs.extend(later.map(|later| vec![*first, *later]));
    }
    pairs
}

/// What a key is like: disabled, restricted to Describe, of an account that has opened.
pub(super) type Traits = (bool, bool, bool);

/// What the key of a request with these faults is like.
pub(super) fn traits(faults: &[Fault]) -> Traits {
    let has = |fault| faults.contains(&fault);
    (has(Fault::DisabledKey), has(Fault::Permission), has(Fault::State))
}

/// A key of every kind.
pub(super) struct Keys(HashMap<Traits, Key>);

impl Keys {
    /// The key of a kind.
    pub(super) fn of(&self, faults: &[Fault]) -> &Key {
        &self.0[&traits(faults)]
    }

    /// Creates them. Each has used [`USED_NONCE`] up, now and with the timestamp that is too old
    /// now, before it was disabled.
    pub(super) async fn create(api: &Api) -> Self {
        let mut keys = HashMap::new();
        let now = instant(NOW);
        api.clock.set_wire_now(now);
        for number in 0..8 {
            let (disabled, restricted, opened) =
                (number & 1 != 0, number & 2 != 0, number & 4 != 0);
            let key = api.account().await;
            if opened {
                api.open_cdn(&key).await;
            }
            let describe = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:Describe*","Resource":"*"}]}"#;
            let policy = if restricted { describe } else { "" };
            let key = api.key_of(key.account_id, policy).await;
            for at in [instant(TOO_OLD), now] {
                api.clock.set_wire_now(at);
                let given = format!("Action=DescribeUserCdnStatus&SignatureNonce={USED_NONCE}");
                api.get(&key, &given).await.succeeded();
            }
            if disabled {
                api.disable(&key).await;
            }
            keys.insert((disabled, restricted, opened), key);
        }
        assert!(now - instant(TOO_OLD) > Duration::minutes(15));
        Self(keys)
    }
}

fn instant(text: &str) -> Time {
    time::parse(text).expect("an instant")
}
