//! `IssueSecurityToken`, and requests that are signed with what it issues: the id, the secret and
//! the token of a temporary credential.

use cdn_activation::proto::operator::v1 as operator;
use chrono::DateTime;
use prost_types::Duration;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::Api;
use crate::support::denials::Deny;
use crate::support::grpc::{assert_field_is_wrong, assert_refusal};
use crate::support::process::run;
use crate::support::refusals::{
    Format, KEY_INACTIVE, KEY_NOT_FOUND, NONCE_USED, Refusal, TOKEN_EXPIRED, TOKEN_MALFORMED,
    TOKEN_MISMATCH, missing,
};
use crate::support::rest::{Key, Parameters, Reply, nonce, query};
use crate::support::scratch::Scratch;

const STATUS: &str = "Action=DescribeUserCdnStatus";
const DESCRIBE_ONLY: &str =
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:Describe*","Resource":"*"}]}"#;
const OPEN_ONLY: &str =
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:Open*","Resource":"*"}]}"#;

/// A credential as it was issued.
#[derive(Clone)]
pub struct Credential {
    /// The key with which it signs.
    pub key: Key,
    /// The security token.
    pub token: String,
    expires_at: i64,
}

impl Api {
    async fn try_to_issue(
        &self,
        parent: &Key,
        seconds: Option<i64>,
        policy: &str,
    ) -> Result<Credential, Status> {
        let request = operator::IssueSecurityTokenRequest {
            access_key_id: parent.id.clone(),
            duration: seconds.map(|seconds| Duration { seconds, nanos: 0 }),
            policy: policy.to_owned(),
        };
        let issued = self.access_keys().await.issue_security_token(request).await?.into_inner();
        Ok(Credential {
            key: Key {
                account_id: parent.account_id,
                id: issued.access_key_id,
                secret: issued.access_key_secret,
            },
            token: issued.security_token,
            expires_at: issued.expire_time.expect("an instant").seconds,
        })
    }

    /// Issues a credential for a key, with the defaults.
    pub async fn issue(&self, parent: &Key) -> Credential {
        self.try_to_issue(parent, None, "").await.expect("issued")
    }

    /// Sends a request with signature V1, signed with a key and with a token.
    pub async fn with_token(&self, key: &Key, token: &str, given: &str) -> Reply {
        let mut parameters = self.common(key, given);
        parameters.insert("SecurityToken".to_owned(), token.to_owned());
        self.send_get(&query(&self.sign(key, "GET", parameters))).await
    }

    /// Sends the status action with signature V3, as the Tea SDKs do.
    async fn with_token_v3(&self, key: &Key, token: &str) -> Reply {
        let headers = [
            ("x-acs-action", "DescribeUserCdnStatus"),
            ("x-acs-version", "2018-05-10"),
            ("x-acs-accesskey-id", &key.id),
            ("x-acs-security-token", token),
            ("x-acs-credentials-provider", "static_sts"),
        ];
        let headers = self.sign_v3(key, "POST", &Parameters::new(), &headers, b"");
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.send("POST", "/?", &headers, b"").await
    }

    /// Checks that both signatures get this refusal.
    async fn refuses_token(&self, key: &Key, token: &str, refusal: &Refusal) {
        self.with_token(key, token, STATUS).await.is(Format::Json, refusal);
        self.with_token_v3(key, token).await.is(Format::Json, refusal);
    }

    async fn change_key(&self, key: &Key, disabled: bool) {
        let mut keys = self.access_keys().await;
        let access_key_id = key.id.clone();
        if disabled {
            let request = operator::DisableAccessKeyRequest { access_key_id, ..Default::default() };
            keys.disable_access_key(request).await.expect("disabled");
        } else {
            let request = operator::EnableAccessKeyRequest { access_key_id, ..Default::default() };
            keys.enable_access_key(request).await.expect("enabled");
        }
    }
}

