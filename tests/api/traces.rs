//! Traces: which calls are recorded, what their spans contain, and where a trace goes on.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use cdn_activation::traces::code_name;
use futures_util::future::join_all;
use futures_util::stream::{Pending, pending};
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tonic::Code;

use crate::support::collector::{
    Span, Takes, TestCollector, attributes, collector_at, hasty_traces_to, hex, start_traces,
    traces_to,
};
use crate::support::commerce::CommerceSystem;
use crate::support::database::Database;
use crate::support::process::Program;
use crate::support::raw_grpc::{RawGrpc, RawReply};
use crate::support::rest::{Key, query};
use crate::support::serve_process::Deployment;
use crate::support::tls::Authority;
use crate::support::{Api, TOKEN, eventually};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const STATUS: &str = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";
const OPEN: &str = "/activation.cdn.v1.CdnService/OpenCdnService";

/// Starts a service whose spans go to a collector.
async fn start(collector: &TestCollector, sampler: &str) -> Api {
    let traces = collector.traces(sampler);
    Api::start_with(|settings| settings.traces = traces).await
}

fn traceparent(trace_id: &str, flags: &str) -> String {
    format!("00-{trace_id}-{PARENT}-{flags}")
}

/// Calls a method for an account, in a trace.
async fn call(grpc: &RawGrpc, key: &Key, path: &str, traceparent: &str) -> RawReply {
    let account_id = key.account_id.to_string();
    let metadata = [
        ("x-account-id", account_id.as_str()),
        ("traceparent", traceparent),
        ("tracestate", "vendor=1"),
    ];
    grpc.call(path, &metadata, b"").await
}

fn is_of(trace_id: &str, kind: SpanKind) -> impl Fn(&Span) -> bool {
    move |span| hex(&span.trace_id) == trace_id && span.kind == i32::from(kind)
}

/// Whether a span is an error.
fn failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == i32::from(StatusCode::Error))
}

/// Checks the attributes that a span has to have.
fn assert_has(span: &Span, expected: &[(&str, &str)]) {
    let attributes = attributes(span);
    for (key, value) in expected {
        let found = attributes.get(*key).map(String::as_str);
        assert_eq!(found, Some(*value), "{key} of {attributes:#?}");
    }
}

#[tokio::test]
async fn a_call_over_grpc_is_a_span_in_the_trace_of_its_caller() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "parentbased_always_off").await;
    let key = api.account().await;
    let grpc = api.raw_grpc().await;
    let reply = call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
    assert_eq!(reply.status().code(), Code::Ok);

    let span = collector.span("the span of the call", is_of(TRACE, SpanKind::Server)).await;
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(span.name, "activation.cdn.v1.CdnService/DescribeUserCdnStatus");
    assert_eq!(span.trace_state, "vendor=1");
    assert_eq!(span.flags, 0x301, "sampled, and the parent is in another process");
    assert_has(
        &span,
        &[
            ("rpc.system.name", "grpc"),
            ("rpc.method", "activation.cdn.v1.CdnService/DescribeUserCdnStatus"),
            ("rpc.response.status_code", "OK"),
            ("enduser.id", "service:tests"),
            ("client.address", "127.0.0.1"),
            ("activation.request_id", reply.request_id()),
        ],
    );
    let took = span.end_time_unix_nano - span.start_time_unix_nano;
    assert!((1..10_000_000_000).contains(&took), "{took} ns");

    let waiting = collector.span("the wait", is_of(TRACE, SpanKind::Internal)).await;
    assert_eq!(waiting.parent_span_id, span.span_id);
    assert_eq!(waiting.name, "SELECT accounts");

    let got = collector.got();
    let token = "Bearer token-of-the-collector".to_owned();
    assert!(got.authorizations.iter().all(|sent| sent.as_ref() == Some(&token)));
    let of_process = got.resources[0].attributes.iter().map(|attribute| attribute.key.as_str());
    let of_process = of_process.collect::<BTreeSet<_>>();
    let expected =
        ["deployment.environment.name", "service.instance.id", "service.name", "service.version"];
    assert_eq!(of_process, expected.into());
}

