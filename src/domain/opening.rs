//! The opening table: the conditions for an opening in the order in which they are reported, and
//! the decision.

use uuid::Uuid;

use super::account::{AccountId, Facts, Product, Site};
use super::charge_type::{ChargeType, Requested, WebsocketChargeType};
use super::refusal::Refusal;
use super::time::Time;

/// What an account asks to open.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// CDN with a charge type. If none is given, it is by traffic (docs/behaviour.md,
    /// "OpenCdnService").
    Cdn(Requested<ChargeType>),
    /// DCDN with a charge type and a WebSocket charge type. Both are required.
    Dcdn(Requested<ChargeType>, Requested<WebsocketChargeType>),
}

impl Request {
    /// Returns the product to open.
    #[must_use]
    pub fn product(self) -> Product {
        match self {
            Self::Cdn(_) => Product::Cdn,
            Self::Dcdn(..) => Product::Dcdn,
        }
    }
}

/// The terms of an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What is opened.
    pub product: Product,
    /// How internet traffic is charged.
    pub internet: ChargeType,
    /// How WebSocket traffic is charged, if the product has it.
    pub websocket: Option<WebsocketChargeType>,
}

/// The order that an opening creates.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Its id. It is the same for every attempt of one request.
    pub order_id: Uuid,
    /// The account that opens.
    pub account_id: AccountId,
    /// What it opens.
    pub terms: Terms,
    /// When the opening was requested.
    pub ordered_at: Time,
}

/// Limits that a deployment sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Smallest balance for an opening or a change, in minor units.
    pub minimum_balance: i64,
}

/// One condition for an opening: when it refuses, and with which error.
struct Rule {
    refuses: fn(&Facts, Limits) -> bool,
    with: fn(Product) -> Refusal,
}

/// The conditions in the order in which they are reported (docs/behaviour.md, "The opening table",
/// rows 2 to 9). Row 1 checks the values. It comes first and reads no facts.
const RULES: [Rule; 8] = [
    Rule { refuses: |facts, _| facts.account.profile.bid_user, with: |_| Refusal::BidUser },
    Rule {
        refuses: |facts, _| {
            facts.account.profile.site == Site::Intl && !facts.account.profile.intl_allowed
        },
        with: |_| Refusal::IntlNotAuthorized,
    },
    Rule { refuses: |facts, _| facts.instance.is_some(), with: Refusal::AlreadyOpened },
    Rule {
        refuses: |facts, _| !facts.account.profile.real_name_verified,
        with: |_| Refusal::NoRealNameAuthentication,
    },
    Rule {
        refuses: |facts, _| !facts.account.profile.profile_complete,
        with: Refusal::ProfileIncomplete,
    },
    Rule {
        refuses: |facts, _| !facts.account.profile.payment_method_valid,
        with: |_| Refusal::InvalidPaymentMethod,
    },
    Rule {
        refuses: |facts, limits| facts.account.profile.balance < limits.minimum_balance,
        with: |_| Refusal::InsufficientBalance,
    },
    Rule {
        refuses: |facts, _| facts.account.profile.orders_refused,
        with: |_| Refusal::OrderNotCreated,
    },
];

/// Returns the terms of the opening, or the error of the first rule that refuses.
pub fn decide(facts: &Facts, request: Request, limits: Limits) -> Result<Terms, Refusal> {
    let terms = terms(request)?;
    match RULES.iter().find(|rule| (rule.refuses)(facts, limits)) {
        Some(rule) => Err((rule.with)(terms.product)),
        None => Ok(terms),
    }
}

