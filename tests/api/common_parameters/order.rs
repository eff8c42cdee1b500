//! The defects that a request can have, in the order in which they are reported (docs/protocol.md,
//! "Order of checks"): parse and limits → version and action known → common parameters present →
//! key exists → enabled → token → timestamp format, then age → signature method → signature →
//! nonce → permission → parameters → state. The requests themselves are built in `order_v1` and
//! `order_v3`.

use std::collections::HashMap;

use cdn_activation::domain::{Time, time};
use chrono::Duration;

use crate::support::Api;
use crate::support::rest::Key;

/// A nonce that every key has used.
pub(super) const USED_NONCE: &str = "used-before";
/// The time of the wire clock.
const NOW: &str = "2018-03-19T12:07:30Z";
/// A timestamp that is too old at this time.
pub(super) const TOO_OLD: &str = "2018-03-19T11:50:00Z";

/// A defect of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
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

impl Defect {
    /// Returns the documented status and code.
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

    /// Returns the place of the defect. A request can have only one defect in each place.
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

/// Returns every defect alone, and every two that a request can have together, the earlier one
/// first.
pub(super) fn pairs(order: &[Defect]) -> Vec<Vec<Defect>> {
    let mut pairs: Vec<Vec<Defect>> = order.iter().map(|defect| vec![*defect]).collect();
    for (position, first) in order.iter().enumerate() {
        let later = order[position + 1..].iter().filter(|later| later.place() != first.place());
        pairs.extend(later.map(|later| vec![*first, *later]));
    }
    pairs
}

/// The traits of a key: whether it is disabled, whether it is restricted to Describe, and whether
/// its account has opened CDN.
pub(super) type Traits = (bool, bool, bool);

/// Returns the traits of the key of a request with these defects.
pub(super) fn traits(defects: &[Defect]) -> Traits {
    let has = |defect| defects.contains(&defect);
    (has(Defect::DisabledKey), has(Defect::Permission), has(Defect::State))
}

/// A key for each combination of traits.
pub(super) struct Keys(HashMap<Traits, Key>);

impl Keys {
    /// Returns the key for a request with these defects.
    pub(super) fn of(&self, defects: &[Defect]) -> &Key {
        &self.0[&traits(defects)]
    }

    /// Creates the keys. Each has used [`USED_NONCE`] up, at [`NOW`] and at [`TOO_OLD`], before it
    /// was disabled.
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