#[tokio::test]
async fn a_request_in_the_rpc_query_format_is_a_span_with_its_call_in_it_and_without_its_query() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "parentbased_always_on").await;
    let key = api.account().await;
    let parameters = api.common(&key, "Action=DescribeUserCdnStatus");
    let signed = api.sign(&key, "GET", parameters);
    let target = format!("/?{}", query(&signed));
    let headers = [("traceparent", traceparent(TRACE, "00"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    api.send("GET", &target, &headers, b"").await.succeeded();

    let span = collector.span("the request", is_of(TRACE, SpanKind::Server)).await;
    assert_eq!(
        (span.name.as_str(), hex(&span.parent_span_id).as_str()),
        ("GET cdn:DescribeUserCdnStatus", PARENT)
    );
    assert_has(
        &span,
        &[
            ("http.request.method", "GET"),
            ("url.path", "/"),
            ("url.scheme", "http"),
            ("http.response.status_code", "200"),
            ("client.address", "127.0.0.1"),
        ],
    );
    let is_call = |span: &Span| span.name.ends_with("CdnService/DescribeUserCdnStatus");
    let within = collector.span("the call in it", is_call).await;
    assert_eq!((&within.parent_span_id, &within.trace_id), (&span.span_id, &span.trace_id));
    assert_eq!(within.kind, i32::from(SpanKind::Internal));
    assert_has(&within, &[("enduser.id", &format!("key:{}", key.id))]);
    let nonces = |span: &Span| span.name == "INSERT used_nonces" && !span.links.is_empty();
    collector.span("the statement of the nonce", nonces).await;

    let everything = format!("{:?}", collector.got().spans);
    for secret in ["Signature", "SignatureNonce", "Timestamp"] {
        let secret = &signed[secret];
        assert!(!everything.contains(secret.as_str()), "{secret} in {everything}");
    }
    for secret in [&key.secret, TOKEN, "token-of-the-collector", "AccessKeyId="] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[tokio::test]
async fn a_client_over_rest_cannot_decide_that_its_requests_are_recorded() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "parentbased_always_off").await;
    let key = api.account().await;
    let signed = api.sign(&key, "GET", api.common(&key, "Action=DescribeUserCdnStatus"));
    let target = format!("/?{}", query(&signed));
    let sampled = traceparent(TRACE, "01");
    api.send("GET", &target, &[("traceparent", &sampled)], b"").await.succeeded();
    let other = TRACE.replace('0', "1");
    call(&api.raw_grpc().await, &key, STATUS, &traceparent(&other, "01")).await;
    collector.span("the span of the service", is_of(&other, SpanKind::Server)).await;
    api.stop().await;
    let traces: BTreeSet<_> = collector
        .got()
        .spans
        .iter()
        .filter(|span| span.links.is_empty())
        .map(|span| hex(&span.trace_id))
        .collect();
    assert_eq!(traces, BTreeSet::from([other]));
}

#[tokio::test]
async fn an_order_goes_on_in_the_trace_whether_it_is_recorded_or_not() {
    let system = CommerceSystem::start().await;
    let collector = TestCollector::start().await;
    let traces = collector.traces("parentbased_always_off");
    let orders = system.settings(Duration::from_secs(5), Duration::from_mins(5));
    let api = Api::start_with(|settings| {
        settings.traces = traces;
        settings.orders = Some(orders);
    })
    .await;
    let grpc = api.raw_grpc().await;
    let (first, second) = (api.account().await, api.account().await);
    let opened = call(&grpc, &first, OPEN, &traceparent(TRACE, "01")).await;
    assert_eq!(opened.status().code(), Code::Ok);
    let unrecorded = TRACE.replace('0', "1");
    let opened = call(&grpc, &second, OPEN, &traceparent(&unrecorded, "00")).await;
    assert_eq!(opened.status().code(), Code::Ok);

    let place = |span: &Span| span.name == "activation.order.v1.OrderService/PlaceOrder";
    let span = collector.span("the order", place).await;
    assert_eq!((hex(&span.trace_id).as_str(), span.kind), (TRACE, SpanKind::Client.into()));
    assert_has(
        &span,
        &[
            ("rpc.system.name", "grpc"),
            ("rpc.response.status_code", "OK"),
            ("server.address", "127.0.0.1"),
            ("server.port", &system.address.port().to_string()),
        ],
    );
    let state = Some("vendor=1".to_owned());
    let [recorded, not_recorded] = &system.look(|books| books.traces.clone())[..] else {
        panic!("two orders")
    };
    let expected = format!("00-{TRACE}-{}-01", hex(&span.span_id));
    assert_eq!(*recorded, [Some(expected), state.clone()]);
    let [Some(goes_on), its_state] = not_recorded else { panic!("{not_recorded:?}") };
    assert!(goes_on.starts_with(&format!("00-{unrecorded}-")), "{goes_on}");
    assert!(goes_on.ends_with("-00"), "{goes_on}");
    assert_eq!(*its_state, state);

    let intent = |span: &Span| span.name == "INSERT order_intents";
    let intent = collector.span("a statement of one call", intent).await;
    assert_eq!((hex(&intent.trace_id).as_str(), intent.kind), (TRACE, SpanKind::Client.into()));
    assert_has(&intent, &[("db.system.name", "postgresql")]);
    api.stop().await;
    let of_others = collector.got().spans.into_iter().filter(|span| span.links.is_empty());
    of_others.for_each(|span| assert_eq!(hex(&span.trace_id), TRACE, "{span:?}"));
}

#[tokio::test]
async fn an_opening_on_its_own_is_one_statement_in_the_trace_of_its_call() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "parentbased_always_off").await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    let opened = call(&grpc, &key, OPEN, &traceparent(TRACE, "01")).await;
    assert_eq!(opened.status().code(), Code::Ok);
    api.stop().await;

    let spans = collector.got().spans;
    let of_kind = |kind: SpanKind| {
        let is_it = |span: &&Span| span.name == "INSERT instances" && span.kind == i32::from(kind);
        spans.iter().filter(is_it).collect::<Vec<_>>()
    };
    let [waiting] = of_kind(SpanKind::Internal)[..] else { panic!("one wait: {spans:#?}") };
    let [statement] = of_kind(SpanKind::Client)[..] else { panic!("one statement: {spans:#?}") };
    assert_eq!(hex(&statement.trace_id), TRACE);
    assert_eq!(statement.parent_span_id, waiting.span_id);
    assert_eq!(statement.links, []);
    assert_has(statement, &[("db.query.summary", "INSERT instances")]);
    assert!(!failed(statement), "{statement:?}");
}

