//! Version and Action: the pairs that exist (docs/behaviour.md, "Actions"), and that nothing else
//! can be reached through the RPC query format.

use cdn_activation::proto::methods;

use super::{STATUS, STATUS_JSON};
use crate::support::Api;
use crate::support::refusals::{ACTION_NOT_FOUND, Format, INVALID_VERSION, missing};
use crate::support::rest::{Parameters, parameters, query};

/// Every action with the API versions that have it.
const ACTIONS: [(&str, &[&str]); 9] = [
    ("OpenCdnService", &["2014-11-11", "2018-05-10"]),
    ("DescribeCdnService", &["2014-11-11", "2018-05-10"]),
    ("ModifyCdnService", &["2014-11-11", "2018-05-10"]),
    ("DescribeUserCdnStatus", &["2018-05-10"]),
    ("DescribeCdnUserBillType", &["2018-05-10"]),
    ("OpenDcdnService", &["2018-01-15"]),
    ("DescribeDcdnService", &["2018-01-15"]),
    ("DescribeUserDcdnStatus", &["2018-01-15"]),
    ("DescribeDcdnUserBillType", &["2018-01-15"]),
];
const VERSIONS: [&str; 3] = ["2014-11-11", "2018-01-15", "2018-05-10"];

#[tokio::test]
async fn every_documented_action_exists_in_its_versions_and_in_no_other() {
    let api = Api::start().await;
    for (action, versions) in ACTIONS {
        for version in VERSIONS {
            // If the action exists, the access key is the next parameter that is missing.
            let expected =
                if versions.contains(&version) { missing("AccessKeyId") } else { ACTION_NOT_FOUND };
            for (name, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
                let given = format!("Action={action}&Version={version}&Format={name}");
                api.get_unsigned(&given).await.is(format, &expected);
            }
            api.post_unsigned_v3(action, version).await.is(Format::Json, &expected);
        }
    }
}

#[tokio::test]
async fn an_action_that_does_not_exist_is_not_found() {
    let api = Api::start().await;
    for action in [
        "ModifyDcdnService", // withdrawn in 2021
        "openCdnService",
        "OPENCDNSERVICE",
        "OpenCdnService ",
        "OpenCdnServiceRequest",
        "activation.cdn.v1.CdnService/OpenCdnService",
        "DescribeRegions",
        "Check",
        "Watch",
        "ServerReflectionInfo",
        "*",
        "null",
        "<script>&\"'",
        "打开",
    ] {
        for version in VERSIONS {
            for (name, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
                let given = query(&Parameters::from([
                    ("Action".to_owned(), action.to_owned()),
                    ("Version".to_owned(), version.to_owned()),
                    ("Format".to_owned(), name.to_owned()),
                ]));
                api.send_get(&given).await.is(format, &ACTION_NOT_FOUND);
            }
        }
    }
    api.post_unsigned_v3("ModifyDcdnService", "2018-01-15")
        .await
        .is(Format::Json, &ACTION_NOT_FOUND);
}

#[tokio::test]
async fn an_action_that_does_not_exist_is_not_found_in_a_signed_request_either() {
    let api = Api::start().await;
    let key = api.account().await;
    api.get(&key, "Action=ModifyDcdnService").await.is(Format::Json, &ACTION_NOT_FOUND);
    api.post(&key, "Action=ModifyDcdnService").await.is(Format::Json, &ACTION_NOT_FOUND);
    let v3 = api.post_v3(&key, "ModifyDcdnService", "2018-01-15", "BillType=PayByTraffic").await;
    v3.is(Format::Json, &ACTION_NOT_FOUND);
    let old = api.get(&key, "Action=DescribeUserCdnStatus&Version=2014-11-11").await;
    old.is(Format::Json, &ACTION_NOT_FOUND);
}

/// Tries every method in `proto/`: by name, by full name, and by its path in gRPC.
#[tokio::test]
async fn methods_for_operators_cannot_be_reached_by_name() {
    let api = Api::start().await;
    let key = api.account().await;
    let documented = |name: &str| ACTIONS.iter().any(|(action, _)| *action == name);
    let mut tried = Vec::new();
    for method in methods() {
        let service = method.parent_service().full_name().to_owned();
        let path = format!("/{service}/{}", method.name());
        api.send("POST", &path, &[("Content-Type", "application/grpc")], b"\0\0\0\0\0")
            .await
            .is(Format::Xml, &ACTION_NOT_FOUND);
        if documented(method.name()) {
            continue;
        }
        for version in VERSIONS {
            for name in [method.name(), method.full_name(), &path] {
                let given = format!("Action={name}&Version={version}");
                api.get(&key, &given).await.is(Format::Json, &ACTION_NOT_FOUND);
            }
        }
        tried.push(method.name().to_owned());
    }
    for name in ["CreateAccount", "GetAccount", "UpdateAccount", "CreateAccessKey", "Lock"] {
        assert!(tried.contains(&name.to_owned()), "{name} was not tried: {tried:?}");
    }
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_invalid() {
    let api = Api::start().await;
    for version in
        ["2018-05-11", "2014-11-1", "2018-05-10 ", " 2018-05-10", "v1", "0", "20180510", "*"]
    {
        for (name, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let given = format!("Action=OpenCdnService&Version={version}&Format={name}");
            let query = query(&parameters(&given));
            api.send_get(&query).await.is(format, &INVALID_VERSION);
        }
    }
    for version in ["2018-05-11", "v1", "2014-11-1"] {
        api.post_unsigned_v3("OpenCdnService", version).await.is(Format::Json, &INVALID_VERSION);
    }
}

/// Every SDK sends both headers with V1, too. The server uses the parameters.
#[tokio::test]
async fn the_v3_headers_of_a_v1_request_are_ignored() {
    let api = Api::start().await;
    let key = api.account().await;
    let signed = api.sign(&key, "GET", api.common(&key, STATUS));
    let target = format!("/?{}", query(&signed));
    let headers = [("x-acs-action", "OpenCdnService"), ("x-acs-version", "2000-01-01")];
    let reply = api.send("GET", &target, &headers, b"").await;
    reply.says(Format::Json, STATUS_JSON);
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
}

/// The Java SDK repeats action and version in the query.
#[tokio::test]
async fn the_v1_parameters_of_a_v3_request_are_signed_and_ignored() {
    let api = Api::start().await;
    let key = api.account().await;
    let given = "Action=OpenCdnService&Version=2014-11-11&Format=XML&Timestamp=never";
    let draft = api.draft("DescribeUserCdnStatus", "2018-05-10", given).signed(&key);
    api.send_draft(&draft).await.says(Format::Json, STATUS_JSON);
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
}
