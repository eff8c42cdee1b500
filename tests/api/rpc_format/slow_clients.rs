//! Clients that stop in the middle of a request: a client that has sent a head gets an answer, and no
//! client can hold a connection forever.

use super::{FORM, HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::{Format, TOO_SLOW};
use crate::support::rest::query;

/// This takes ten seconds, because the limits are constants.
#[tokio::test]
async fn a_request_that_stops_in_the_middle_times_out() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let begun = |target: &str| {
        let whole = api.request("POST", target, &[FORM], b"Owner=1");
        whole[..whole.len() - 3].to_vec()
    };
    let draft = api.draft("DescribeUserCdnStatus", "2018-05-10", "").with_form("Owner=1");
    let v3_headers = draft.signed(&key).lines();
    let (mut json, mut xml, mut v3, mut chunks, mut head, mut silent) = (
        api.connect().await,
        api.connect().await,
        api.connect().await,
        api.connect().await,
        api.connect().await,
        api.connect().await,
    );
    json.send(&begun("/?Format=JSON")).await;
    xml.send(&begun("/?Format=XML")).await;
    v3.send(format!("POST / HTTP/1.1\r\nContent-Length: 7\r\n{v3_headers}\r\nOwner").as_bytes())
        .await;
    let host = format!("Host: {}\r\n", api.addresses.rest);
    let chunked = format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n5\r\nOwner");
    chunks.send(chunked.as_bytes()).await;
    head.send(format!("GET /?Format=JSON HTTP/1.1\r\n{host}X-Unfinished: ").as_bytes()).await;

    // Other clients are served in the meantime.
    api.get(&key, HISTORY).await.says(Format::Json, HISTORY_JSON);

    let (json, xml, v3, chunks, head, silent) = tokio::join!(
        json.reply(),
        xml.reply(),
        v3.reply(),
        chunks.reply(),
        head.reply(),
        silent.reply(),
    );
    json.expect("an answer").is(Format::Json, &TOO_SLOW);
    xml.expect("an answer").is(Format::Xml, &TOO_SLOW);
    v3.expect("an answer").is(Format::Json, &TOO_SLOW);
    chunks.expect("an answer").is(Format::Xml, &TOO_SLOW);
    // An incomplete head gets no answer: the connection ends.
    assert!(head.is_none() && silent.is_none(), "{head:?} {silent:?}");
    api.get(&key, HISTORY).await.says(Format::Json, HISTORY_JSON);
}

#[tokio::test]
async fn a_request_that_comes_in_small_pieces_is_served() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let body = query(&api.sign(&key, "POST", api.common(&key, HISTORY)));
    let request = api.request("POST", "/", &[FORM], body.as_bytes());
    let mut connection = api.connect().await;
    for piece in request.chunks(3) {
        connection.send(piece).await;
        tokio::task::yield_now().await;
    }
    connection.reply().await.expect("an answer").says(Format::Json, HISTORY_JSON);
}

#[tokio::test]
async fn a_client_that_disconnects_in_the_middle_does_not_affect_others() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let body = query(&api.sign(&key, "POST", api.common(&key, HISTORY)));
    let request = api.request("POST", "/", &[FORM], body.as_bytes());
    for length in [0, 1, 20, request.len() - body.len(), request.len() - 1] {
        let mut connection = api.connect().await;
        connection.send(&request[..length]).await;
        drop(connection);
    }
    // The nonce of an incomplete request is not used.
    api.exchange(&request).await.expect("an answer").says(Format::Json, HISTORY_JSON);
}