#[tokio::test]
async fn a_statement_that_several_calls_share_links_to_those_that_are_recorded() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "parentbased_always_off").await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    let trace = |number: usize| format!("{:032x}", number + 1);
    let send = |number: usize| {
        let flags = if number.is_multiple_of(2) { "01" } else { "00" };
        let parent = traceparent(&trace(number), flags);
        let (grpc, key) = (&grpc, &key);
        async move { call(grpc, key, STATUS, &parent).await.status().code() }
    };
    for burst in 0..8 {
        let codes = join_all((burst * 32..(burst + 1) * 32).map(send)).await;
        assert!(codes.iter().all(|code| *code == Code::Ok), "{codes:?}");
    }
    let has_all = async || {
        let spans = collector.got().spans;
        let waits = spans.iter().filter(|span| span.kind == i32::from(SpanKind::Internal)).count();
        waits >= 128 && spans.iter().map(|span| span.links.len()).sum::<usize>() >= 128
    };
    eventually("all waits and their statements are exported", has_all).await;
    api.stop().await;

    let spans = collector.got().spans;
    let statements = spans.iter().filter(|span| !span.links.is_empty());
    let mut linked = Vec::new();
    for statement in statements.clone() {
        assert_eq!(statement.name, "SELECT accounts");
        assert!(statement.parent_span_id.is_empty(), "in a trace of its own");
        assert_eq!(statement.kind, i32::from(SpanKind::Client));
        assert_has(
            statement,
            &[("db.system.name", "postgresql"), ("db.query.summary", "SELECT accounts")],
        );
        assert!(attributes(statement).contains_key("db.namespace"));
        let questions = &attributes(statement)["activation.questions"];
        assert!(questions.parse::<usize>().unwrap() >= statement.links.len(), "{questions}");
        for link in &statement.links {
            let waits = spans.iter().find(|span| span.span_id == link.span_id);
            assert_eq!(waits.expect("the wait of the call").trace_id, link.trace_id);
            linked.push(hex(&link.trace_id));
        }
    }
    linked.sort_unstable();
    assert_eq!(linked, (0..256).step_by(2).map(trace).collect::<Vec<_>>());
    let shared = statements.filter(|span| span.links.len() > 1).count();
    assert!(shared > 0, "of 32 calls at once on one connection, some share a statement");
}

