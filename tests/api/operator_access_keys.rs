//! `AccessKeyService`: the pairs of id and secret with which accounts sign requests.

use std::time::Duration;

use cdn_activation::proto::operator::v1 as operator;
use operator::AccessKey;
use sqlx::Connection;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::grpc::{assert_refusal, next_account_id};
use crate::support::rest::{Key, hex};
use crate::support::{Api, TOKEN, eventually};

const NO_KEY: (&str, u16, &str) = ("AccessKeyNotFound", 404, "There is no such access key.");
const DISABLED: (u16, &str, &str) =
    (400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.");
const STATUS_V3: (&str, &str) = ("DescribeUserCdnStatus", "2018-05-10");

async fn create(
    api: &Api,
    account_id: i64,
    policy: &str,
) -> Result<operator::CreateAccessKeyResponse, Status> {
    let request = operator::CreateAccessKeyRequest {
        account_id,
        policy: policy.to_owned(),
        ..Default::default()
    };
    Ok(api.access_keys().await.create_access_key(request).await?.into_inner())
}

async fn disable(api: &Api, id: &str) -> Result<AccessKey, Status> {
    let request =
        operator::DisableAccessKeyRequest { access_key_id: id.to_owned(), ..Default::default() };
    let reply = api.access_keys().await.disable_access_key(request).await?;
    Ok(reply.into_inner().access_key.expect("a key"))
}

async fn enable(api: &Api, id: &str) -> Result<AccessKey, Status> {
    let request =
        operator::EnableAccessKeyRequest { access_key_id: id.to_owned(), ..Default::default() };
    let reply = api.access_keys().await.enable_access_key(request).await?;
    Ok(reply.into_inner().access_key.expect("a key"))
}

/// Returns every row of every table as text.
async fn everything_stored(api: &Api) -> String {
    let mut connection = api.database.connect().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut connection)
    .await
    .expect("reads");
    assert!(tables.len() >= 10, "{tables:?}");
    let mut all = String::new();
    for table in tables {
        let statement = format!("SELECT t::text FROM {table} t");
        let statement = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(statement));
        for row in statement.fetch_all(&mut connection).await.expect("reads") {
            all.push_str(&row);
            all.push('\n');
        }
    }
    connection.close().await.expect("closed");
    all
}

#[tokio::test]
async fn a_new_key_works_at_once_with_either_signature() {
    let api = Api::start().await;
    let account_id = api.account().await.account_id;
    let created = create(&api, account_id, "").await.expect("created");
    let key = created.access_key.clone().expect("a key");
    let anything =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    assert_eq!((key.account_id, key.disabled, key.policy.as_str()), (account_id, false, anything));
    assert!(key.create_time.is_some() && key.create_time == key.update_time);
    assert_eq!((key.access_key_id.len(), &key.access_key_id[..4]), (24, "LTAI"));
    assert_eq!(created.access_key_secret.len(), 30);
    let key = Key { account_id, id: key.access_key_id, secret: created.access_key_secret };
    let (action, version) = STATUS_V3;
    api.post_v3(&key, action, version, "").await.succeeded();
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    let foreign = Key { secret: api.account().await.secret, ..key };
    assert_eq!(
        api.get(&foreign, "Action=OpenCdnService").await.text("Code"),
        "SignatureDoesNotMatch"
    );
}

#[tokio::test]
async fn a_secret_is_shown_once_and_stored_encrypted() {
    let api = Api::start().await;
    let key = api.account().await;
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    let disabled = disable(&api, &key.id).await.expect("disabled");
    let shown = format!("{disabled:?}{:?}", enable(&api, &key.id).await.expect("enabled"));
    let stored = everything_stored(&api).await;
    assert!(stored.contains(&key.id), "the scan has the row of the key");
    assert!(stored.contains(&hex(key.id.as_bytes())), "the scan has the bytes of the key's events");
    for plain in [key.secret.clone(), hex(key.secret.as_bytes()), TOKEN.to_owned()] {
        assert!(!shown.contains(&plain) && !stored.contains(&plain), "{plain}");
    }
}

