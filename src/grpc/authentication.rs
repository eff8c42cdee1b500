//! Authentication over gRPC: a calling service proves its identity by a bearer token or by the
//! certificate of its connection, and names the account that it acts for. The layer is used by the
//! gRPC listener only. It refuses methods that the identity is not granted, and puts the context of a
//! request into the extensions, where the handlers find it.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use super::bodies::Keeping;
use super::layers::REFLECTION;
use crate::audit::{Audit, Principal, Refused};
use crate::auth::services::ServiceDirectory;
use crate::clock::Clock;
use crate::context::{Caller, Origin, Peer, REQUEST_ID, Wire};
use crate::domain::{AccountId, Grants, Identity};
use crate::error::{Error, status};
use crate::ids::RequestId;
use crate::logging::{CallLine, Subject};
use crate::metrics::Metrics;
use crate::proto::is_method;
use crate::quotas::{Admission, Quotas};

/// The metadata that names the account.
pub const ACCOUNT_ID: &str = "x-account-id";

/// What is logged instead of a path that is not a method of the service, as in the metrics.
const OTHER: &str = "_OTHER";

/// Start of the paths that a probe can call without a token.
pub const HEALTH: &str = "/grpc.health.v1.Health/";
/// The name of the caller of the health service, which is not authenticated.
const PROBE: &str = "probe";

/// Authenticates calling services.
#[derive(Clone, Debug)]
pub struct ServiceAuthLayer {
    clock: Clock,
    callers: ServiceDirectory,
    /// The names of the services that exist.
    services: Arc<HashSet<&'static str>>,
    /// The paths of the service's methods that answer with a stream.
    streams: Arc<HashSet<String>>,
    /// The identity of callers of the health service.
    probe: Arc<Identity>,
    quotas: Quotas,
    audit: Audit,
    /// Counts the calls that are not admitted. The others are counted behind this layer.
    metrics: Metrics,
}

impl ServiceAuthLayer {
    /// Returns a layer that admits calls of these callers to these services. The methods at the paths
    /// `streams` answer with a stream.
    #[must_use]
    pub fn new(
        clock: Clock,
        callers: ServiceDirectory,
        services: HashSet<&'static str>,
        streams: Arc<HashSet<String>>,
        quotas: Quotas,
        audit: Audit,
        metrics: Metrics,
    ) -> Self {
        let probe = Arc::new(Identity::new(PROBE, Grants::default()));
        let services = Arc::new(services);
        Self { clock, callers, services, streams, probe, quotas, audit, metrics }
    }

    /// Checks that the service exists, that the caller proves an identity, and that the identity is
    /// granted the method, in this order. A load balancer probes without a token whether a service
    /// exists, and expects UNIMPLEMENTED if it does not.
    ///
    /// A method that does not exist cannot be granted. Its service answers that it does not exist.
    /// Health is open, and reflection needs an identity, but no grant.
    fn admit<B>(&self, request: &Request<B>) -> Result<Arc<Identity>, NotAdmitted> {
        let refused = |error, caller| NotAdmitted { error, caller };
        let path = request.uri().path();
        let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        match service {
            Some((service, _)) if self.services.contains(service) => {}
            _ => return Err(refused(Error::ActionNotFound, None)),
        }
        if path.starts_with(HEALTH) {
            return Ok(Arc::clone(&self.probe));
        }
        let identity = self.proven_identity(request);
        let identity = identity.ok_or_else(|| refused(Error::ServiceUnauthenticated, None))?;
        if identity.may_call(path) || !is_method(path) {
            return Ok(identity);
        }
        Err(refused(Error::ServiceForbidden, Some(Arc::clone(identity.name()))))
    }

