//! The explorer over HTTP: what it serves, the headers that keep a page to its own origin, and that
//! there is none unless a setting asks for it. `tests/explorer` uses it in a browser.

use cdn_activation::explorer::{DemoAccount, ExplorerSettings};
use tokio::io::AsyncWriteExt;

use crate::support::rest::Reply;
use crate::support::{Api, eventually};

const SECURITY_POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

async fn with_explorer() -> Api {
    let account = DemoAccount {
        account_id: 7,
        access_key_id: "testid",
        access_key_secret: "a published secret",
        notes: ["has no limits", "没有限制"],
    };
    let explorer = ExplorerSettings { accounts: vec![account], grpc: None };
    Api::start_with(|settings| settings.explorer = Some(explorer)).await
}

async fn get(api: &Api, path: &str, headers: &[(&str, &str)]) -> Reply {
    api.send("GET", path, headers, b"").await
}

#[tokio::test]
async fn every_page_keeps_to_its_own_origin() {
    let api = with_explorer().await;
    for (path, content_type) in [
        ("/explorer/", "text/html; charset=utf-8"),
        ("/explorer/style.css", "text/css; charset=utf-8"),
        ("/explorer/js/page.js", "text/javascript; charset=utf-8"),
        ("/explorer/texts/zh.json", "application/json"),
        ("/explorer/actions.json", "application/json"),
        ("/explorer/samples.json", "application/json"),
        ("/explorer/openapi.json", "application/json"),
        ("/explorer/errors/", "text/html; charset=utf-8"),
        ("/explorer/errors/LX_CREATE_ORDER_FAILED", "text/html; charset=utf-8"),
    ] {
        let reply = get(&api, path, &[]).await;
        assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, content_type));
        assert_eq!(reply.headers["content-security-policy"], SECURITY_POLICY, "{path}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(reply.headers["referrer-policy"], "no-referrer", "{path}");
        let is_page = content_type.starts_with("text/html");
        assert!(!is_page || !reply.body.contains("{{"), "a slot of {path} is not filled");

        let etag = reply.headers["etag"].as_str();
        let again = get(&api, path, &[("If-None-Match", etag)]).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        let weak = get(&api, path, &[("If-None-Match", &format!("W/{etag}"))]).await;
        assert_eq!(weak.status, 304, "{path}");
        let head = api.send("HEAD", path, &[], b"").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
}

#[tokio::test]
async fn a_page_is_in_the_language_of_the_query_or_of_the_browser() {
    let api = with_explorer().await;
    for path in ["/explorer/", "/explorer/errors/", "/explorer/errors/CdnService.HasOpened"] {
        let chinese = get(&api, path, &[("Accept-Language", "zh-CN,en;q=0.5")]).await.body;
        assert!(chinese.contains("<html lang=\"zh"), "{path}");
        assert_eq!(get(&api, &format!("{path}?lang=zh"), &[]).await.body, chinese, "{path}");
        let english = get(&api, &format!("{path}?lang=en"), &[("Accept-Language", "zh")]).await;
        assert!(english.body.contains("<html lang=\"en\""), "{path}");
    }
}

#[tokio::test]
async fn what_the_explorer_does_not_have_is_refused() {
    let api = with_explorer().await;
    let moved = get(&api, "/explorer", &[]).await;
    assert_eq!((moved.status, moved.headers["location"].as_str()), (308, "/explorer/"));
    for path in
        ["/explorer/none", "/explorer/index.html", "/explorer/errors/Unknown", "/explorer/js/"]
    {
        let reply = get(&api, path, &[]).await;
        assert_eq!(
            (reply.status, reply.headers["content-type"].as_str()),
            (404, "text/html; charset=utf-8")
        );
    }
    let reply = api.send("POST", "/explorer/", &[], b"").await;
    assert_eq!((reply.status, reply.headers["allow"].as_str()), (405, "GET, HEAD"));
    let reply = get(&api, "/explorer/explain", &[]).await;
    assert_eq!((reply.status, reply.headers["allow"].as_str()), (405, "POST"));
}

#[tokio::test]
async fn a_request_to_explain_a_signature_is_at_most_192_kib() {
    let api = with_explorer().await;
    let explain = async |text: &str| {
        let json = serde_json::json!({ "text": text }).to_string();
        api.send("POST", "/explorer/explain", &[], json.as_bytes()).await
    };
    let key = api.account().await;
    let request = api.sign(&key, "GET", api.common(&key, "Action=DescribeCdnService"));
    let url = format!("http://127.0.0.1/?{}", crate::support::rest::query(&request));
    let explained = explain(&url).await;
    assert_eq!((explained.status, explained.text("version")), (200, "V1".to_owned()));
    let too_long = explain(&"a".repeat(65 * 1024)).await;
    assert_eq!(too_long.json()["causes"][0]["code"], "too_long");
    assert_eq!(explain(&"a".repeat(193 * 1024)).await.status, 413);
    let reply = api.send("POST", "/explorer/explain", &[], b"no JSON").await;
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[tokio::test]
async fn without_the_setting_the_paths_are_as_any_other_path() {
    let api = Api::start().await;
    for path in ["/explorer", "/explorer/", "/explorer/actions.json", "/explorer/errors/"] {
        let reply = get(&api, path, &[]).await;
        let other = get(&api, "/other", &[]).await;
        assert_eq!((reply.status, other.status), (404, 404));
        assert_eq!(reply.body_without_request_id(), other.body_without_request_id(), "{path}");
    }
}

#[tokio::test]
async fn the_signed_api_is_beside_the_explorer() {
    let api = with_explorer().await;
    let key = api.account().await;
    api.get(&key, "Action=OpenCdnService").await.succeeded();
}

#[tokio::test]
async fn more_than_eight_requests_to_explain_a_signature_are_refused() {
    let api = with_explorer().await;
    let head = format!(
        "POST /explorer/explain HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
        api.addresses.rest
    );
    let mut incomplete = Vec::new();
    // A complete request may have the place of an incomplete one for a moment, so that one is
    // refused. So each turn begins another one.
    eventually("a further one is refused", async || {
        for _ in 0..8 {
            let address = api.addresses.rest;
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("open");
            stream.write_all(head.as_bytes()).await.expect("sent");
            incomplete.push(stream);
        }
        api.send("POST", "/explorer/explain", &[], b"{}").await.status == 503
    })
    .await;
    drop(incomplete);
    eventually("others are explained again", async || {
        api.send("POST", "/explorer/explain", &[], br#"{"text":"x"}"#).await.status == 200
    })
    .await;
}