#[tokio::test]
async fn a_statement_that_fails_is_an_error_with_its_sqlstate_and_so_is_the_call() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "parentbased_always_on").await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    api.database.execute("ALTER TABLE accounts RENAME TO accounts_elsewhere").await;
    let reply = call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
    assert!([Code::Internal, Code::Unavailable].contains(&reply.status().code()));
    let is_it = |span: &Span| !span.links.is_empty() && failed(span);
    let statement = collector.span("the statement", is_it).await;
    assert_has(&statement, &[("db.response.status_code", "42P01"), ("error.type", "42P01")]);
    let span = collector.span("the call", is_of(TRACE, SpanKind::Server)).await;
    assert!(failed(&span), "{span:?}");
}

#[tokio::test]
async fn a_refusal_is_not_an_error_of_the_service() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "always_on").await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    let path = "/activation.cdn.v1.CdnService/DescribeCdnService";
    let refused = call(&grpc, &key, path, &traceparent(TRACE, "00")).await.status();
    let span = collector.span("the call", is_of(TRACE, SpanKind::Server)).await;
    assert_ne!(refused.code(), Code::Ok);
    assert!(!failed(&span), "{span:?}");
    assert_ne!(attributes(&span)["rpc.response.status_code"], "OK");
}

#[tokio::test]
async fn an_unknown_method_gives_its_name_to_no_span() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "always_on").await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    let path = "/activation.cdn.v1.CdnService/NoSuchMethod";
    let reply = call(&grpc, &key, path, &traceparent(TRACE, "01")).await;
    assert_eq!(reply.status().code(), Code::Unimplemented);
    let span = collector.span("the call", is_of(TRACE, SpanKind::Server)).await;
    assert_eq!(span.name, "grpc");
    assert_has(&span, &[("rpc.method", "_OTHER"), ("rpc.response.status_code", "UNIMPLEMENTED")]);

    for (digit, method, name, recorded) in
        [("1", "PUT", "PUT", ("PUT", None)), ("2", "BREW", "HTTP", ("_OTHER", Some("BREW")))]
    {
        let trace = TRACE.replace('0', digit);
        let headers = [("traceparent", traceparent(&trace, "01"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        drop(api.send(method, "/?Action=DescribeUserCdnStatus", &headers, b"").await);
        let span = collector.span("the request", is_of(&trace, SpanKind::Server)).await;
        let attributes = attributes(&span);
        let text = |key| attributes.get(key).map(String::as_str);
        let found = (text("http.request.method").unwrap(), text("http.request.method_original"));
        assert_eq!((span.name.as_str(), found), (name, recorded));
    }
}

#[tokio::test]
async fn the_span_of_a_stream_ends_with_the_code_of_the_stream() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "always_on").await;
    let metadata = [("traceparent", &*traceparent(TRACE, "01")), ("grpc-timeout", "500m")];
    let path = "/activation.operator.v1.EventService/WatchEvents";
    let ended = api.raw_grpc().await.call(path, &metadata, b"").await.status();
    let span = collector.span("the stream", is_of(TRACE, SpanKind::Server)).await;
    assert_eq!((span.name.as_str(), ended.code()), (&path[1..], Code::DeadlineExceeded));
    assert_has(&span, &[("rpc.response.status_code", code_name(ended.code()))]);
    assert!(failed(&span), "{span:?}");
}