#[tokio::test]
async fn a_temporary_credential_signs_for_the_account_of_its_key_on_every_replica() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let parent = api.account().await;
    let issued_at = api.clock.wire_now().timestamp();
    let issued = api.issue(&parent).await;
    assert!(issued.key.id.starts_with("STS.") && issued.key.id.len() == 28, "{}", issued.key.id);
    assert!((3590..=3610).contains(&(issued.expires_at - issued_at)), "an hour by default");
    for api in [&api, &replica, &api] {
        api.with_token(&issued.key, &issued.token, STATUS).await.succeeded();
        api.with_token_v3(&issued.key, &issued.token).await.succeeded();
    }
    api.with_token(&issued.key, &issued.token, "Action=OpenCdnService").await.succeeded();
    let opened = "SELECT count(*) FROM instances WHERE account_id = $1";
    let opened: i64 = sqlx::query_scalar(opened)
        .bind(parent.account_id)
        .fetch_one(&mut api.database.connect().await)
        .await
        .expect("reads");
    assert_eq!(opened, 1);
    let wrong = Key { secret: parent.secret.clone(), ..issued.key.clone() };
    let reply = api.with_token(&wrong, &issued.token, STATUS).await;
    assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
    // Nothing is stored, and the key itself goes on as before.
    assert_eq!(api.database.count("SELECT count(*) FROM access_keys").await, 1);
    api.get(&parent, STATUS).await.succeeded();
}

#[tokio::test]
async fn a_token_that_is_absent_wrong_or_of_another_credential_is_refused() {
    let api = Api::start().await;
    let parent = api.account().await;
    let (one, other) = (api.issue(&parent).await, api.issue(&parent).await);
    api.get(&one.key, STATUS).await.is(Format::Json, &missing("SecurityToken"));
    api.post_v3(&one.key, "DescribeUserCdnStatus", "2018-05-10", "")
        .await
        .is(Format::Json, &missing("SecurityToken"));
    api.refuses_token(&one.key, &other.token, &TOKEN_MISMATCH).await;
    api.refuses_token(&parent, &one.token, &TOKEN_MISMATCH).await;
    let mut tampered = one.token.clone().into_bytes();
    tampered[30] = if tampered[30] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).expect("ASCII");
    for wrong in [
        "token",
        "CAISexample+token/with==specials",
        &tampered,
        &one.token[..one.token.len() - 4],
        &format!("{}AAAA", one.token),
        &"A".repeat(5000),
    ] {
        api.refuses_token(&one.key, wrong, &TOKEN_MALFORMED).await;
    }
    // No key has such an id, so it says nothing about keys.
    let nobody = Key { id: "STS.nobody".to_owned(), ..one.key.clone() };
    api.refuses_token(&nobody, "token", &TOKEN_MALFORMED).await;
    api.refuses_token(&nobody, &one.token, &TOKEN_MISMATCH).await;
    let foreign = Api::start_with(|_| {}).await;
    foreign.refuses_token(&one.key, &one.token, &KEY_NOT_FOUND).await;
    api.with_token(&one.key, &one.token, STATUS).await.succeeded();
}

#[tokio::test]
async fn disabling_or_deleting_the_key_ends_its_credentials_at_once_on_every_replica() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let parent = api.account().await;
    let issued = api.issue(&parent).await;
    for _ in 0..2 {
        for api in [&api, &replica] {
            api.with_token(&issued.key, &issued.token, STATUS).await.succeeded();
        }
        api.change_key(&parent, true).await;
        replica.refuses_token(&issued.key, &issued.token, &KEY_INACTIVE).await;
        api.refuses_token(&issued.key, &issued.token, &KEY_INACTIVE).await;
        replica.change_key(&parent, false).await;
    }
    let delete =
        operator::DeleteAccessKeyRequest { access_key_id: parent.id.clone(), ..Default::default() };
    api.access_keys().await.delete_access_key(delete).await.expect("deleted");
    replica.refuses_token(&issued.key, &issued.token, &KEY_NOT_FOUND).await;
    api.refuses_token(&issued.key, &issued.token, &KEY_NOT_FOUND).await;
}

