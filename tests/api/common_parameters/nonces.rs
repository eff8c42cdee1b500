//! The nonce: a signed request is accepted once, whichever replica receives it and whatever
//! happens in between.

use cdn_activation::domain::time;
use futures_util::future::join_all;

use super::{STATUS, STATUS_JSON};
use crate::support::Api;
use crate::support::denials::Deny;
use crate::support::refusals::{Format, HAS_OPENED, NONCE_USED};
use crate::support::rest::{Key, Reply, query};

/// Returns a signed query that can be sent several times.
fn signed_query(api: &Api, key: &Key, given: &str) -> String {
    query(&api.sign(key, "GET", api.common(key, given)))
}

#[tokio::test]
async fn a_signed_request_works_once() {
    let api = Api::start().await;
    let key = api.account().await;
    for (name, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
        let signed = signed_query(&api, &key, &format!("{STATUS}&Format={name}"));
        api.send_get(&signed).await.succeeded();
        for _ in 0..3 {
            api.send_get(&signed).await.is(format, &NONCE_USED);
        }
    }
    for (format, accept) in [(Format::Json, "application/json"), (Format::Xml, "text/xml")] {
        let draft = api.status_draft().with("accept", accept).signed(&key);
        api.send_draft(&draft).await.succeeded();
        for _ in 0..3 {
            api.send_draft(&draft).await.is(format, &NONCE_USED);
        }
    }
}

#[tokio::test]
async fn a_nonce_is_used_up_for_every_request_of_its_key() {
    let api = Api::start().await;
    let key = api.account().await;
    api.clock.set_wire_now(time::parse("2024-02-29T12:05:00Z").expect("an instant"));
    api.get(&key, &format!("{STATUS}&SignatureNonce=mine")).await.succeeded();
    for given in [
        "Action=OpenCdnService&SignatureNonce=mine",
        "Action=DescribeUserDcdnStatus&SignatureNonce=mine",
        "Action=DescribeUserCdnStatus&SignatureNonce=mine&Timestamp=2024-02-29T12:04:59Z",
    ] {
        api.get(&key, given).await.is(Format::Json, &NONCE_USED);
        api.post(&key, given).await.is(Format::Json, &NONCE_USED);
    }
    let draft = api.status_draft().with("x-acs-signature-nonce", "mine").signed(&key);
    api.send_draft(&draft).await.is(Format::Json, &NONCE_USED);
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
    // A text that differs in anything, including the case of a letter, is another nonce.
    for other in ["Mine", "mine.", "min", "mine-2"] {
        let reply = api.get(&key, &format!("{STATUS}&SignatureNonce={other}")).await;
        reply.says(Format::Json, STATUS_JSON);
    }
}

#[tokio::test]
async fn the_same_nonce_of_another_key_is_another_nonce() {
    let api = Api::start().await;
    let key = api.account().await;
    let of_another_account = api.account().await;
    let of_the_same_account = api.key_of(key.account_id, "").await;
    for key in [&key, &of_another_account, &of_the_same_account] {
        let signed = signed_query(&api, key, &format!("{STATUS}&SignatureNonce=shared"));
        api.send_get(&signed).await.succeeded();
        api.send_get(&signed).await.is(Format::Json, &NONCE_USED);
    }
}

#[tokio::test]
async fn any_text_can_be_a_nonce() {
    let api = Api::start().await;
    let key = api.account().await;
    for nonce in ["0", "édf 打开", "'; --", &"x".repeat(20_000), "a b+c%2F"] {
        let mut parameters = api.common(&key, STATUS);
        parameters.insert("SignatureNonce".to_owned(), nonce.to_owned());
        let signed = query(&api.sign(&key, "GET", parameters));
        api.send_get(&signed).await.succeeded();
        api.send_get(&signed).await.is(Format::Json, &NONCE_USED);
    }
}

/// Returns how many of these succeeded. Checks that all others found the nonce used.
fn successes(replies: &[Reply]) -> usize {
    let (succeeded, refused): (Vec<_>, Vec<_>) =
        replies.iter().partition(|reply| reply.status == 200);
    for reply in refused {
        reply.is(Format::Json, &NONCE_USED);
    }
    succeeded.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_sixteen_simultaneous_uses_succeeds() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let key = api.account().await;
    for _ in 0..3 {
        let signed = signed_query(&api, &key, STATUS);
        let replies = join_all((0..16).map(|_| api.send_get(&signed))).await;
        assert_eq!(successes(&replies), 1);
        let signed = signed_query(&api, &key, STATUS);
        let both = [&api, &replica];
        let replies = join_all((0..16).map(|number| both[number % 2].send_get(&signed))).await;
        assert_eq!(successes(&replies), 1, "over two replicas");
        let draft = api.status_draft().signed(&key);
        let replies = join_all((0..16).map(|_| api.send_draft(&draft))).await;
        assert_eq!(successes(&replies), 1, "V3");
    }
}

