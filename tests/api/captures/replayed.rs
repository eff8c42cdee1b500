//! Sends every capture again as it was, to a server whose clocks show the time at which the
//! capture was signed.

use cdn_activation::domain::{Time, time};
use chrono::Duration;
use sqlx::PgConnection;

use super::expected::{actual, answer_of, expected, opened_types, refused_before_the_action};
use crate::support::Api;
use crate::support::captures::{Capture, captures};
use crate::support::refusals::{
    NONCE_USED, TIMESTAMP_EXPIRED, signature_v1_does_not_match, signature_v3_does_not_match,
};
use crate::support::rest::{Key, Reply};

const ACCOUNT: i64 = 1_000_000_000_000_001;

/// Starts a server that has the key of the captures with this secret.
async fn server(secret: &str) -> (Api, Key) {
    let api = Api::start().await;
    api.account_with(|account| account.account_id = ACCOUNT).await;
    let key = api.store_key(ACCOUNT, "testid", secret).await;
    (api, key)
}

fn signed_at(capture: &Capture) -> Time {
    time::parse_signed(&capture.timestamp()).expect("an instant")
}

/// Sends a capture this much later than it was signed.
async fn replay(api: &Api, capture: &Capture, later: Duration) -> Reply {
    println!("{}", capture.file); // if the test fails, the last line names the capture
    let signed_at = signed_at(capture);
    api.clock.set_now(signed_at);
    api.clock.set_wire_now(signed_at + later);
    let reply = api.exchange(&capture.request.bytes).await;
    reply.unwrap_or_else(|| panic!("no answer to {}", capture.file))
}

#[tokio::test]
async fn captures_of_an_account_that_has_opened_nothing_are_answered_as_over_grpc() {
    let (api, _) = server("testsecret").await;
    let twin = api.account().await;
    let mut database = api.database.connect().await;
    let mut opened = 0;
    for capture in &captures() {
        sqlx::raw_sql("DELETE FROM instances").execute(&mut database).await.expect("runs");
        let reply = replay(&api, capture, Duration::zero()).await;
        let charge_types: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', internet_charge_type, websocket_charge_type) FROM instances",
        )
        .fetch_all(&mut database)
        .await
        .expect("reads");
        assert_eq!(charge_types, opened_types(capture, &reply), "{}", capture.file);
        opened += charge_types.len();
        let expected = expected(&api, capture, &twin).await;
        assert_eq!(actual(capture, &reply), expected, "{}", capture.file);
    }
    assert!(opened > 80, "{opened} captures opened something");
}

/// Deletes all changes and returns their number.
async fn forget_changes(database: &mut PgConnection) -> u64 {
    let deleted = sqlx::raw_sql("DELETE FROM charge_type_changes").execute(&mut *database).await;
    let copies = sqlx::raw_sql("UPDATE instances SET changes = '{}'").execute(database).await;
    copies.expect("runs");
    deleted.expect("runs").rows_affected()
}

#[tokio::test]
async fn captures_of_an_account_that_has_opened_both_products_are_answered_as_over_grpc() {
    let (api, key) = server("testsecret").await;
    let twin = api.account().await;
    api.at("2026-10-31T00:00:00Z");
    for key in [&key, &twin] {
        api.open_cdn(key).await;
        api.open_dcdn(key).await;
    }
    let mut database = api.database.connect().await;
    let mut modified = 0;
    for capture in &captures() {
        let reply = replay(&api, capture, Duration::zero()).await;
        let changes = forget_changes(&mut database).await;
        let expected = expected(&api, capture, &twin).await;
        assert_eq!(actual(capture, &reply), expected, "{}", capture.file);
        if refused_before_the_action(capture).is_some() {
            assert_eq!(changes, 0, "{}", capture.file);
            continue;
        }
        assert_eq!(forget_changes(&mut database).await, changes, "{}", capture.file);
        modified += changes;
        // A request that was recorded and is sent again is refused.
        let again = replay(&api, capture, Duration::seconds(1)).await;
        assert_eq!(actual(capture, &again), answer_of(&NONCE_USED));
        let late = replay(&api, capture, Duration::seconds(902)).await;
        assert_eq!(actual(capture, &late), answer_of(&TIMESTAMP_EXPIRED));
    }
    assert!(modified > 20, "{modified} captures submitted a change");
}

#[tokio::test]
async fn captures_are_refused_if_the_key_has_another_secret() {
    let (api, _) = server("another secret").await;
    for capture in &captures() {
        let reply = replay(&api, capture, Duration::zero()).await;
        let to_sign = capture.text("string_to_sign");
        let refusal = refused_before_the_action(capture).unwrap_or_else(|| {
            if capture.is_v1() {
                signature_v1_does_not_match(to_sign)
            } else {
                signature_v3_does_not_match(to_sign, capture.text("canonical_request"))
            }
        });
        assert_eq!(actual(capture, &reply), answer_of(&refusal), "{}", capture.file);
    }
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
}