#[tokio::test]
async fn a_credential_is_refused_from_its_expiry_on() {
    let api = Api::start().await;
    let parent = api.account().await;
    let issued = api.try_to_issue(&parent, Some(900), "").await.expect("issued");
    for ahead in [880, 890] {
        api.clock.run_wire_ahead(chrono::Duration::seconds(ahead));
        api.with_token(&issued.key, &issued.token, STATUS).await.succeeded();
    }
    api.clock.run_wire_ahead(chrono::Duration::seconds(901));
    api.refuses_token(&issued.key, &issued.token, &TOKEN_EXPIRED).await;
    // A disabled key is reported before the expiry, and the expiry before the timestamp.
    let late = format!("{STATUS}&Timestamp=2020-01-01T00:00:00Z");
    api.with_token(&issued.key, &issued.token, &late).await.is(Format::Json, &TOKEN_EXPIRED);
    api.change_key(&parent, true).await;
    api.refuses_token(&issued.key, &issued.token, &KEY_INACTIVE).await;
}

#[tokio::test]
async fn a_session_policy_narrows_what_the_key_may_do_and_never_widens_it() {
    let api = Api::start().await;
    let able = api.account().await;
    let narrow = api.try_to_issue(&able, None, DESCRIBE_ONLY).await.expect("issued");
    api.with_token(&narrow.key, &narrow.token, STATUS).await.succeeded();
    let (open, name) = ("Action=OpenCdnService", "cdn:OpenCdnService");
    let by_session = ("AssumedRoleUser", "SessionPolicy");
    let by_key = ("AssumedRoleUser", "AccountLevelIdentityBasedPolicy");
    let reply = api.with_token(&narrow.key, &narrow.token, open).await;
    reply.is_denied_to(by_session, &api, Format::Json, &narrow.key, name, Deny::Implicit);
    let reader = api.key_of(able.account_id, DESCRIBE_ONLY).await;
    let wide = api.try_to_issue(&reader, None, OPEN_ONLY).await.expect("issued");
    let reply = api.with_token(&wide.key, &wide.token, open).await;
    reply.is_denied_to(by_key, &api, Format::Json, &wide.key, name, Deny::Implicit);
    let reply = api.with_token(&wide.key, &wide.token, STATUS).await;
    let name = "cdn:DescribeUserCdnStatus";
    reply.is_denied_to(by_session, &api, Format::Json, &wide.key, name, Deny::Implicit);
    let both = api.try_to_issue(&able, None, OPEN_ONLY).await.expect("issued");
    api.with_token(&both.key, &both.token, open).await.succeeded();
}

#[tokio::test]
async fn a_nonce_belongs_to_the_credential() {
    let api = Api::start().await;
    let parent = api.account().await;
    let (one, other) = (api.issue(&parent).await, api.issue(&parent).await);
    let given = format!("{STATUS}&SignatureNonce={}", nonce());
    api.with_token(&one.key, &one.token, &given).await.succeeded();
    api.with_token(&one.key, &one.token, &given).await.is(Format::Json, &NONCE_USED);
    api.with_token(&other.key, &other.token, &given).await.succeeded();
    api.get(&parent, &given).await.succeeded();
}

#[tokio::test]
async fn the_issue_of_a_credential_has_one_record_with_its_end_and_its_session_policy() {
    let api = Api::start().await;
    let parent = api.account().await;
    let issued = [
        api.issue(&parent).await,
        api.try_to_issue(&parent, Some(900), DESCRIBE_ONLY).await.expect("issued"),
    ];
    let records = &api.database.audit_records(parent.account_id).await[2..]; // account, key
    assert_eq!(records.len(), 2, "{records:#?}");
    let policies = [Value::Null, serde_json::from_str(DESCRIBE_ONLY).expect("JSON")];
    for ((record, issued), policy) in records.iter().zip(&issued).zip(policies) {
        let end = DateTime::from_timestamp(issued.expires_at, 0).expect("an instant");
        let after = json!({
            "access_key_id": issued.key.id,
            "expire_time": end.format("%FT%TZ").to_string(),
            "policy": policy,
        });
        assert_eq!((&record.before, &record.after), (&None, &Some(after)));
        let said = [&*record.principal, &record.action, &record.resource, &record.result];
        assert_eq!(said, ["service:tests", "IssueSecurityToken", &parent.id, "OK"]);
        let shown = format!("{record:?}");
        assert!(!shown.contains(&issued.token) && !shown.contains(&issued.key.secret), "{shown}");
    }
}

