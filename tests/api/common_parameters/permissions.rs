//! What an access key may do: its policy, in the terms of RAM (docs/behaviour.md, "Policies").

use super::{STATUS, STATUS_JSON};
use crate::support::Api;
use crate::support::refusals::{FORBIDDEN, Format};

#[tokio::test]
async fn an_action_that_the_policy_does_not_allow_is_forbidden() {
    let api = Api::start().await;
    let describe = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["cdn:Describe*","dcdn:Describe*"],"Resource":"*"}]}"#;
    let key = api.account_and_policy(|_| {}, describe).await;
    for given in [
        "Action=OpenCdnService",
        "Action=OpenCdnService&InternetChargeType=PayByMoon", // the policy is checked first
        "Action=OpenDcdnService",
        "Action=ModifyCdnService",
        "Action=OpenCdnService&Version=2014-11-11",
    ] {
        api.get(&key, given).await.is(Format::Json, &FORBIDDEN);
        api.post(&key, given).await.is(Format::Json, &FORBIDDEN);
        api.get(&key, &format!("{given}&Format=XML")).await.is(Format::Xml, &FORBIDDEN);
    }
    api.post_v3(&key, "OpenCdnService", "2018-05-10", "").await.is(Format::Json, &FORBIDDEN);
    let xml = api.draft("OpenCdnService", "2018-05-10", "").with("accept", "text/xml");
    api.send_draft(&xml.signed(&key)).await.is(Format::Xml, &FORBIDDEN);
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);

    api.get(&key, STATUS).await.says(Format::Json, STATUS_JSON);
    api.get(&key, "Action=DescribeUserDcdnStatus").await.says(Format::Json, STATUS_JSON);
}

/// A policy, an action, and whether the policy allows the action.
const POLICIES: &[(&str, &str, bool)] = &[
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        true,
    ),
    (
        r#"{"Version":"1","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        "DescribeUserCdnStatus",
        true,
    ),
    (r#"{"Version":"1","Statement":[]}"#, "DescribeUserCdnStatus", false),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:DescribeUserCdnStatus","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        true,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:DescribeUserCdnStatus","Resource":"*"}]}"#,
        "DescribeUserDcdnStatus",
        false,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:DescribeUserCdn","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        false,
    ),
    // Letter case is ignored.
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"CDN:describeusercdnstatus","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        true,
    ),
    // A wildcard can be anywhere in a pattern, and `cdn` does not match `dcdn`.
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        true,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:*","Resource":"*"}]}"#,
        "DescribeUserDcdnStatus",
        false,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"dcdn:*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        false,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*:*Status","Resource":"*"}]}"#,
        "DescribeUserDcdnStatus",
        true,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*dcdn:*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        false,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:Des*User*tatus","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        true,
    ),
    // A denial has precedence, wherever it is in the policy.
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"cdn:*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        false,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"*:DescribeUser*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        false,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"cdn:*","Resource":"*"}]}"#,
        "DescribeUserDcdnStatus",
        true,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"cdn:Open*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        false,
    ),
];

#[tokio::test]
async fn policies_allow_and_deny_by_pattern() {
    let api = Api::start().await;
    for (policy, action, allowed) in POLICIES {
        let key = api.account_and_policy(|_| {}, policy).await;
        let version = if action.contains("Dcdn") { "2018-01-15" } else { "2018-05-10" };
        for reply in [
            api.get(&key, &format!("Action={action}")).await,
            api.post_v3(&key, action, version, "").await,
        ] {
            if *allowed {
                reply.says(Format::Json, STATUS_JSON);
            } else {
                reply.is(Format::Json, &FORBIDDEN);
            }
        }
    }
}

#[tokio::test]
async fn a_policy_names_every_action_by_its_product_and_its_name() {
    let api = Api::start().await;
    for (product, action) in [
        ("cdn", "OpenCdnService"),
        ("cdn", "DescribeCdnService"),
        ("cdn", "ModifyCdnService"),
        ("cdn", "DescribeUserCdnStatus"),
        ("cdn", "DescribeCdnUserBillType"),
        ("dcdn", "OpenDcdnService"),
        ("dcdn", "DescribeDcdnService"),
        ("dcdn", "DescribeUserDcdnStatus"),
        ("dcdn", "DescribeDcdnUserBillType"),
    ] {
        let only = |effect: &str| {
            format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"{effect}","Action":"{product}:{action}","Resource":"*"}},
                {{"Effect":"Allow","Action":"other:*","Resource":"*"}}]}}"#
            )
        };
        let given = format!("Action={action}");
        let allowed = api.account_and_policy(|_| {}, &only("Allow")).await;
        let code = api.get(&allowed, &given).await.json()["Code"].clone();
        assert_ne!(code, "Forbidden.RAM", "{action}");
        let everything_else = only("Deny").replace("other:*", "*");
        let denied = api.account_and_policy(|_| {}, &everything_else).await;
        api.get(&denied, &given).await.is(Format::Json, &FORBIDDEN);
    }
}
