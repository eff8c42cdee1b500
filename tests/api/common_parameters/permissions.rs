//! What an access key may do: its policy, in the terms of RAM (docs/behaviour.md, "Policies").

use std::time::{Duration, Instant};

use cdn_activation::domain::AccountId;
use cdn_activation::domain::policy::{Permission, Policy};
use cdn_activation::proto::operator::v1::IssueSecurityTokenRequest;

use super::{STATUS, STATUS_JSON};
use crate::support::Api;
use crate::support::denials::Deny::{self, Explicit, Implicit};
use crate::support::refusals::Format;
use crate::support::rest::{Key, Reply};

/// A policy that allows everything but the opening of products.
const NO_OPENING: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*:Open*","Resource":"*"}]}"#;

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
        let name = given["Action=".len()..].split('&').next().unwrap_or_default();
        let action = format!("{}:{name}", if name.contains("Dcdn") { "dcdn" } else { "cdn" });
        let is_denied = |format, reply: &Reply| {
            reply.is_denied(&api, format, &key, &action, Implicit);
        };
        is_denied(Format::Json, &api.get(&key, given).await);
        is_denied(Format::Json, &api.post(&key, given).await);
        is_denied(Format::Xml, &api.get(&key, &format!("{given}&Format=XML")).await);
    }
    for (policy, deny) in [(describe, Implicit), (NO_OPENING, Explicit)] {
        let key = api.key_of(key.account_id, policy).await;
        let is_denied = |format, reply: &Reply| {
            reply.is_denied(&api, format, &key, "cdn:OpenCdnService", deny);
        };
        is_denied(Format::Json, &api.get(&key, "Action=OpenCdnService").await);
        is_denied(Format::Xml, &api.get(&key, "Action=OpenCdnService&Format=XML").await);
        is_denied(Format::Json, &api.post_v3(&key, "OpenCdnService", "2018-05-10", "").await);
        let xml = api.draft("OpenCdnService", "2018-05-10", "").with("accept", "text/xml");
        is_denied(Format::Xml, &api.send_draft(&xml.signed(&key)).await);
    }
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);

    api.get(&key, STATUS).await.says(Format::Json, STATUS_JSON);
    api.get(&key, "Action=DescribeUserDcdnStatus").await.says(Format::Json, STATUS_JSON);
}

/// A policy, an action, and whether the policy allows the action: `None`, or how it is denied.
/// `ACCOUNT` stands for the account of the key.
const POLICIES: &[(&str, &str, Option<Deny>)] = &[
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        None,
    ),
    (
        r#"{"Version":"1","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        "DescribeUserCdnStatus",
        None,
    ),
    (r#"{"Version":"1","Statement":[]}"#, "DescribeUserCdnStatus", Some(Implicit)),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:DescribeUserCdnStatus","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        None,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:DescribeUserCdnStatus","Resource":"*"}]}"#,
        "DescribeUserDcdnStatus",
        Some(Implicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:DescribeUserCdn","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        Some(Implicit),
    ),
    // Letter case is ignored.
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"CDN:describeusercdnstatus","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        None,
    ),
    // A wildcard can be anywhere in a pattern, and `cdn` does not match `dcdn`.
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        None,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:*","Resource":"*"}]}"#,
        "DescribeUserDcdnStatus",
        Some(Implicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"dcdn:*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        Some(Implicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*:*Status","Resource":"*"}]}"#,
        "DescribeUserDcdnStatus",
        None,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*dcdn:*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        Some(Implicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:Des*User*tatus","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        None,
    ),
    // A denial has precedence, wherever it is in the policy.
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"cdn:*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        Some(Explicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"*:DescribeUser*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        Some(Explicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"cdn:*","Resource":"*"}]}"#,
        "DescribeUserDcdnStatus",
        None,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"cdn:Open*","Resource":"*"}]}"#,
        "DescribeUserCdnStatus",
        Some(Implicit),
    ),
    // A resource is of a product and an account.
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"acs:cdn:*:ACCOUNT:*"}]}"#,
        "DescribeUserCdnStatus",
        None,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"acs:cdn:*:ACCOUNT:*"}]}"#,
        "DescribeUserDcdnStatus",
        Some(Implicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":["acs:oss:*:*:*","acs:*cdn:*:*:*"]}]}"#,
        "DescribeUserDcdnStatus",
        None,
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"acs:cdn:*:1:*"}]}"#,
        "DescribeUserCdnStatus",
        Some(Implicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"acs:*:*:ACCOUNT:*"}]}"#,
        "DescribeUserCdnStatus",
        Some(Explicit),
    ),
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"acs:*:*:1:*"}]}"#,
        "DescribeUserCdnStatus",
        None,
    ),
    // An action is about all regions and all that the account has.
    (
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":["acs:cdn:cn-hangzhou:ACCOUNT:*","acs:cdn:*:ACCOUNT:domain/example.com"]}]}"#,
        "DescribeUserCdnStatus",
        Some(Implicit),
    ),
];