#[tokio::test]
async fn a_nonce_that_one_replica_has_seen_is_used_up_for_all() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let key = api.account().await;
    for (first, second) in [(&api, &replica), (&replica, &api)] {
        let signed = signed_query(&api, &key, STATUS);
        first.send_get(&signed).await.succeeded();
        second.send_get(&signed).await.is(Format::Json, &NONCE_USED);
    }
}

#[tokio::test]
async fn used_nonces_are_refused_after_a_restart() {
    let api = Api::start().await;
    let key = api.account().await;
    let signed = signed_query(&api, &key, STATUS);
    let fresh = signed_query(&api, &key, STATUS);
    api.send_get(&signed).await.succeeded();
    let (database, sealing_key, clock) =
        (api.database.clone(), api.sealing_key.clone(), api.clock.clone());
    api.stop().await;
    let api = Api::start_on(database, sealing_key, clock, |_| {}).await;
    api.send_get(&signed).await.is(Format::Json, &NONCE_USED);
    api.send_get(&fresh).await.succeeded();
}

#[tokio::test]
async fn a_refused_signature_does_not_use_the_nonce_up() {
    let api = Api::start().await;
    let key = api.account().await;
    let stranger = Key { secret: "guessed".to_owned(), ..key.clone() };
    let given = format!("{STATUS}&SignatureNonce=mine");
    for _ in 0..2 {
        let reply = api.get(&stranger, &given).await;
        assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
        let other_method = format!("{given}&SignatureMethod=HMAC-SHA256");
        assert_eq!(api.get(&key, &other_method).await.text("Code"), "InvalidSignatureMethod");
        let too_late = format!("{given}&Timestamp=2018-01-01T00:00:00Z");
        assert_eq!(api.get(&key, &too_late).await.text("Code"), "InvalidTimeStamp.Expired");
    }
    api.get(&key, &given).await.says(Format::Json, STATUS_JSON);

    let draft = api.status_draft().with("x-acs-signature-nonce", "mine in v3");
    let reply = api.send_draft(&draft.clone().signed(&stranger)).await;
    assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
    api.send_draft(&draft.signed(&key)).await.says(Format::Json, STATUS_JSON);
}

/// The nonce is used up as soon as the signature is valid, whatever the answer is.
#[tokio::test]
async fn a_refusal_after_a_valid_signature_uses_the_nonce_up() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let signed = signed_query(&api, &key, "Action=OpenCdnService");
    api.send_get(&signed).await.is(Format::Json, &HAS_OPENED);
    api.send_get(&signed).await.is(Format::Json, &NONCE_USED);
    let nothing = api.key_of(key.account_id, r#"{"Version":"1","Statement":[]}"#).await;
    let signed = signed_query(&api, &nothing, STATUS);
    let denied = api.send_get(&signed).await;
    denied.is_denied(&api, Format::Json, &nothing, "cdn:DescribeUserCdnStatus", Deny::Implicit);
    api.send_get(&signed).await.is(Format::Json, &NONCE_USED);
}

/// A request can be signed up to 15 minutes ahead of the clock, and sent again until 15 minutes
/// after its timestamp. So its nonce is remembered for 30 minutes.
#[tokio::test]
async fn a_nonce_is_remembered_for_as_long_as_its_timestamp_is_accepted() {
    let api = Api::start().await;
    let key = api.account().await;
    let start = time::parse("2024-02-29T12:00:00Z").expect("an instant");
    for offset in [0, 299, 450, 899] {
        let signed_at = start + chrono::Duration::seconds(offset);
        api.clock.set_wire_now(signed_at);
        let signed = signed_query(&api, &key, STATUS);
        api.clock.set_wire_now(signed_at - chrono::Duration::minutes(15));
        api.send_get(&signed).await.succeeded();
        for minutes in (-15..=15).step_by(5) {
            api.clock.set_wire_now(signed_at + chrono::Duration::minutes(minutes));
            api.send_get(&signed).await.is(Format::Json, &NONCE_USED);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_requests_with_used_nonces_are_refused_among_many_at_once() {
    let api = Api::start().await;
    let keys = join_all((0..12).map(|_| api.account())).await;
    let used: Vec<_> = keys.iter().map(|key| signed_query(&api, key, STATUS)).collect();
    for reply in join_all(used.iter().map(|query| api.send_get(query))).await {
        reply.succeeded();
    }
    // The second round repeats the used nonces after they were refused once.
    for _ in 0..2 {
        // The used nonces, and each new nonce twice. One of the two requests with the same new
        // nonce succeeds.
        let new: Vec<_> = keys.iter().map(|key| signed_query(&api, key, STATUS)).collect();
        let together = used.iter().chain(&new).chain(&new);
        let replies = join_all(together.map(|query| api.send_get(query))).await;
        let (refused, twice) = replies.split_at(used.len());
        for reply in refused {
            reply.is(Format::Json, &NONCE_USED);
        }
        for (first, second) in twice[..new.len()].iter().zip(&twice[new.len()..]) {
            let (first_succeeded, second_succeeded) = (first.status == 200, second.status == 200);
            assert!(first_succeeded != second_succeeded, "{} {}", first.status, second.status);
            (if first_succeeded { second } else { first }).is(Format::Json, &NONCE_USED);
        }
    }
}