#[tokio::test]
async fn a_credential_lives_15_minutes_to_12_hours_and_its_policy_has_at_most_2_kib() {
    let api = Api::start().await;
    let parent = api.account().await;
    let lifetime = "is not between 15 minutes and 12 hours";
    for seconds in [899, 0, -900, 43_201, i64::MAX, i64::MIN] {
        let status = api.try_to_issue(&parent, Some(seconds), "").await.err().expect("refused");
        assert_field_is_wrong(&status, "duration", lifetime);
    }
    let request = operator::IssueSecurityTokenRequest {
        access_key_id: parent.id.clone(),
        duration: Some(Duration { seconds: 900, nanos: 1 }),
        policy: String::new(),
    };
    let status =
        api.access_keys().await.issue_security_token(request).await.expect_err("a fraction");
    assert_field_is_wrong(&status, "duration", "is not a whole number of seconds");
    let padded =
        |length: usize| format!("{DESCRIBE_ONLY}{}", " ".repeat(length - DESCRIBE_ONLY.len()));
    let status = api.try_to_issue(&parent, None, &padded(2049)).await.err().expect("refused");
    let too_long = "the session policy is longer than 2048 bytes";
    assert_field_is_wrong(&status, "policy", too_long);
    for seconds in [900, 43_200] {
        let issued = api.try_to_issue(&parent, Some(seconds), &padded(2048)).await.expect("issued");
        api.with_token(&issued.key, &issued.token, STATUS).await.succeeded();
        api.with_token_v3(&issued.key, &issued.token).await.succeeded();
    }
    let status = api.try_to_issue(&parent, None, "everything").await.err().expect("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_credential_is_issued_only_for_a_key_that_exists() {
    let api = Api::start().await;
    let parent = api.account().await;
    let issued = api.issue(&parent).await;
    for id in ["LTAInosuchkey", "\0", &issued.key.id] {
        let nobody = Key { id: id.to_owned(), ..parent.clone() };
        let status = api.try_to_issue(&nobody, None, "").await.err().expect("unknown");
        let message = "There is no such access key.";
        assert_refusal(&status, Code::NotFound, "AccessKeyNotFound", 404, message);
    }
    // A credential of a disabled key works when the key is enabled again.
    api.change_key(&parent, true).await;
    let issued = api.issue(&parent).await;
    api.refuses_token(&issued.key, &issued.token, &KEY_INACTIVE).await;
    api.change_key(&parent, false).await;
    api.with_token(&issued.key, &issued.token, STATUS).await.succeeded();
}

#[tokio::test]
async fn the_command_call_signs_with_a_temporary_credential() {
    let (api, scratch) = (Api::start().await, Scratch::new());
    let parent = api.account().await;
    let issued = api.issue(&parent).await;
    let file = scratch.file("token", &format!("{}\n", issued.token));
    let endpoint = format!("http://{}", api.addresses.rest);
    for flags in [&[][..], &["--v3"], &["--security-token-file", &file]] {
        let mut variables = vec![
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", issued.key.id.as_str()),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &issued.key.secret),
        ];
        if flags.len() < 2 {
            variables.push(("ALIBABA_CLOUD_SECURITY_TOKEN", &issued.token));
        }
        let arguments = ["call", "DescribeUserCdnStatus", "--endpoint", &endpoint];
        let ended = run([&arguments[..], flags].concat(), &variables).await;
        assert_eq!(ended.code, Some(0), "{flags:?}: {ended:?}");
    }
    let variables = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", issued.key.id.as_str()),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &issued.key.secret),
        ("ALIBABA_CLOUD_SECURITY_TOKEN", ""),
    ];
    let ended = run(["call", "DescribeUserCdnStatus", "--endpoint", &endpoint], &variables).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("\"Code\":\"MissingSecurityToken\""), "{ended:?}");
}