    /// Lets a call run, unless its caller calls too often or has too many running calls. Health
    /// checks are not limited.
    fn let_run<B>(
        &self,
        identity: &Arc<Identity>,
        request: &Request<B>,
    ) -> Result<AdmittedCall, NotAdmitted> {
        if Arc::ptr_eq(identity, &self.probe) {
            return Ok(AdmittedCall::Unary(Admission::default()));
        }
        let (name, rate, path) = (identity.name(), identity.rate(), request.uri().path());
        let admitted = if self.streams.contains(path) || path.starts_with(REFLECTION) {
            self.quotas.admit_stream(name, rate).map(AdmittedCall::Stream)
        } else {
            let account_id = account_id(request.headers());
            let account_id = account_id.and_then(|text| AccountId::parse(&text));
            self.quotas.admit_call(name, account_id, rate).map(AdmittedCall::Unary)
        };
        admitted.map_err(|error| NotAdmitted { error, caller: Some(Arc::clone(name)) })
    }

    /// Records a call that is not admitted, for audit, in the log and in the metrics.
    fn record<B>(
        &self,
        refused: NotAdmitted,
        request: &Request<B>,
        request_id: RequestId,
        origin: Origin,
        arrived: Instant,
    ) {
        let NotAdmitted { error, caller } = refused;
        let path = request.uri().path();
        self.metrics.call_started(path, arrived).finished(error.grpc_code());
        let path = logged_path(path);
        let service = caller.as_ref().map(|name| Principal::Verified(format!("service:{name}")));
        // What a stranger names must not be among the records of an account.
        let named = account_id(request.headers()).and_then(|text| AccountId::parse(&text));
        let named = named.filter(|_| caller.is_some());
        self.audit.refused(&Refused {
            action: path.rsplit('/').next().unwrap_or(path),
            error: &error,
            api_version: None,
            principal: service.unwrap_or(Principal::Unknown),
            account_id: named,
            resource: String::new(),
            request_id: &request_id,
            origin: &origin,
            at: self.clock.wire_now(),
        });
        let subject = Subject { caller, ..Subject::default() };
        let line = CallLine { action: path, request_id, wire: Wire::Grpc, origin, subject };
        line.write(Some(&error), arrived.elapsed());
    }

    /// Returns the identity that the caller proves. If a token is sent, it decides alone: a wrong
    /// token is refused, whatever the certificate of the connection is.
    fn proven_identity<B>(&self, request: &Request<B>) -> Option<Arc<Identity>> {
        let mut sent = request.headers().get_all(AUTHORIZATION).iter();
        let Some(first) = sent.next() else {
            let peer = request.extensions().get::<Peer>()?;
            return self.callers.of_certificate(&peer.certificate_names);
        };
        // If there are two, it is unknown which of them a proxy has checked: neither is used.
        if sent.next().is_some() {
            return None;
        }
        let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        is_bearer.then(|| self.callers.of_token(token, || self.clock.wire_now()))?
    }
}

/// A call that is refused before it reaches its service.
struct NotAdmitted {
    error: Error,
    /// The name of the calling service, if it is authenticated.
    caller: Option<Arc<str>>,
}

/// A call that may run.
enum AdmittedCall {
    /// It runs until it is answered.
    Unary(Admission),
    /// It runs until its stream ends.
    Stream(Admission),
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

impl<S, B> Service<Request<B>> for ServiceAuth<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (request_id, arrived) = (RequestId::random(), Instant::now());
        let origin = Origin::of(request.headers(), request.extensions());
        let layer = &self.layer;
        let admitted = layer.admit(&request).and_then(|identity| {
            let running = layer.let_run(&identity, &request)?;
            Ok((identity, running))
        });
        let (identity, running) = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => {
                let mut response = status::of(&refused.error, &request_id, None).into_http();
                add_request_id(response.headers_mut(), &request_id);
                layer.record(refused, &request, request_id, origin, arrived);
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        let caller = Caller::Service { identity, account_id: account_id(request.headers()) };
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
            Ok(match running {
                AdmittedCall::Unary(admission) => {
                    drop(admission); // the client may be slow to read
                    response
                }
                AdmittedCall::Stream(admission) => {
                    response.map(|body| Body::new(Keeping::new(body, Some(admission))))
                }
            })
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
    if is_method(path) { path } else { OTHER }
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