/// Applies rule 1, which checks the values of the request.
fn terms(request: Request) -> Result<Terms, Refusal> {
    match request {
        Request::Cdn(requested) => {
            let internet = match requested {
                Requested::NotGiven => ChargeType::PayByTraffic,
                Requested::Known(charge_type) if charge_type.is_public() => charge_type,
                _ => return Err(Refusal::ValueNotSupported("InternetChargeType")),
            };
            Ok(Terms { product: Product::Cdn, internet, websocket: None })
        }
        Request::Dcdn(internet, websocket) => {
            // A missing parameter is reported before a wrong one.
            for (missing, parameter) in [
                (internet == Requested::NotGiven, "BillType"),
                (websocket == Requested::NotGiven, "WebsocketBillType"),
            ] {
                if missing {
                    return Err(Refusal::MissingParameter(parameter));
                }
            }
            let Requested::Known(internet) = internet else {
                return Err(Refusal::InvalidComponent("BillType"));
            };
            if !internet.is_public() {
                return Err(Refusal::InvalidComponent("BillType"));
            }
            let Requested::Known(websocket) = websocket else {
                return Err(Refusal::InvalidComponent("WebsocketBillType"));
            };
            Ok(Terms { product: Product::Dcdn, internet, websocket: Some(websocket) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::{Account, Profile};
    use super::super::instance::tests::instance;
    use super::super::time::parse;
    use super::*;

    const LIMITS: Limits = Limits { minimum_balance: 100 };

    /// Returns facts in which bit n of `bits` makes rule n + 2 of the table refuse.
    fn facts(bits: u8) -> Facts {
        let wrong = |rule: u8| bits & (1 << rule) != 0;
        let time = parse("2018-03-19T11:16:11Z").unwrap();
        Facts {
            account: Account {
                account_id: AccountId::new(1).unwrap(),
                profile: Profile {
                    bid_user: wrong(0),
                    site: if wrong(1) { Site::Intl } else { Site::Domestic },
                    intl_allowed: false,
                    real_name_verified: !wrong(3),
                    profile_complete: !wrong(4),
                    payment_method_valid: !wrong(5),
                    balance: if wrong(6) { 99 } else { 100 },
                    orders_refused: wrong(7),
                },
                version: 1,
                created_at: time,
                updated_at: time,
            },
            instance: wrong(2).then(|| instance(&[])),
        }
    }

    fn refusal(product: Product, rule: u32) -> Refusal {
        match rule {
            0 => Refusal::BidUser,
            1 => Refusal::IntlNotAuthorized,
            2 => Refusal::AlreadyOpened(product),
            3 => Refusal::NoRealNameAuthentication,
            4 => Refusal::ProfileIncomplete(product),
            5 => Refusal::InvalidPaymentMethod,
            6 => Refusal::InsufficientBalance,
            _ => Refusal::OrderNotCreated,
        }
    }

    #[test]
    fn the_first_rule_that_refuses_is_reported_in_every_combination() {
        use Requested::{Known, NotGiven, Unknown};
        let right = [
            Request::Cdn(NotGiven),
            Request::Cdn(Known(ChargeType::PayByBandwidth)),
            Request::Dcdn(
                Known(ChargeType::PayByTraffic),
                Known(WebsocketChargeType::Websocketbps),
            ),
        ];
        for bits in 0..=u8::MAX {
            for request in right {
                let decision = decide(&facts(bits), request, LIMITS);
                if bits == 0 {
                    assert!(decision.is_ok(), "{request:?}");
                } else {
                    let product =
                        if let Request::Cdn(_) = request { Product::Cdn } else { Product::Dcdn };
                    let expected = refusal(product, bits.trailing_zeros());
                    assert_eq!(decision.expect_err("a rule refuses"), expected, "{bits:08b}");
                }
            }
            let wrong = decide(&facts(bits), Request::Cdn(Unknown), LIMITS).expect_err("rule 1");
            assert_eq!(wrong, Refusal::ValueNotSupported("InternetChargeType"));
        }
    }

    #[test]
    fn only_public_charge_types_open_cdn_and_traffic_is_the_default() {
        let opened = |requested| decide(&facts(0), Request::Cdn(requested), LIMITS);
        assert_eq!(opened(Requested::NotGiven).unwrap().internet, ChargeType::PayByTraffic);
        for charge_type in <ChargeType as super::super::Charge>::ALL {
            let opens = opened(Requested::Known(*charge_type)).is_ok();
            assert_eq!(opens, charge_type.is_public(), "{charge_type:?}");
        }
    }

    #[test]
    fn dcdn_reports_a_missing_parameter_before_a_wrong_one_and_names_it() {
        use Requested::{Known, NotGiven, Unknown};
        let traffic = Known(ChargeType::PayByTraffic);
        let websocket = Known(WebsocketChargeType::Websockettraffic);
        let missing = Refusal::MissingParameter;
        let invalid = Refusal::InvalidComponent;
        for (internet, websocket, expected) in [
            (NotGiven, NotGiven, missing("BillType")),
            (NotGiven, websocket, missing("BillType")),
            (Unknown, NotGiven, missing("WebsocketBillType")),
            (Unknown, Unknown, invalid("BillType")),
            (Known(ChargeType::PayByBandwidth95), websocket, invalid("BillType")),
            (traffic, Unknown, invalid("WebsocketBillType")),
        ] {
            let refusal = decide(&facts(0xff), Request::Dcdn(internet, websocket), LIMITS);
            assert_eq!(refusal.expect_err("a value is wrong"), expected);
        }
    }
}