#[tokio::test]
async fn a_key_may_call_what_its_policy_allows() {
    let api = Api::start().await;
    let account_id = api.account().await.account_id;
    let policy = r#"{"Version":"1","Statement":{"Effect":"Allow","Action":["cdn:Describe*"],"Resource":["*"]}}"#;
    let created = create(&api, account_id, policy).await.expect("created");
    let key = created.access_key.expect("a key");
    assert_eq!(key.policy, policy);
    let key = Key { account_id, id: key.access_key_id, secret: created.access_key_secret };
    api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
    let (action, version) = STATUS_V3;
    api.post_v3(&key, action, version, "").await.succeeded();
    let denied = "User not authorized to operate on the specified resource, or this API doesn't support RAM.";
    api.get(&key, "Action=OpenCdnService").await.refused(403, "Forbidden.RAM", denied);
    api.get(&key, "Action=DescribeUserDcdnStatus").await.refused(403, "Forbidden.RAM", denied);
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_is_refused() {
    let api = Api::start().await;
    let account_id = api.account().await.account_id;
    let keys = api.database.count("SELECT count(*) FROM access_keys").await;
    let long = "a".repeat(6145);
    let one = |elements: &str| format!(r#"{{"Version":"1","Statement":[{{{elements}}}]}}"#);
    let (deny, any) = (r#""Effect":"Deny","Action":"*""#, r#""Resource":"*""#);
    for (policy, wrong) in [
        (" ".to_owned(), "the policy cannot be read: EOF"),
        ("everything".to_owned(), "the policy cannot be read: expected value"),
        ("\0".to_owned(), "the policy cannot be read: expected value"),
        (r#"{"Statement":[]}"#.to_owned(), "the policy has no Version"),
        (r#"{"Version":"2","Statement":[]}"#.to_owned(), "Version of the policy is not \"1\""),
        (one(deny), "a statement of the policy has no Resource"),
        (
            one(&format!(r#"{deny},"Effect":"Allow",{any}"#)),
            "the policy cannot be read: \"Effect\" occurs twice",
        ),
        (one(&format!(r#"{deny},{any},"Condition":{{}}"#)), "Condition is not supported"),
        (one(&format!(r#"{deny},"NotResource":"*""#)), "NotResource is not supported"),
        (
            one(&format!(r#"{deny},"Resource":"acs:cdn:*:domain/a""#)),
            "\"acs:cdn:*:domain/a\" is not a Resource",
        ),
        (
            one(&format!(r#""Effect":"Deny","Action":"cdn:Open?",{any}"#)),
            "\"cdn:Open?\" is not an Action",
        ),
        (long, "the policy is longer than 6144 bytes"),
    ] {
        let status = create(&api, account_id, &policy).await.expect_err(&policy);
        let violations = status.get_details_bad_request().expect("details").field_violations;
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].field, "policy");
        assert!(violations[0].description.starts_with(wrong), "{policy}: {violations:?}");
    }
    assert_eq!(api.database.count("SELECT count(*) FROM access_keys").await, keys);
}

#[tokio::test]
async fn a_key_can_only_be_created_for_an_account_that_exists() {
    let api = Api::start().await;
    for account_id in [0, -1, i64::MIN] {
        let status = create(&api, account_id, "").await.expect_err("not an id");
        let message = "The account id is not a positive 64-bit number.";
        assert_refusal(&status, Code::InvalidArgument, "InvalidAccountId", 400, message);
    }
    let status = create(&api, next_account_id(), "").await.expect_err("unknown");
    let message = "There is no such account.";
    assert_refusal(&status, Code::NotFound, "AccountNotFound", 404, message);
    assert_eq!(api.database.count("SELECT count(*) FROM access_keys").await, 0);
}

#[tokio::test]
async fn the_first_request_after_disabling_is_refused_and_the_first_after_enabling_succeeds() {
    let api = Api::start().await;
    let other_replica = api.replica().await;
    let key = api.account().await;
    let (action, version) = STATUS_V3;
    for replica in [&api, &other_replica] {
        replica.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
    }
    for _ in 0..2 {
        let disabled = disable(&api, &key.id).await.expect("disabled");
        assert!(disabled.disabled);
        for replica in [&other_replica, &api] {
            let (status, code, message) = DISABLED;
            replica.get(&key, "Action=DescribeUserCdnStatus").await.refused(status, code, message);
            replica.post_v3(&key, action, version, "").await.refused(status, code, message);
        }
        let enabled = enable(&other_replica, &key.id).await.expect("enabled");
        assert!(!enabled.disabled);
        for replica in [&other_replica, &api] {
            replica.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
            replica.post_v3(&key, action, version, "").await.succeeded();
        }
    }
}

#[tokio::test]
async fn disabling_a_disabled_key_and_enabling_an_enabled_one_changes_nothing() {
    let api = Api::start().await;
    let key = api.account().await;
    let events = api.database.events_of(key.account_id).await.len();
    let enabled = enable(&api, &key.id).await.expect("enabled");
    assert_eq!(enabled.update_time, enabled.create_time, "nothing has changed");
    let first = disable(&api, &key.id).await.expect("disabled");
    assert_eq!(disable(&api, &key.id).await.expect("disabled"), first);
    assert_eq!(first.create_time, enabled.create_time);
    assert_eq!((first.account_id, first.policy), (key.account_id, enabled.policy));
    assert_eq!(api.database.events_of(key.account_id).await.len(), events + 1);
}

#[tokio::test]
async fn of_simultaneous_calls_that_disable_a_key_one_changes_it() {
    let api = Api::start().await;
    let key = api.account().await;
    let events = api.database.events_of(key.account_id).await.len();
    let calls = (0..32).map(|_| disable(&api, &key.id));
    for disabled in futures_util::future::join_all(calls).await {
        assert!(disabled.expect("disabled").disabled);
    }
    assert_eq!(api.database.events_of(key.account_id).await.len(), events + 1);
}

#[tokio::test]
async fn an_id_that_is_not_a_key_is_not_found() {
    let api = Api::start().await;
    let key = api.account().await;
    let (code, http, message) = NO_KEY;
    let with_nul = format!("{}\0", key.id);
    let lower_case = key.id.to_lowercase();
    for id in ["\0", &with_nul, &lower_case, "LTAInosuchkey", "'; --", "ключ"] {
        for status in [
            disable(&api, id).await.expect_err("unknown"),
            enable(&api, id).await.expect_err("unknown"),
        ] {
            assert_refusal(&status, Code::NotFound, code, http, message);
        }
    }
    api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
}

#[tokio::test]
async fn a_stored_policy_that_is_not_valid_any_more_denies_everything() {
    let api = Api::start().await;
    let key = api.account().await;
    let lax = r#"UPDATE access_keys SET policy = '{"Statement":[{"Effect":"Deny","Effect":"Allow","Action":"*"}]}', version = version + 1
        WHERE account_id = $1"#;
    api.database.execute_for(key.account_id, lax).await;
    let denied = "User not authorized to operate on the specified resource, or this API doesn't support RAM.";
    api.get(&key, "Action=OpenCdnService").await.refused(403, "Forbidden.RAM", denied);
    api.get(&key, "Action=DescribeUserCdnStatus").await.refused(403, "Forbidden.RAM", denied);
}

const TOO_MANY: (&str, u16, &str) =
    ("QuotaExceeded.AccessKey", 400, "The account has too many access keys: delete one first.");

async fn list(api: &Api, account_id: i64) -> Vec<AccessKey> {
    let request = operator::ListAccessKeysRequest { account_id, ..Default::default() };
    let listed = api.access_keys().await.list_access_keys(request).await.expect("listed");
    listed.into_inner().access_keys
}

#[tokio::test]
async fn the_11th_key_of_an_account_is_refused_and_deleting_one_makes_room() {
    let api = Api::start().await;
    let first = api.account().await;
    let account_id = first.account_id;
    for _ in 1..10 {
        create(&api, account_id, "").await.expect("created");
    }
    let (code, http, message) = TOO_MANY;
    for _ in 0..2 {
        let status = create(&api, account_id, "").await.expect_err("the 11th");
        assert_refusal(&status, Code::ResourceExhausted, code, http, message);
        api.account().await; // another account has room
        let delete = operator::DeleteAccessKeyRequest {
            access_key_id: list(&api, account_id).await[4].access_key_id.clone(),
            ..Default::default()
        };
        api.access_keys().await.delete_access_key(delete).await.expect("deleted");
        create(&api, account_id, "").await.expect("there is room for one");
    }
    // A disabled key takes up room, and a repeated request gets the key that it has created.
    disable(&api, &first.id).await.ok();
    let status = create(&api, account_id, "").await.expect_err("the 11th");
    assert_refusal(&status, Code::ResourceExhausted, code, http, message);
    assert_eq!(list(&api, account_id).await.len(), 10);
}

#[tokio::test]
async fn of_20_keys_created_at_once_10_are_created() {
    let api = Api::start().await;
    let replica = api.replica().await;
    for already in [0, 1, 9] {
        let account_id = api.account().await.account_id;
        for _ in 0..already {
            create(&api, account_id, "").await.expect("created");
        }
        let calls = (0..20).map(|number| {
            let api = if number % 2 == 0 { &api } else { &replica };
            create(api, account_id, "")
        });
        let outcomes = futures_util::future::join_all(calls).await;
        let created = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(created, 9 - already);
        for status in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            let (code, http, message) = TOO_MANY;
            assert_refusal(status, Code::ResourceExhausted, code, http, message);
        }
        assert_eq!(list(&api, account_id).await.len(), 10);
    }
}

#[tokio::test]
async fn a_repeated_creation_of_the_last_key_gets_that_key_and_no_refusal() {
    let api = Api::start().await;
    let account_id = api.account().await.account_id;
    for _ in 1..9 {
        create(&api, account_id, "").await.expect("created");
    }
    let request = operator::CreateAccessKeyRequest {
        account_id,
        request_id: cdn_activation::ids::new_id().to_string(),
        ..Default::default()
    };
    let calls = (0..6).map(|_| {
        let request = request.clone();
        async { api.access_keys().await.create_access_key(request).await }
    });
    let replies = futures_util::future::join_all(calls).await;
    let first = replies[0].as_ref().expect("created").get_ref();
    for reply in &replies {
        assert_eq!(reply.as_ref().expect("the same key").get_ref(), first);
    }
    assert_eq!(list(&api, account_id).await.len(), 10);
}

#[tokio::test]
async fn the_day_of_the_last_use_is_shown_and_is_written_once_a_day() {
    let api = Api::start().await;
    let key = api.account().await;
    let unused = api.key_of(key.account_id, "").await;
    let before = list(&api, key.account_id).await;
    assert!(before.iter().all(|key| key.last_used_date.is_empty()), "{before:?}");
    let written = async || -> String {
        sqlx::query_scalar("SELECT xmin::text FROM access_keys WHERE access_key_id = $1")
            .bind(&key.id)
            .fetch_one(&mut api.database.connect().await)
            .await
            .expect("reads")
    };
    let used_on = async |id: &str| {
        let keys = list(&api, key.account_id).await;
        keys.into_iter().find(|key| key.access_key_id == id).expect("listed").last_used_date
    };
    for days in [0, 1] {
        api.clock.run_wire_ahead(chrono::Duration::days(days));
        let today = api.clock.wire_now().format("%Y-%m-%d").to_string();
        api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
        eventually("the day is recorded", async || used_on(&key.id).await == today).await;
        let version = written().await;
        for _ in 0..3 {
            api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
        }
        tokio::time::sleep(Duration::from_secs(6)).await; // longer than the writer waits
        assert_eq!(written().await, version, "one write a day");
    }
    assert_eq!(used_on(&unused.id).await, "");
    let etag = |keys: &[AccessKey]| keys.iter().map(|key| key.etag.clone()).collect::<Vec<_>>();
    let after = list(&api, key.account_id).await;
    assert_eq!(etag(&after), etag(&before));
    // A refused request is no use.
    let wrong = Key { secret: key.secret.clone(), ..unused.clone() };
    let reply = api.get(&wrong, "Action=DescribeUserCdnStatus").await;
    assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
    api.stop().await; // which writes what is noted
}
