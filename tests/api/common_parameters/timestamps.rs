//! The timestamp: its spelling, and how far it may be from the wire clock in either direction.

use cdn_activation::domain::time;
use chrono::Duration;

use super::STATUS;
use crate::support::Api;
use crate::support::database::Database;
use crate::support::refusals::{Format, Refusal, TIMESTAMP_EXPIRED, TIMESTAMP_FORMAT};
use crate::support::rest::{Key, Parameters, Reply};

const NOON: &str = "2024-02-29T12:00:00Z";

/// Sends a V1 and a V3 request with this timestamp.
async fn both(api: &Api, key: &Key, timestamp: &str) -> [Reply; 2] {
    let given = format!("{STATUS}&Timestamp={timestamp}");
    let draft = api.status_draft().with("x-acs-date", timestamp).signed(key);
    [api.get(key, &given).await, api.send_draft(&draft).await]
}

/// Checks that a timestamp is refused like this, for V1 and V3 and in both formats.
async fn refuses_timestamp(api: &Api, key: &Key, timestamp: &str, refusal: &Refusal) {
    let set = |parameters: &mut Parameters| {
        parameters.insert("Timestamp".to_owned(), timestamp.to_owned());
    };
    api.refuses(key, set, refusal).await;
    api.refuses_v3(|draft| draft.with("x-acs-date", timestamp).signed(key), refusal).await;
}

#[tokio::test]
async fn a_timestamp_has_whole_seconds_or_a_fraction() {
    let api = Api::start().await;
    let key = api.account().await;
    api.clock.set_wire_now(time::parse(NOON).expect("an instant"));
    for right in
        [NOON, "2024-02-29T12:00:00.000Z", "2024-02-29T12:00:00.7Z", "2024-02-29T12:00:00.123456"]
    {
        for reply in both(&api, &key, right).await {
            reply.succeeded();
        }
    }
    for wrong in [
        "2024-02-29T12:00:00",
        "2024-02-29T12:00:00z",
        "2024-02-29t12:00:00Z",
        "2024-02-29 12:00:00",
        "2024-02-29 12:00:00Z",
        "2024-02-29T12:00:00.",
        "2024-02-29T12:00:00.Z",
        "2024-02-29T12:00:00.000+00:00",
        "2024-02-29T12:00:00+00:00",
        "2024-02-29T20:00:00+08:00",
        "2024-02-29T12:00Z",
        "2024-2-29T12:00:00Z",
        "24-02-29T12:00:00Z",
        "2024-02-30T12:00:00Z",
        "2024-13-01T12:00:00Z",
        "2024-02-29T24:00:00Z",
        "2024-02-29T11:59:60Z",
        "+024-02-29T12:00:00Z",
        "20240229T120000Z",
        "Thu, 29 Feb 2024 12:00:00 GMT",
        "1709208000",
        "now",
        "0",
    ] {
        refuses_timestamp(&api, &key, wrong, &TIMESTAMP_FORMAT).await;
    }
}

#[tokio::test]
async fn a_timestamp_may_be_fifteen_minutes_from_the_clock_and_not_a_second_more() {
    let api = Api::start().await;
    let key = api.account().await;
    api.clock.set_wire_now(time::parse(NOON).expect("an instant"));
    for accepted in ["2024-02-29T11:45:00Z", "2024-02-29T12:00:01Z", "2024-02-29T12:15:00Z"] {
        for reply in both(&api, &key, accepted).await {
            reply.succeeded();
        }
    }
    for expired in [
        "2024-02-29T11:44:59Z",
        "2024-02-29T12:15:01Z",
        "2024-02-28T12:00:00Z",
        "1970-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        refuses_timestamp(&api, &key, expired, &TIMESTAMP_EXPIRED).await;
    }
}

#[tokio::test]
async fn the_window_is_exact_to_the_microsecond_of_the_wire_clock() {
    let api = Api::start().await;
    let key = api.account().await;
    let timestamp = time::parse(NOON).expect("an instant");
    let window = Duration::minutes(15);
    for (edge, beyond) in [
        (timestamp + window, Duration::microseconds(1)),
        (timestamp - window, Duration::microseconds(-1)),
    ] {
        api.clock.set_wire_now(edge);
        for reply in both(&api, &key, NOON).await {
            reply.succeeded();
        }
        api.clock.set_wire_now(edge + beyond);
        for reply in both(&api, &key, NOON).await {
            reply.is(Format::Json, &TIMESTAMP_EXPIRED);
        }
    }
}

#[tokio::test]
async fn the_window_is_a_setting() {
    let database = Database::fresh().await;
    let ordinary = Api::start().await;
    let clock = ordinary.clock.clone();
    clock.set_wire_now(time::parse(NOON).expect("an instant"));
    let sealing_key = ordinary.sealing_key.clone();
    let api = Api::start_on(database, sealing_key, clock, |settings| {
        settings.timestamp_window = Duration::seconds(60);
    })
    .await;
    let key = api.account().await;
    for accepted in ["2024-02-29T11:59:00Z", "2024-02-29T12:01:00Z"] {
        for reply in both(&api, &key, accepted).await {
            reply.succeeded();
        }
    }
    for expired in ["2024-02-29T11:58:59Z", "2024-02-29T12:01:01Z"] {
        for reply in both(&api, &key, expired).await {
            reply.is(Format::Json, &TIMESTAMP_EXPIRED);
        }
    }
}

#[tokio::test]
async fn the_business_clock_does_not_affect_the_check_of_timestamps() {
    let api = Api::start().await;
    let key = api.account().await;
    api.at("2018-03-20T00:00:00Z");
    for reply in both(&api, &key, &api.timestamp()).await {
        reply.succeeded();
    }
    for reply in both(&api, &key, "2018-03-20T00:00:00Z").await {
        reply.is(Format::Json, &TIMESTAMP_EXPIRED);
    }
}
