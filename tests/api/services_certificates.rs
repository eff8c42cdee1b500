//! A calling service that shows a certificate and sends no token. The names of the certificate are
//! those that the TLS listener puts into the extensions of a request.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::Poll;

use cdn_activation::audit::Audit;
use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::clock::Clock;
use cdn_activation::context::{Context, Peer};
use cdn_activation::grpc::authentication::ServiceAuthLayer;
use cdn_activation::metrics::Metrics;
use cdn_activation::quotas::Quotas;
use http::{Request, Response};
use http_body_util::BodyExt;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::support::TOKEN;
use crate::support::callers::{grants, tokens};
use crate::support::grpc::refusal;

const SERVICE: &str = "activation.cdn.v1.CdnService";
const OPEN: &str = "/activation.cdn.v1.CdnService/OpenCdnService";
const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeCdnService";

/// Answers with the principal of the caller.
#[derive(Clone)]
struct Echo;

impl Service<Request<()>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let context = request.extensions().get::<Context>().expect("authenticated");
        ready(Ok(Response::new(Body::new(context.principal()))))
    }
}

/// Returns the principal of a call with these names in the certificate, or the code of its refusal.
async fn principal(path: &str, names: &[&str], authorization: Option<&str>) -> String {
    let file = [
        grants("tests", "actions = [\"*\"]"),
        grants("spiffe://example.org/shop", "actions = [\"Describe*\"]"),
        grants("shop.example.org", "actions = [\"*\"]"),
        grants("billing", "actions = [\"*\"]"),
    ];
    let callers = ServiceDirectory::of(&tokens(), &file.concat()).expect("valid files");
    let metrics = Metrics::new([].into());
    let audit = Audit::new(metrics.clone());
    let (clock, services, quotas) = (Clock::system(), [SERVICE].into(), Quotas::default());
    let layer =
        ServiceAuthLayer::new(clock, callers, services, Arc::default(), quotas, audit, metrics);
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let mut request = Request::builder().uri(path).body(()).expect("a request");
    request.extensions_mut().insert(Peer {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        certificate_names: names,
        has_tls: true,
    });
    if let Some(authorization) = authorization {
        let value = authorization.parse().expect("visible characters");
        request.headers_mut().insert("authorization", value);
    }
    let response = layer.layer(Echo).call(request).await.expect("infallible");
    if let Some(status) = Status::from_header_map(response.headers()) {
        return refusal(&status).code;
    }
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("a principal")
}

#[tokio::test]
async fn the_first_name_with_grants_is_the_identity_and_uris_are_first() {
    let (uri, dns) = ("spiffe://example.org/shop", "shop.example.org");
    assert_eq!(principal(DESCRIBE, &[dns, uri], None).await, format!("service:{uri}"));
    assert_eq!(principal(OPEN, &[dns, uri], None).await, "ServiceForbidden");
    assert_eq!(
        principal(OPEN, &["spiffe://example.org/x", dns], None).await,
        format!("service:{dns}")
    );
    assert_eq!(principal(OPEN, &["other.example.org"], None).await, "ServiceForbidden");
    assert_eq!(principal(OPEN, &[], None).await, "ServiceUnauthenticated");
    let no_method = "/activation.cdn.v1.CdnService/NoMethod";
    let other = principal(no_method, &["other.example.org", "b"], None).await;
    assert_eq!(other, "service:other.example.org", "authenticated, without grants");
}

#[tokio::test]
async fn a_bare_word_in_a_certificate_is_not_the_name_of_a_token() {
    for names in [&["billing"][..], &["tests"], &["billing", "a\0.example"]] {
        assert_eq!(principal(OPEN, names, None).await, "ServiceUnauthenticated", "{names:?}");
    }
    let other = principal(OPEN, &["billing", "other.example.org"], None).await;
    assert_eq!(other, "ServiceForbidden");
}

#[tokio::test]
async fn a_token_that_is_sent_decides_alone() {
    let names = ["shop.example.org"];
    let right = format!("Bearer {TOKEN}");
    assert_eq!(principal(OPEN, &names, Some(&right)).await, "service:tests");
    for wrong in ["Bearer another-token-of-services", "Bearer ", "", "Basic eDp5"] {
        let code = principal(OPEN, &names, Some(wrong)).await;
        assert_eq!(code, "ServiceUnauthenticated", "{wrong:?}");
    }
}
