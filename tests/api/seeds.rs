//! The service answers as the pages in `tests/seeds` print. Their error tables, the names of
//! parameters and reply fields, the values they list and their samples are read from the pages
//! themselves. If a page changes, these tests show what else must change.

use std::collections::BTreeSet;

use cdn_activation::domain::{ChargeType, Product};
use cdn_activation::proto::operator::v1 as operator;
use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor};

use crate::support::Api;
use crate::support::call::{descriptors, method};
use crate::support::leaves::{json_leaves, xml_leaves};
use crate::support::rest::{Key, Reply, query};
use crate::support::seed::{FieldRow, Page};
use crate::support::setup::internet;

/// An instant at which the sample of DescribeDcdnService is correct.
const PRINTED_AT: &str = "2018-03-20T00:00:00Z";

fn open_cdn_service() -> Page {
    Page::read(include_str!("../seeds/OpenCdnService.md"))
}

fn describe_dcdn_service() -> Page {
    Page::read(include_str!("../seeds/DescribeDcdnService.md"))
}

fn pages() -> [Page; 2] {
    [open_cdn_service(), describe_dcdn_service()]
}

/// Returns the change of an account that OpenCdnService refuses with this code, and the charge type
/// of the request. `None`: the account has opened already.
fn refused_with(code: &str) -> (Option<fn(&mut operator::Account)>, &'static str) {
    let by_traffic = |differs: fn(&mut operator::Account)| (Some(differs), "PayByTraffic");
    match code {
        "Forbidden.Intl" => by_traffic(|account| account.set_site(operator::Site::Intl)),
        "InvalidInternetChargeType.ValueNotSupported" => (Some(|_| {}), "PayByMoonlight"),
        "CdnService.HasOpened" => (None, "PayByTraffic"),
        "InsufficientBalance" => by_traffic(|account| account.balance = -1),
        "NoRealNameAuthentication" => by_traffic(|account| account.real_name_verified = false),
        "Forbidden.BidUser" => by_traffic(|account| account.bid_user = true),
        "FUWU_BIZ_COMMODITY_VERIFY_FAIL_INVALID_PAY_METHOD" => {
            by_traffic(|account| account.payment_method_valid = false)
        }
        "FUWU_BIZ_COMMODITY_VERIFY_FAIL_USERPROFILECOMPLETE" => {
            by_traffic(|account| account.profile_complete = false)
        }
        "LX_CREATE_ORDER_FAILED" => by_traffic(|account| account.orders_refused = true),
        new => panic!("the page has a new row, {new}: add the account that is refused"),
    }
}

#[tokio::test]
async fn both_wires_refuse_as_every_row_of_the_error_table() {
    let api = Api::start().await;
    let rows = open_cdn_service().errors();
    assert_eq!(rows.len(), 9, "the page has nine rows: {rows:?}");
    for row in rows {
        let (differs, charge_type) = refused_with(&row.code);
        let key = api.account_with(differs.unwrap_or(|_| {})).await;
        if differs.is_none() {
            api.open_cdn(&key).await;
        }
        let request = format!("Action=OpenCdnService&InternetChargeType={charge_type}");
        api.get(&key, &request).await.refused(row.http, &row.code, &row.message);

        let xml = api.get(&key, &format!("{request}&Format=XML")).await;
        let leaves = xml_leaves(&xml.body);
        assert_eq!(xml.status, row.http);
        assert!(leaves.contains(&("Code".to_owned(), row.code.clone())), "{leaves:?}");
        assert!(leaves.contains(&("Message".to_owned(), row.message.clone())), "{leaves:?}");

        let grpc = api.call(&key, &request).await.expect_err("refused");
        assert_eq!((grpc.http, grpc.code, grpc.message), (row.http, row.code, row.message));
    }
}

#[test]
fn a_page_documents_a_method_of_its_product_and_version() {
    for page in pages() {
        let service = method(page.action()).parent_service().clone();
        let option = |name: &str| {
            let full_name = format!("activation.rpc.v1.{name}");
            let extension = descriptors().get_extension_by_name(&full_name).expect("an option");
            service.options().get_extension(&extension).into_owned()
        };
        let versions = option("versions");
        let versions: Vec<_> =
            versions.as_list().expect("a list").iter().filter_map(|v| v.as_str()).collect();
        assert!(versions.contains(&page.link("version")), "{versions:?}");
        let product = page.link("product").to_lowercase();
        assert_eq!(option("product").as_str(), Some(product.as_str()));
    }
}

/// Returns the names of the fields of a message and of the messages below it.
fn names(message: &MessageDescriptor) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for field in message.fields() {
        names.insert(field.json_name().to_owned());
        if let Kind::Message(below) = field.kind()
            && below.package_name() != "google.protobuf"
        {
            names.extend(self::names(&below));
        }
    }
    names
}

fn documented_names(rows: &[FieldRow]) -> BTreeSet<String> {
    rows.iter().map(|row| row.name.clone()).collect()
}

#[test]
fn parameters_and_reply_fields_are_the_documented_ones_and_no_others() {
    for page in pages() {
        let method = method(page.action());
        let mut parameters = page.parameters();
        let action = parameters.remove(0);
        assert_eq!((action.name.as_str(), action.required), ("Action", Some(true)));
        assert_eq!(action.values, [page.action()]);
        assert_eq!(names(&method.input()), documented_names(&parameters));
        assert_eq!(names(&method.output()), documented_names(&page.reply_fields()));
    }
}

