//! All services by name, and the lookup of the service of a call, for the listener and the shim.
//!
//! tonic's `Routes` are not used. They are the router of a web framework, which records path
//! parameters for each call, although there are none, and boxes the bodies of request and response
//! once more.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::NamedService;
use tower::Service;

/// The future that a generated service returns.
pub type Answer = BoxFuture<Response<Body>, Infallible>;

/// A generated service. It is always ready, and cheap to clone.
pub trait Answers: Send + Sync {
    /// Answers one call.
    fn answer(&self, request: Request<Body>) -> Answer;
}

impl<S> Answers for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>,
    S: Clone + Send + Sync,
{
    fn answer(&self, request: Request<Body>) -> Answer {
        self.clone().call(request)
    }
}

/// The services of a listener. Clones share them.
#[derive(Clone, Default)]
pub struct Services(Arc<HashMap<&'static str, Arc<dyn Answers>>>);

impl Services {
    /// Adds a service under the name from its proto file.
    #[must_use]
    pub fn with<S: Answers + NamedService + 'static>(mut self, service: S) -> Self {
        Arc::make_mut(&mut self.0).insert(S::NAME, Arc::new(service));
        self
    }
}

impl Services {
    /// Returns the names of the services.
    #[must_use]
    pub fn names(&self) -> HashSet<&'static str> {
        self.0.keys().copied().collect()
    }
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let path = request.uri().path();
        let named = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        match named.and_then(|(service, _)| self.0.get(service)) {
            Some(service) => service.answer(request),
            None => Box::pin(ready(Ok(Status::unimplemented("").into_http()))),
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}
