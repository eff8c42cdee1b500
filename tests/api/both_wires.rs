//! The same scenarios on every wire. The RPC query format, under either signature and in either
//! format, and gRPC return the same texts, code, message and HTTP status. Each scenario is about
//! one account. It runs once on each wire, each time with a new account.

use std::collections::BTreeSet;

use cdn_activation::domain::{ChargeType, Product, WebsocketChargeType};
use cdn_activation::proto::billing::v1::Product as WireProduct;
use cdn_activation::proto::operator::v1::Account;

use crate::support::Api;
use crate::support::call::descriptors;
use crate::support::rest::Key;
use crate::support::setup::{Dated, internet, websocket};
use crate::support::wires::{Answer, Wire};

/// A step of a scenario.
#[derive(Clone, Copy)]
enum Step {
    /// Sets the clock.
    At(&'static str),
    /// Updates the account as operators do.
    Update(fn(&mut Account)),
    /// Locks a product with a reason.
    Lock(WireProduct, &'static str),
    /// Schedules a change.
    Schedule(Product, Dated),
    /// Calls an action that ends with this code; `OK` if it succeeds.
    Ask(&'static str, &'static str),
}

use Step::{Ask, At, Lock, Schedule, Update};

const OPEN_DCDN: &str =
    "Action=OpenDcdnService&BillType=PayByBandwidth&WebsocketBillType=websocketbps";

const SCENARIOS: [&[Step]; 12] = [
    &[
        At("2018-03-19T11:16:11Z"),
        Ask("Action=DescribeCdnService", "CdnServiceNotFound"),
        Ask("Action=OpenCdnService&InternetChargeType=PayByBandwidth", "OK"),
        Ask("Action=OpenCdnService", "CdnService.HasOpened"),
        Ask("Action=DescribeCdnService", "OK"),
        Ask("Action=DescribeDcdnService", "DcdnServiceNotFound"),
    ],
    &[
        At("2018-03-19T11:16:11Z"),
        Ask("Action=DescribeDcdnService", "DcdnServiceNotFound"),
        Ask(OPEN_DCDN, "OK"),
        Ask(OPEN_DCDN, "DcdnService.HasOpened"),
        Ask("Action=DescribeDcdnService", "OK"),
        Ask("Action=DescribeCdnService", "CdnServiceNotFound"),
    ],
    &[
        Ask("Action=OpenCdnService&InternetChargeType=", "OK"),
        Ask("Action=DescribeUserCdnStatus", "OK"),
        Ask("Action=DescribeUserDcdnStatus", "OK"),
    ],
    &[
        Ask(
            "Action=OpenCdnService&InternetChargeType=PayByBandwidth95",
            "InvalidInternetChargeType.ValueNotSupported",
        ),
        Ask(
            "Action=OpenCdnService&InternetChargeType=<\"'>%+ 按量",
            "InvalidInternetChargeType.ValueNotSupported",
        ),
        Ask("Action=OpenDcdnService", "MissingBillType"),
        Ask("Action=OpenDcdnService&BillType=PayByTraffic", "MissingWebsocketBillType"),
        Ask(
            "Action=OpenDcdnService&BillType=websocketbps&WebsocketBillType=websocketbps",
            "InvalidComponent",
        ),
        Ask(
            "Action=OpenDcdnService&BillType=PayByTraffic&WebsocketBillType=PayByTraffic",
            "InvalidComponent",
        ),
        Ask("Action=ModifyCdnService", "MissingInternetChargeType"),
        Ask("Action=ModifyCdnService&InternetChargeType=PayByBandwidth95", "InvalidParameter"),
    ],
    &[
        Update(|account| account.bid_user = true),
        Ask("Action=OpenCdnService", "Forbidden.BidUser"),
        Ask(OPEN_DCDN, "Forbidden.BidUser"),
    ],
    &[
        Update(|account| account.orders_refused = true),
        Ask("Action=OpenCdnService", "LX_CREATE_ORDER_FAILED"),
        Ask(OPEN_DCDN, "LX_CREATE_ORDER_FAILED"),
        Update(|account| account.balance = -1),
        Ask("Action=OpenCdnService", "InsufficientBalance"),
        Update(|account| account.profile_complete = false),
        Ask("Action=OpenCdnService", "FUWU_BIZ_COMMODITY_VERIFY_FAIL_USERPROFILECOMPLETE"),
        Ask(OPEN_DCDN, "IncompleteInformation"),
    ],
    &[
        At("2019-11-27T15:59:59Z"),
        Ask("Action=OpenCdnService", "OK"),
        Ask("Action=ModifyCdnService&InternetChargeType=PayByBandwidth", "OK"),
        Ask("Action=ModifyCdnService&InternetChargeType=PayByBandwidth", "OK"),
        Ask(
            "Action=ModifyCdnService&InternetChargeType=PayByTraffic",
            "FUWU_BIZ_COMMODITY_VERIFY_FAIL_HASORDER",
        ),
        Ask("Action=DescribeCdnService", "OK"),
        At("2019-11-27T16:00:00Z"),
        Ask("Action=DescribeCdnService", "OK"),
        Ask("Action=ModifyCdnService&InternetChargeType=PayByTraffic", "OK"),
        Ask("Action=DescribeCdnService", "OK"),
    ],
    &[
        Ask("Action=ModifyCdnService&InternetChargeType=PayByTraffic", "CdnServiceNotFound"),
        Ask("Action=OpenCdnService", "OK"),
        Lock(WireProduct::Cdn, "financial"),
        Ask("Action=ModifyCdnService&InternetChargeType=PayByBandwidth", "InsufficientBalance"),
        Lock(WireProduct::Cdn, "security"),
        Ask("Action=ModifyCdnService&InternetChargeType=PayByBandwidth", "OperationDenied"),
        Ask("Action=ModifyCdnService&InternetChargeType=PayByTraffic", "OK"),
        Ask("Action=DescribeCdnService", "OK"),
    ],
    &[
        At("2018-03-01T00:00:00Z"),
        Ask(OPEN_DCDN, "OK"),
        Schedule(
            Product::Dcdn,
            internet(
                ChargeType::PayByBandwidthMonth4th,
                "2018-03-02T00:00:00Z",
                "2018-03-02T16:00:00Z",
            ),
        ),
        Schedule(
            Product::Dcdn,
            websocket(
                WebsocketChargeType::Websockettraffic,
                "2018-03-03T00:00:00Z",
                "2018-03-31T16:00:00Z",
            ),
        ),
        At("2018-03-20T00:00:00Z"),
        Lock(WireProduct::Dcdn, "security"),
        Ask("Action=DescribeDcdnService", "OK"),
        Ask("Action=DescribeUserDcdnStatus", "OK"),
        Ask(
            "Action=DescribeDcdnUserBillType&StartTime=2018-03-01T00:00:00Z&EndTime=2018-03-20T00:00:00Z",
            "OK",
        ),
    ],
    &[
        At("2018-03-01T00:00:00Z"),
        Ask("Action=OpenCdnService", "OK"),
        Lock(WireProduct::Cdn, "financial"),
        At("2018-03-02T00:00:00Z"),
        Ask("Action=DescribeUserCdnStatus", "OK"),
        At("2018-03-02T00:00:01Z"),
        Ask("Action=DescribeUserCdnStatus", "OK"),
        Ask("Action=DescribeCdnService", "OK"),
    ],
    &[
        Ask("Action=DescribeUserCdnStatus", "OK"),
        Ask("Action=DescribeUserDcdnStatus", "OK"),
        Ask(
            "Action=DescribeCdnUserBillType&StartTime=2018-03-01T00:00:00Z&EndTime=2018-03-20T00:00:00Z",
            "OK",
        ),
        Ask("Action=DescribeCdnUserBillType", "MissingStartTime"),
        Ask("Action=DescribeDcdnUserBillType&StartTime=2018-03-01T00:00:00Z", "MissingEndTime"),
        Ask("Action=DescribeDcdnUserBillType&StartTime=today&EndTime=tomorrow", "InvalidParameter"),
    ],
    &[
        At("2018-03-01T00:00:00Z"),
        Ask("Action=OpenCdnService", "OK"),
        Schedule(
            Product::Cdn,
            internet(ChargeType::PayByBandwidth95, "2018-03-02T00:00:00Z", "2018-03-02T16:00:00Z"),
        ),
        At("2018-03-10T00:00:00Z"),
        Ask("Action=ModifyCdnService&InternetChargeType=PayByTraffic", "OK"),
        Ask("Action=DescribeCdnService", "OK"),
        At("2018-04-02T00:00:00Z"),
        Ask(
            "Action=DescribeCdnUserBillType&StartTime=2018-03-02T00:00:00Z&EndTime=2018-04-02T00:00:00Z",
            "OK",
        ),
    ],
];

/// Runs a scenario on one wire and returns the answers, without the ids that belong to the account.
async fn run(api: &Api, wire: Wire, scenario: &[Step]) -> Vec<Answer> {
    let key = api.account().await;
    let mut answers = Vec::new();
    for step in scenario {
        match step {
            At(instant) => api.at(instant),
            Update(change) => api.update_account(&key, change).await,
            Lock(product, reason) => api.lock(&key, *product, reason).await,
            Schedule(product, change) => api.schedule_dated(&key, *product, &[*change]).await,
            Ask(given, code) => {
                let answer = api.ask(wire, &key, given).await;
                assert_eq!(answer.code(), *code, "{given} on {wire:?}");
                answers.push(without_own_ids(answer, &key));
            }
        }
    }
    answers
}

fn without_own_ids(mut answer: Answer, key: &Key) -> Answer {
    for (path, text) in &mut answer.says {
        if path == "InstanceId" {
            let random = text.strip_prefix("FP-").is_some_and(|random| random.len() == 9);
            assert!(random || *text == key.account_id.to_string(), "{text}");
            *text = if random { "FP-".to_owned() } else { "the account's".to_owned() };
        }
    }
    answer
}

#[tokio::test]
async fn every_wire_gives_the_same_answers() {
    let api = Api::start_without_workers().await;
    for scenario in SCENARIOS {
        // A scenario that does not set the clock gets the same instant on each wire.
        api.at("2018-03-19T11:16:11Z");
        let over_grpc = run(&api, Wire::Grpc, scenario).await;
        for wire in Wire::ALL.into_iter().filter(|wire| *wire != Wire::Grpc) {
            api.at("2018-03-19T11:16:11Z");
            assert_eq!(run(&api, wire, scenario).await, over_grpc, "{wire:?}");
        }
    }
}

#[test]
fn the_scenarios_call_every_action() {
    let called =
        SCENARIOS.iter().flat_map(|scenario| scenario.iter()).filter_map(|step| match step {
            Ask(given, _) => given.strip_prefix("Action=")?.split('&').next().map(str::to_owned),
            _ => None,
        });
    let option = descriptors().get_extension_by_name("activation.rpc.v1.versions");
    let option = option.expect("the option");
    let services: Vec<_> = descriptors().services().collect();
    let reachable = services.iter().filter(|service| service.options().has_extension(&option));
    let actions = reachable.flat_map(|service| service.methods().collect::<Vec<_>>());
    let actions: BTreeSet<_> = actions.map(|method| method.name().to_owned()).collect();
    assert_eq!(called.collect::<BTreeSet<_>>(), actions);
}