fn spellings(kind: &EnumDescriptor) -> BTreeSet<String> {
    let option = descriptors().get_extension_by_name("activation.rpc.v1.spelling");
    let option = option.expect("the option");
    let values: Vec<_> = kind.values().map(|value| value.options()).collect();
    let spelled = values.iter().filter(|options| options.has_extension(&option));
    spelled.map(|options| options.get_extension(&option).as_str().expect("text").into()).collect()
}

#[test]
fn the_listed_values_of_a_reply_field_are_the_spellings_of_its_enum() {
    let output = method("DescribeDcdnService").output();
    let mut with_values = 0;
    for row in describe_dcdn_service().reply_fields() {
        let field = output.fields().find(|field| field.json_name() == row.name);
        let kind = field.map(|field| field.kind());
        let Some(kind) = kind.as_ref().and_then(|kind| kind.as_enum()) else {
            assert!(row.values.is_empty(), "{} is not an enum", row.name);
            continue;
        };
        with_values += 1;
        let listed: BTreeSet<_> = row.values.iter().cloned().collect();
        assert_eq!(spellings(kind), listed, "{}", row.name);
        assert!(listed.contains(&row.example), "{} can be {}", row.name, row.example);
    }
    assert_eq!(with_values, 4, "the page lists the values of four fields");
}

#[tokio::test]
async fn only_the_listed_values_of_a_parameter_open() {
    let api = Api::start().await;
    let parameters = open_cdn_service().parameters();
    let row = parameters.iter().find(|row| row.name == "InternetChargeType").expect("documented");
    let field = method("OpenCdnService").input().get_field_by_json_name(&row.name);
    let kind = field.expect("a field").kind();
    let known = spellings(kind.as_enum().expect("an enum"));
    assert_eq!(row.values, ["PayByTraffic", "PayByBandwidth"]);
    for value in known {
        let key = api.account().await;
        let request = format!("Action=OpenCdnService&InternetChargeType={value}");
        let opened = api.get(&key, &request).await.status == 200;
        assert_eq!(opened, row.values.contains(&value), "{value}");
    }
    assert_eq!(row.required, Some(true), "the page requires it, but it may be left out");
    let key = api.account().await;
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    assert_eq!(
        api.get(&key, "Action=DescribeCdnService").await.text("InternetChargeType"),
        row.example
    );
}

/// Sends the sample request of a page as it is printed, leading `&` included, and signs it.
async fn send_sample(api: &Api, key: &Key, page: &Page, format: &str) -> Reply {
    let given = format!("{}&Format={format}", page.sample_request());
    let mut common = api.sign(key, "GET", api.common(key, &given));
    for printed in page.sample_request().split('&') {
        common.remove(printed.split('=').next().expect("a name"));
    }
    api.send_get(&format!("&{}&{}", page.sample_request(), query(&common))).await
}

/// Checks that both samples of a page equal the replies to its sample request. `account` creates an
/// account.
async fn assert_samples(api: &Api, page: &Page, account: impl AsyncFn() -> Key) {
    let reply = send_sample(api, &account().await, page, "JSON").await;
    let mut sample = page.sample_json();
    sample["RequestId"] = reply.succeeded().headers["x-acs-request-id"].clone().into();
    assert_eq!(reply.json(), sample);

    let reply = send_sample(api, &account().await, page, "XML").await;
    let request_id = reply.succeeded().headers["x-acs-request-id"].clone();
    let mut sample = xml_leaves(page.sample_xml());
    let printed_id = sample.iter_mut().find(|(path, _)| path == "RequestId");
    printed_id.expect("the sample has one").1 = request_id;
    assert_eq!(xml_leaves(&reply.body), sample);
    let root = |document: &str| document.rsplit("</").next().map(str::to_owned);
    assert_eq!(root(&reply.body), root(page.sample_xml()));

    let mut sample = page.sample_json();
    let mut over_grpc = api.call(&account().await, &page.sample_request()).await.expect("a reply");
    for body in [&mut sample, &mut over_grpc] {
        assert!(body.as_object_mut().expect("an object").remove("RequestId").is_some());
    }
    assert_eq!(json_leaves(&over_grpc), json_leaves(&sample));
}

#[tokio::test]
async fn the_service_returns_the_samples_of_open_cdn_service() {
    let api = Api::start().await;
    assert_samples(&api, &open_cdn_service(), async || api.account().await).await;
}

#[tokio::test]
async fn the_service_returns_the_samples_of_describe_dcdn_service() {
    let api = Api::start().await;
    let page = describe_dcdn_service();
    let sample = page.sample_json();
    let text = |name: &str| sample[name].as_str().expect("text").to_owned();
    let key = api.account().await;
    api.at("2018-03-19T12:00:00Z");
    let (opened_at, instance_id) = (text("OpeningTime"), text("InstanceId"));
    api.open_long_ago(&key, Product::Dcdn, &opened_at, &instance_id).await;
    assert_eq!(text("ChangingChargeType"), "PayByBandwidth");
    assert_eq!(text("ChangingAffectTime"), "2018-03-31T16:00:00Z");
    let change =
        internet(ChargeType::PayByBandwidth, "2018-03-19T12:00:00Z", "2018-03-31T16:00:00Z");
    api.schedule_dated(&key, Product::Dcdn, &[change]).await;
    let dcdn = cdn_activation::proto::billing::v1::Product::Dcdn;
    api.lock(&key, dcdn, "financial").await;

    api.at(PRINTED_AT);
    assert_samples(&api, &page, async || key.clone()).await;
}