#[tokio::test]
async fn policies_allow_and_deny_by_pattern() {
    let api = Api::start().await;
    for (policy, action, denied) in POLICIES {
        let account = api.account().await.account_id;
        let key = api.key_of(account, &policy.replace("ACCOUNT", &account.to_string())).await;
        let product = if action.contains("Dcdn") { "dcdn" } else { "cdn" };
        let version = if action.contains("Dcdn") { "2018-01-15" } else { "2018-05-10" };
        for reply in [
            api.get(&key, &format!("Action={action}")).await,
            api.post_v3(&key, action, version, "").await,
        ] {
            if let Some(deny) = denied {
                let action = format!("{product}:{action}");
                reply.is_denied(&api, Format::Json, &key, &action, *deny);
            } else {
                reply.says(Format::Json, STATUS_JSON);
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
        let action = format!("{product}:{action}");
        api.get(&denied, &given).await.is_denied(&api, Format::Json, &denied, &action, Explicit);
    }
}

/// Returns a temporary credential of a key and its security token.
async fn issue(api: &Api, parent: &Key, policy: &str) -> (Key, String) {
    let request = IssueSecurityTokenRequest {
        access_key_id: parent.id.clone(),
        policy: policy.to_owned(),
        ..Default::default()
    };
    let issued = api.access_keys().await.issue_security_token(request).await.expect("issued");
    let issued = issued.into_inner();
    let (id, secret) = (issued.access_key_id, issued.access_key_secret);
    (Key { account_id: parent.account_id, id, secret }, issued.security_token)
}

#[tokio::test]
async fn a_temporary_credential_may_do_what_both_policies_allow() {
    const KEY: (&str, &str) = ("AssumedRoleUser", "AccountLevelIdentityBasedPolicy");
    const SESSION: (&str, &str) = ("AssumedRoleUser", "SessionPolicy");
    let api = Api::start().await;
    let everything = api.account().await;
    let describe =
        r#"{"Version":"1","Statement":{"Effect":"Allow","Action":"*:Describe*","Resource":"*"}}"#;
    let describing = api.key_of(everything.account_id, describe).await;
    let open = "cdn:OpenCdnService";
    for (parent, session, types, deny) in [
        (&everything, describe, SESSION, Implicit),
        (&everything, NO_OPENING, SESSION, Explicit),
        (&describing, "", KEY, Implicit),
        (&describing, NO_OPENING, KEY, Implicit), // the policy of the key is looked at first
    ] {
        let (key, token) = issue(&api, parent, session).await;
        let given = format!("Action=OpenCdnService&SecurityToken={token}");
        let reply = api.get(&key, &given).await;
        reply.is_denied_to(types, &api, Format::Json, &key, open, deny);
        let draft = api.draft("OpenCdnService", "2018-05-10", "").with("accept", "text/xml");
        let draft = draft.with("x-acs-security-token", &token);
        let reply = api.send_draft(&draft.signed(&key)).await;
        reply.is_denied_to(types, &api, Format::Xml, &key, open, deny);
        let given = format!("{STATUS}&SecurityToken={token}");
        api.get(&key, &given).await.says(Format::Json, STATUS_JSON);
    }
}

/// A matcher that tries every place of every part would need more than 10^12 comparisons for the
/// first of these policies.
#[test]
fn the_cost_of_a_decision_is_bounded_by_the_length_of_the_document() {
    let policy = |actions: &str, resources: &str| {
        let statement = format!(r#""Effect":"Allow","Action":{actions},"Resource":{resources}"#);
        let document = format!(r#"{{"Version":"1","Statement":{{{statement}}}}}"#);
        Policy::parse(&document).expect("short enough")
    };
    let all = r#""*""#;
    let accounts = vec![r#""acs:*:*:*1*1*1*5:*""#; 270].join(",");
    let hostile = [
        policy(&format!(r#""cdn:*{}x""#, "a*".repeat(3000)), all),
        policy(&format!(r#""cdn:{}x""#, "*".repeat(6000)), all),
        policy(&format!(r#""cdn:*{}*""#, "a".repeat(6000)), all),
        policy(&format!("[{}]", vec![r#""*a*a:*a*x""#; 450].join(",")), all),
        policy(all, &format!("[{accounts}]")),
    ];
    let action = format!("cdn:{}", "a".repeat(60));
    let account = AccountId::new(1_111_111_111_111_111_111).expect("positive");
    let started = Instant::now();
    for policy in &hostile {
        for _ in 0..20 {
            assert_eq!(policy.decide(&action, account), Permission::DeniedImplicitly);
        }
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
