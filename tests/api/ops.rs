//! The ops pages, which probes and scrapers read. They contain no business data.

use crate::support::Api;
use crate::support::pages::page_of;
use crate::support::rest::Reply;

const OPEN: &str =
    r#"grpc_type="unary",grpc_service="activation.cdn.v1.CdnService",grpc_method="OpenCdnService""#;

/// Returns how often a method was answered with a code.
async fn handled(api: &Api, method: &str, code: &str) -> f64 {
    let name = format!(r#"grpc_server_handled_total{{{method},grpc_code="{code}"}}"#);
    api.metric(&name).await.unwrap_or_default()
}

#[tokio::test]
async fn a_service_that_serves_is_alive_and_ready() {
    let api = Api::start().await;
    for (path, body) in
        [("/livez", "alive\n"), ("/readyz", "ready\n"), ("/readyz?verbose", "ready\n")]
    {
        let page = api.page(path).await;
        assert_eq!((page.status, page.body.as_str()), (200, body), "{path}");
        assert_eq!(page.headers["content-type"], "text/plain");
    }
}

#[tokio::test]
async fn another_page_is_not_found() {
    let api = Api::start().await;
    for path in
        ["/", "/metrics/", "/livez/x", "/debug/pprof", "/?Action=OpenCdnService", "/METRICS"]
    {
        let page = api.page(path).await;
        let text = "no such page: /livez, /readyz, /metrics\n";
        assert_eq!((page.status, page.body.as_str()), (404, text), "{path}");
    }
    // The pages are not on the other listener, either.
    let rest = page_of(api.addresses.rest, "/metrics").await;
    assert_eq!(rest.status, 404);
    assert!(!rest.body.contains("grpc_server"));
}

#[tokio::test]
async fn metrics_are_openmetrics_text() {
    let api = Api::start().await;
    api.account().await; // makes calls, so that there is something to count
    let page = api.page("/metrics").await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, content_type));
    assert!(page.body.ends_with("# EOF\n"));
    for family in [
        "# TYPE grpc_server_started counter",
        "# TYPE grpc_server_handled counter",
        "# TYPE grpc_server_handling_seconds histogram",
        "# TYPE db_client_connections gauge",
        "# TYPE db_client_operation_duration_seconds histogram",
        "# TYPE cdn_activation_build info",
    ] {
        assert!(page.body.lines().any(|line| line == family), "{family}: {}", page.body);
    }
}

#[tokio::test]
async fn a_reader_that_asks_for_plain_text_gets_the_older_format() {
    let api = Api::start().await;
    let address = api.addresses.ops;
    let get = async |accept: &str| {
        let head = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        Reply::of(address, format!("{head}Accept: {accept}\r\n\r\n").as_bytes()).await
    };
    let page = get("text/plain").await;
    assert_eq!(page.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(page.body.contains("\n# TYPE grpc_server_started_total counter\n"), "{}", page.body);
    assert!(!page.body.contains("# EOF"));
    // What Prometheus sends.
    let page =
        get("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5").await;
    assert!(page.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code_over_either_wire() {
    let api = Api::start().await;
    let key = api.account().await;
    assert_eq!(handled(&api, OPEN, "OK").await.to_bits(), 0_f64.to_bits());
    api.open_cdn(&key).await;
    for _ in 0..2 {
        let again = api.get(&key, "Action=OpenCdnService").await;
        again.refused(400, "CdnService.HasOpened", "Your cdn service has opened.");
    }
    let started = format!("grpc_server_started_total{{{OPEN}}}");
    let timed = format!("grpc_server_handling_seconds_count{{{OPEN}}}");
    let counted = [
        api.metric(&started).await,
        api.metric(&timed).await,
        Some(handled(&api, OPEN, "OK").await),
        Some(handled(&api, OPEN, "AlreadyExists").await),
    ];
    assert_eq!(counted, [Some(3.0), Some(3.0), Some(1.0), Some(2.0)]);
}

#[tokio::test]
async fn unknown_methods_are_counted_under_one_name() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for path in ["Nothing", "a.B", "\"}", "x/y"] {
        grpc.call(&format!("/activation.cdn.v1.CdnService/{path}"), &[], &[]).await;
    }
    let other = r#"grpc_type="unary",grpc_service="_OTHER",grpc_method="_OTHER""#;
    let started = api.metric(&format!("grpc_server_started_total{{{other}}}")).await;
    assert_eq!((started, handled(&api, other, "Unimplemented").await), (Some(4.0), 4.0));
    let page = api.page("/metrics").await;
    assert!(!page.body.contains("Nothing") && !page.body.contains("a.B"), "{}", page.body);
}

#[tokio::test]
async fn no_page_contains_an_account_or_a_key() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_dcdn(&key).await;
    api.get(&key, "Action=DescribeDcdnService").await.succeeded();
    api.get(&key, "Action=OpenCdnService&InternetChargeType=PayByNothing").await;
    for path in ["/livez", "/readyz", "/metrics", "/nothing"] {
        let Reply { headers, body, .. } = api.page(path).await;
        let page = format!("{headers:?}{body}");
        for business in [key.account_id.to_string().as_str(), &key.id, &key.secret, "PayBy", "FP-"]
        {
            assert!(!page.contains(business), "{path} has {business}: {page}");
        }
    }
}

#[tokio::test]
async fn connections_to_the_database_are_counted() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    for pool in ["cores", "background"] {
        let number = async |name: &str, state: &str| {
            api.metric(&format!("db_client_connection{name}{{pool=\"{pool}\"{state}}}")).await
        };
        crate::support::eventually("an idle connection", async || {
            number("s", ",state=\"idle\"").await.is_some_and(|idle| idle >= 1.0)
        })
        .await;
        assert!(number("_max", "").await.is_some_and(|most| most >= 1.0));
        assert_eq!(number("_pending_requests", "").await, Some(0.0));
        assert_eq!(number("_timeouts_total", "").await, Some(0.0));
    }
}
