//! Common parameters that are absent. The error names the first one in the order of
//! docs/protocol.md, "Common parameters". An empty parameter counts as absent.

use crate::support::Api;
use crate::support::refusals::{Format, missing};
use crate::support::rest::query;

/// The common parameters of V1 that a request must have, in their documented order.
const REQUIRED: [&str; 8] = [
    "Action",
    "Version",
    "AccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "SignatureNonce",
    "Timestamp",
];

#[tokio::test]
async fn each_required_parameter_that_is_absent_is_named() {
    let api = Api::start().await;
    let key = api.account().await;
    for name in REQUIRED {
        for (given, format) in [
            ("Action=DescribeUserCdnStatus", Format::Json),
            ("Action=DescribeUserCdnStatus&Format=XML", Format::Xml),
        ] {
            let mut signed = api.sign(&key, "GET", api.common(&key, given));
            signed.remove(name);
            api.send_get(&query(&signed)).await.is(format, &missing(name));
        }
    }
}

#[tokio::test]
async fn an_empty_required_parameter_counts_as_absent() {
    let api = Api::start().await;
    let key = api.account().await;
    for name in REQUIRED {
        let mut parameters = api.common(&key, "Action=DescribeUserCdnStatus");
        parameters.insert(name.to_owned(), String::new());
        let mut signed = api.sign(&key, "GET", parameters);
        if name == "Signature" {
            signed.insert(name.to_owned(), String::new());
        }
        api.send_get(&query(&signed)).await.is(Format::Json, &missing(name));
    }
}

#[tokio::test]
async fn the_first_absent_parameter_in_the_documented_order_is_named() {
    let api = Api::start().await;
    let key = api.account().await;
    let signed = api.sign(&key, "GET", api.common(&key, "Action=DescribeUserCdnStatus"));
    for (position, first) in REQUIRED.iter().enumerate() {
        let mut rest = signed.clone();
        rest.retain(|name, _| !REQUIRED[position..].contains(&name.as_str()));
        api.send_get(&query(&rest)).await.is(Format::Json, &missing(first));
    }
}

#[tokio::test]
async fn a_request_without_parameters_lacks_its_action_and_is_answered_in_xml() {
    let api = Api::start().await;
    for (method, target) in [("GET", "/"), ("GET", "/?"), ("POST", "/"), ("GET", "/?&&&")] {
        api.send(method, target, &[], b"").await.is(Format::Xml, &missing("Action"));
    }
}

#[tokio::test]
async fn a_v3_header_that_is_absent_or_empty_is_named_like_the_parameter_it_stands_for() {
    let api = Api::start().await;
    let key = api.account().await;
    for (header, name) in [
        ("x-acs-action", "Action"),
        ("x-acs-version", "Version"),
        ("authorization", "AccessKeyId"),
        ("x-acs-signature-nonce", "SignatureNonce"),
        ("x-acs-date", "Timestamp"),
    ] {
        // The header is absent, whether it was removed after or before signing.
        api.refuses_v3(|draft| draft.signed(&key).without(header), &missing(name)).await;
        api.refuses_v3(|draft| draft.without(header).signed(&key).without(header), &missing(name))
            .await;
        api.refuses_v3(|draft| draft.signed(&key).with(header, ""), &missing(name)).await;
    }
}

#[tokio::test]
async fn the_first_absent_v3_header_in_the_same_order_is_named() {
    let api = Api::start().await;
    let key = api.account().await;
    let order = [
        ("x-acs-action", "Action"),
        ("x-acs-version", "Version"),
        ("authorization", "AccessKeyId"),
        ("x-acs-signature-nonce", "SignatureNonce"),
        ("x-acs-date", "Timestamp"),
    ];
    // Without date and authorization, a V3 request cannot be told from V1. So the date is not
    // removed here.
    for (position, (_, first)) in order.iter().enumerate().take(order.len() - 1) {
        let mut draft = api.status_draft().signed(&key);
        for (header, _) in &order[position..order.len() - 1] {
            draft = draft.without(header);
        }
        api.send_draft(&draft).await.is(Format::Json, &missing(first));
    }
}

/// The newest SDKs send such requests without credentials, and with a bearer token.
#[tokio::test]
async fn a_v3_request_without_an_access_key_lacks_its_access_key_id() {
    let api = Api::start().await;
    let anonymous = api.draft("DescribeCdnService", "2018-05-10", "Format=json");
    api.send_draft(&anonymous).await.is(Format::Json, &missing("AccessKeyId"));
    let bearer = api
        .draft("DescribeCdnService", "2018-05-10", "SignatureType=BEARERTOKEN")
        .with("x-acs-bearer-token", "CAISexample+token/with==specials");
    api.send_draft(&bearer).await.is(Format::Json, &missing("AccessKeyId"));
    let in_xml = bearer.with("accept", "application/xml");
    api.send_draft(&in_xml).await.is(Format::Xml, &missing("AccessKeyId"));
}

#[tokio::test]
async fn a_v1_request_with_a_bearer_token_alone_lacks_its_access_key_id() {
    let api = Api::start().await;
    let given = "Action=DescribeCdnService&Version=2018-05-10&Format=JSON\
                 &SignatureType=BEARERTOKEN&BearerToken=token";
    api.get_unsigned(given).await.is(Format::Json, &missing("AccessKeyId"));
}
