//! Authentication over gRPC: a calling service sends its bearer token, and names the account that
//! it acts for. The layer is used by the gRPC listener only. It puts the context of a request into
//! the extensions, where the handlers find it.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use crate::audit::{Audit, Principal, Refused};
use crate::auth::secret::ServiceToken;
use crate::clock::Clock;
use crate::context::{Caller, Origin, REQUEST_ID, Wire};
use crate::domain::AccountId;
use crate::error::{Error, status};
use crate::ids::RequestId;
use crate::logging::log_error;
use crate::proto::POOL;

/// The metadata that names the account.
pub const ACCOUNT_ID: &str = "x-account-id";

/// What is logged instead of a path that is not a method of the service, as in the metrics.
const OTHER: &str = "_OTHER";

/// Start of the paths that a probe can call without a token.
pub const HEALTH: &str = "/grpc.health.v1.Health/";

/// Authenticates calling services.
#[derive(Clone, Debug)]
pub struct ServiceAuthLayer {
    clock: Clock,
    /// If there is none, only health checks are admitted.
    token: Option<ServiceToken>,
    /// The name of the service that has the token.
    name: Arc<str>,
    /// The names of the services that exist.
    services: Arc<HashSet<&'static str>>,
    audit: Audit,
}

impl ServiceAuthLayer {
    /// Returns a layer that admits calls with this token to these services.
    #[must_use]
    pub fn new(
        clock: Clock,
        token: Option<ServiceToken>,
        services: HashSet<&'static str>,
        audit: Audit,
    ) -> Self {
        Self { clock, token, name: "service".into(), services: Arc::new(services), audit }
    }

    /// Checks that the service exists, and then the token. A load balancer probes without a token
    /// whether a service exists, and expects UNIMPLEMENTED if it does not.
    fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Error> {
        let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        match service {
            Some((service, _)) if self.services.contains(service) => {}
            _ => return Err(Error::ActionNotFound),
        }
        if self.admits(path, headers) { Ok(()) } else { Err(Error::ServiceUnauthenticated) }
    }

    /// Records a refused call for audit.
    fn record<B>(
        &self,
        error: &Error,
        request: &Request<B>,
        request_id: &RequestId,
        origin: &Origin,
    ) {
        let path = logged_path(request.uri().path());
        self.audit.refused(&Refused {
            action: path.rsplit('/').next().unwrap_or(path),
            error,
            api_version: None,
            principal: Principal::Unknown,
            account_id: account_id(request.headers()).and_then(|text| AccountId::parse(&text)),
            resource: String::new(),
            request_id,
            origin,
            at: self.clock.wire_now(),
        });
    }

    fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        if path.starts_with(HEALTH) {
            return true;
        }
        let mut sent = headers.get_all(http::header::AUTHORIZATION).iter();
        // If there are two, it is unknown which of them a proxy has checked: neither is used.
        let only = sent.next().filter(|_| sent.next().is_none());
        let sent = only.and_then(|value| value.to_str().ok()?.split_once(' '));
        match (&self.token, sent) {
            (Some(token), Some((scheme, sent))) => {
                scheme.eq_ignore_ascii_case("bearer") && token.is(sent)
            }
            _ => false,
        }
    }
}

impl<S> Layer<S> for ServiceAuthLayer {
    type Service = ServiceAuth<S>;

    fn layer(&self, inner: S) -> ServiceAuth<S> {
        ServiceAuth { inner, layer: self.clone() }
    }
}

/// The service behind the layer.
#[derive(Clone, Debug)]
pub struct ServiceAuth<S> {
    inner: S,
    layer: ServiceAuthLayer,
}

impl<S, B, R> Service<Request<B>> for ServiceAuth<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let request_id = RequestId::random();
        let origin = Origin::of(request.headers(), request.extensions());
        let path = request.uri().path();
        if let Err(error) = self.layer.check(path, request.headers()) {
            self.layer.record(&error, &request, &request_id, &origin);
            log_error(&error, logged_path(path), &request_id, origin, Wire::Grpc);
            let mut response = status::of(&error, &request_id, None).into_http();
            add_request_id(response.headers_mut(), &request_id);
            return Box::pin(std::future::ready(Ok(response)));
        }
        let name = Arc::clone(&self.layer.name);
        let caller = Caller::Service { name, account_id: account_id(request.headers()) };
        request.extensions_mut().insert(self.layer.clock.context(
            request_id.clone(),
            caller,
            origin,
            Wire::Grpc,
        ));
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            add_request_id(response.headers_mut(), &request_id);
            Ok(response)
        })
    }
}

/// Returns the account id that the caller sent, not parsed. A header that is not text, or that
/// occurs twice, counts as an invalid account id, not as an absent one.
fn account_id(headers: &HeaderMap) -> Option<String> {
    let mut given = headers.get_all(ACCOUNT_ID).iter();
    let first = given.next()?.to_str().unwrap_or("?");
    Some(if given.next().is_none() { first } else { "?" }.to_owned())
}

fn add_request_id(headers: &mut HeaderMap, request_id: &RequestId) {
    if let Ok(value) = http::HeaderValue::from_str(request_id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
}

/// Returns the path if it is that of a method of the service. Any other path is a text of the
/// caller, of any length, and is replaced.
fn logged_path(path: &str) -> &str {
    let is_ours = || {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        POOL.get_service_by_name(service)?.methods().find(|known| known.name() == method)
    };
    if is_ours().is_some() { path } else { OTHER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_a_method_is_logged() {
        for path in [
            "/activation.cdn.v1.CdnService/OpenCdnService",
            "/activation.operator.v1.EventService/WatchEvents",
        ] {
            assert_eq!(logged_path(path), path);
        }
        for path in [
            "/activation.cdn.v1.CdnService/OpenCdnService/",
            "/activation.cdn.v1.CdnService/Open",
            "/activation.cdn.v1/CdnService/OpenCdnService",
            "activation.cdn.v1.CdnService/OpenCdnService",
            "/a/b",
            "/",
            "",
        ] {
            assert_eq!(logged_path(path), OTHER);
        }
    }
}
