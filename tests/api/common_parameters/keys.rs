//! The access key must exist, and be enabled at the time of the request. An access key must not come
//! with a security token; temporary credentials have tests of their own.

use cdn_activation::proto::operator::v1::{DisableAccessKeyRequest, EnableAccessKeyRequest};

use super::{STATUS, STATUS_JSON};
use crate::support::Api;
use crate::support::drafts::DraftV3;
use crate::support::refusals::{Format, KEY_INACTIVE, KEY_NOT_FOUND, TOKEN_MISMATCH};
use crate::support::rest::{Key, Parameters, query};

impl Api {
    /// Disables a key as operators do.
    pub(super) async fn disable(&self, key: &Key) {
        let request =
            DisableAccessKeyRequest { access_key_id: key.id.clone(), ..Default::default() };
        self.access_keys().await.disable_access_key(request).await.expect("disabled");
    }

    async fn enable(&self, key: &Key) {
        let request =
            EnableAccessKeyRequest { access_key_id: key.id.clone(), ..Default::default() };
        self.access_keys().await.enable_access_key(request).await.expect("enabled");
    }
}

#[tokio::test]
async fn an_unknown_access_key_is_not_found() {
    let api = Api::start().await;
    let key = api.account().await;
    for id in [
        "nobody".to_owned(),
        key.id.to_lowercase(),
        key.id.to_uppercase(),
        format!("{} ", key.id),
        key.id[..key.id.len() - 1].to_owned(),
        format!("{}/20181115/cn-hangzhou/cdn/aliyun_v4_request", key.id),
        "'; DROP TABLE access_keys; --".to_owned(),
        "x".repeat(4000),
    ] {
        let other = Key { id, ..key.clone() };
        api.refuses(&other, |_| {}, &KEY_NOT_FOUND).await;
    }
    for id in ["nobody".to_owned(), key.id.to_lowercase()] {
        let other = Key { id, ..key.clone() };
        api.refuses_v3(|draft| draft.signed(&other), &KEY_NOT_FOUND).await;
    }
    api.get(&key, STATUS).await.says(Format::Json, STATUS_JSON);
}

#[tokio::test]
async fn the_first_request_after_disabling_is_refused_on_every_replica() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let key = api.account().await;
    let other = api.key_of(key.account_id, "").await;
    for _ in 0..3 {
        for api in [&api, &replica] {
            api.get(&key, STATUS).await.succeeded();
            api.send_draft(&api.status_draft().signed(&key)).await.succeeded();
        }
        api.disable(&key).await;
        replica.get(&key, STATUS).await.is(Format::Json, &KEY_INACTIVE);
        api.get(&key, STATUS).await.is(Format::Json, &KEY_INACTIVE);
        for api in [&api, &replica] {
            api.refuses(&key, |_| {}, &KEY_INACTIVE).await;
            api.refuses_v3(|draft| draft.signed(&key), &KEY_INACTIVE).await;
            api.get(&other, STATUS).await.succeeded(); // another key of the same account
        }
        replica.enable(&key).await;
    }
}

#[tokio::test]
async fn a_request_that_arrives_after_disabling_does_not_change_anything() {
    let api = Api::start().await;
    let key = api.account().await;
    api.disable(&key).await;
    api.get(&key, "Action=OpenCdnService").await.is(Format::Json, &KEY_INACTIVE);
    api.post_v3(&key, "OpenCdnService", "2018-05-10", "").await.is(Format::Json, &KEY_INACTIVE);
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
}

#[tokio::test]
async fn a_security_token_with_an_access_key_is_refused() {
    let api = Api::start().await;
    let key = api.account().await;
    let token = "CAISexample+token/with==specials";
    let with_token = |parameters: &mut Parameters| {
        parameters.insert("SecurityToken".to_owned(), token.to_owned());
    };
    api.refuses(&key, with_token, &TOKEN_MISMATCH).await;
    let prepare = |draft: DraftV3| {
        draft
            .with("x-acs-accesskey-id", &key.id)
            .with("x-acs-security-token", token)
            .with("x-acs-credentials-provider", "static_sts")
            .signed(&key)
    };
    api.refuses_v3(prepare, &TOKEN_MISMATCH).await;
}

#[tokio::test]
async fn an_empty_security_token_counts_as_absent() {
    let api = Api::start().await;
    let key = api.account().await;
    let reply = api.get(&key, "Action=DescribeUserCdnStatus&SecurityToken=").await;
    reply.says(Format::Json, STATUS_JSON);
    let draft = api.status_draft().with("x-acs-security-token", "").signed(&key);
    api.send_draft(&draft).await.says(Format::Json, STATUS_JSON);
}

#[tokio::test]
async fn a_key_acts_for_its_own_account_whichever_account_the_request_names() {
    let api = Api::start().await;
    let key = api.account().await;
    let other = api.account().await;
    let given = format!(
        "Action=OpenCdnService&OwnerId={0}&OwnerAccount={0}&AccountId={0}&x-account-id={0}",
        other.account_id
    );
    let signed = api.sign(&key, "GET", api.common(&key, &given));
    let target = format!("/?{}", query(&signed));
    let account = other.account_id.to_string();
    let headers = [("x-account-id", account.as_str()), ("x-acs-owner-id", account.as_str())];
    api.send("GET", &target, &headers, b"").await.succeeded();
    let opened: Vec<(i64,)> = sqlx::query_as("SELECT account_id FROM instances")
        .fetch_all(&mut api.database.connect().await)
        .await
        .expect("reads");
    assert_eq!(opened, [(key.account_id,)]);
}