#[tokio::test]
async fn health_checks_are_not_recorded() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "always_on").await;
    let path = "/grpc.health.v1.Health/Check";
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    let other = TRACE.replace('0', "1");
    let sampled = traceparent(&other, "01");
    let reply = grpc.call(path, &[("traceparent", sampled.as_str())], b"").await;
    assert_eq!(reply.status().code(), Code::Ok);
    call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
    collector.span("the span of the call after it", is_of(TRACE, SpanKind::Server)).await;
    drop(grpc);
    api.stop().await;
    let spans = collector.got().spans;
    let is_of_check = |span: &Span| hex(&span.trace_id) == other || span.name.contains("Health");
    assert!(!spans.iter().any(is_of_check), "{spans:?}");
}

/// Returns how many spans had an outcome.
async fn count(api: &Api, outcome: &str) -> f64 {
    let name = format!("trace_spans_total{{outcome=\"{outcome}\"}}");
    api.metric(&name).await.expect("the metric")
}

/// A collector that accepts connections, and says this to each of them.
async fn says(text: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            stream.write_all(text).await.ok();
            open.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn a_collector_that_is_absent_silent_or_hostile_holds_neither_calls_nor_the_stop() {
    let absent = SocketAddr::from((Ipv4Addr::LOCALHOST, 1)); // nobody listens there
    let refusing = TestCollector::start().await;
    refusing.behave(Takes::Refuses(Code::Unavailable));
    for address in
        [absent, says(b"").await, says(b"HTTP/1.1 200 OK\r\n\r\n").await, refusing.address]
    {
        let traces = traces_to(address, "always_on");
        let api = Api::start_with(|settings| settings.traces = traces).await;
        let (key, grpc) = (api.account().await, api.raw_grpc().await);
        let are_lost = async || {
            let reply = call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
            assert_eq!(reply.status().code(), Code::Ok);
            count(&api, "refused").await + count(&api, "lost").await > 0.0
        };
        eventually("spans are lost and counted", are_lost).await;
        drop(grpc);
        let stopping = Instant::now();
        api.stop().await;
        let took = stopping.elapsed();
        assert!(took < Duration::from_secs(8), "the stop took {took:?} with {address}");
    }
}

#[tokio::test]
async fn a_collector_that_comes_back_gets_the_next_spans_and_both_are_counted() {
    let collector = TestCollector::start().await;
    collector.behave(Takes::Refuses(Code::InvalidArgument)); // no attempt is made again
    let api = start(&collector, "always_on").await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    let is_some = async |outcome| count(&api, outcome).await > 0.0;
    assert!(!is_some("exported").await && !is_some("lost").await);
    call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
    eventually("spans are refused", async || is_some("refused").await).await;
    collector.behave(Takes::All);
    let next = TRACE.replace('0', "1");
    call(&grpc, &key, STATUS, &traceparent(&next, "01")).await;
    collector.span("the next span", is_of(&next, SpanKind::Server)).await;
    eventually("spans are counted", async || is_some("exported").await).await;
    assert!(!is_some("lost").await);
}

#[tokio::test]
async fn a_collector_over_https_is_verified_by_the_given_authorities() {
    let authority = Authority::new("collectors");
    let collector = TestCollector::start_with_tls(&authority.issue(&[])).await;
    let endpoint = format!("https://localhost:{}", collector.address.port());
    let start = async |authorities: String| {
        let traces = start_traces(collector_at(&endpoint, Some(&authorities)), "always_on");
        let api = Api::start_with(|settings| settings.traces = traces).await;
        let (key, grpc) = (api.account().await, api.raw_grpc().await);
        call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
        api
    };
    let api = start(Authority::new("others").pem()).await;
    let is_refused = async || count(&api, "refused").await > 0.0;
    eventually("the exporter does not trust the collector", is_refused).await;
    assert_eq!(collector.got().authorizations, []);
    let _api = start(authority.pem()).await;
    collector.span("the span", is_of(TRACE, SpanKind::Server)).await;
}

#[tokio::test]
async fn spans_that_wait_are_sent_when_the_service_stops() {
    let collector = TestCollector::start().await;
    let api = start(&collector, "always_on").await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
    drop(grpc);
    api.stop().await;
    let is_there = is_of(TRACE, SpanKind::Server);
    assert!(collector.got().spans.iter().any(is_there));
}

#[tokio::test]
async fn the_variables_of_opentelemetry_start_traces_and_the_log_line_names_the_trace() {
    let collector = TestCollector::start().await;
    let database = Database::fresh().await;
    let endpoint = format!("http://{}", collector.address);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20token-of-the-collector"),
        ("OTEL_SERVICE_NAME", "activation-of-the-test"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
        ("LOG_ONE_IN", "1"),
    ];
    let deployment = Deployment::new(&database);
    let mut program = Program::spawn(deployment.serve(&variables));
    let api = program.ready().await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
    let mut cdn = api.cdn(&key).await;
    cdn.open_cdn_service(OpenCdnServiceRequest::default()).await.expect("opened");
    collector.span("the span of the call", is_of(TRACE, SpanKind::Server)).await;
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of = |action: &'static str| lines.clone().find(|line| line["action"] == action);
    let line = of("DescribeUserCdnStatus").expect("the line of the call");
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(of("OpenCdnService").expect("the line of the other call")["trace_id"], Value::Null);
    let got = collector.got();
    assert!(format!("{:?}", got.resources).contains("activation-of-the-test"));
    assert!(!ended.stdout.contains("token-of-the-collector"));
}

/// A collector that answers with headers, and with a body that never ends.
async fn never_ends() -> SocketAddr {
    type Endless = StreamBody<Pending<Result<Frame<Bytes>, Infallible>>>;
    async fn answer(_: Request<Incoming>) -> Result<Response<Endless>, Infallible> {
        let response = Response::builder().header("content-type", "application/grpc");
        Ok(response.body(StreamBody::new(pending())).expect("a response"))
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let builder = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    address
}

#[tokio::test]
async fn an_answer_of_the_collector_that_never_ends_is_given_up() {
    let traces = hasty_traces_to(never_ends().await);
    let api = Api::start_with(|settings| settings.traces = traces).await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
    let refused = async || count(&api, "refused").await > 0.0;
    eventually("the spans of the first message are refused", refused).await;
}

/// A way to a collector. The connections that are open when the number changes are dead from then on:
/// nothing comes through, and nobody closes them.
async fn way_to(collector: SocketAddr) -> (SocketAddr, watch::Sender<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (deaths, seen) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut seen = seen.clone();
            seen.mark_unchanged();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(collector).await.expect("the collector");
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    _ = seen.changed() => std::future::pending().await,
                }
            });
        }
    });
    (address, deaths)
}

#[tokio::test]
async fn a_connection_to_the_collector_that_is_dead_is_made_again() {
    let collector = TestCollector::start().await;
    let (way, deaths) = way_to(collector.address).await;
    let traces = hasty_traces_to(way);
    let api = Api::start_with(|settings| settings.traces = traces).await;
    let (key, grpc) = (api.account().await, api.raw_grpc().await);
    call(&grpc, &key, STATUS, &traceparent(TRACE, "01")).await;
    collector.span("the first span", is_of(TRACE, SpanKind::Server)).await;
    deaths.send_replace(1);
    let later = TRACE.replace('0', "1");
    let is_later = is_of(&later, SpanKind::Server);
    let comes = async || {
        call(&grpc, &key, STATUS, &traceparent(&later, "01")).await;
        collector.got().spans.iter().any(&is_later)
    };
    eventually("spans come over another connection", comes).await;
    assert!(count(&api, "refused").await > 0.0, "what was sent over the dead one");
}
