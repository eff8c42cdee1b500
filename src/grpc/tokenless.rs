//! Limits calls that need no token, those of the health service: the watches of the process, and
//! the calls of a connection whose request is incomplete.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::authentication::HEALTH;
use crate::context::REQUEST_ID;
use crate::error::Error;

/// The method that answers with a stream.
const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// Largest number of calls without a token on one connection whose request is incomplete.
const MOST_READ: usize = 8;

/// The metadata of a call without a token that is read. Nothing else is kept.
const READ: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::TE,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static(REQUEST_ID),
];

/// Permits for the calls without a token of one connection whose request is incomplete.
#[derive(Clone, Debug)]
pub struct OfConnection(Arc<Semaphore>);

impl Default for OfConnection {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_READ)))
    }
}

impl OfConnection {
    /// Drops the metadata of a call without a token that is not read, and attaches the permits. The
    /// rest is copied, because each value is a slice of a buffer with all metadata of the call.
    pub fn hold<B>(&self, request: &mut http::Request<B>) {
        if !request.uri().path().starts_with(HEALTH) {
            return;
        }
        let mut read = HeaderMap::new();
        for name in READ {
            let value = request.headers().get(&name);
            if let Some(Ok(copy)) = value.map(|value| HeaderValue::from_bytes(value.as_bytes())) {
                read.insert(name, copy);
            }
        }
        *request.headers_mut() = read;
        if let Ok(copy) = request.uri().path().parse::<PathAndQuery>() {
            *request.uri_mut() = copy.into();
        }
        request.extensions_mut().insert(self.clone());
    }
}

/// The permits that a call without a token has taken. Dropping them returns them.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Held until the request is answered.
    pub reading: Option<OwnedSemaphorePermit>,
    /// Held until the watch ends.
    pub watch: Option<OwnedSemaphorePermit>,
}

/// Takes the permits that a call needs. Calls with a token need none.
pub(super) fn take(
    path: &str,
    extensions: &Extensions,
    watches: &Arc<Semaphore>,
) -> Result<Taken, Error> {
    let Some(OfConnection(reading)) = extensions.get() else { return Ok(Taken::default()) };
    let take =
        |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned().map_err(|_| Error::TooManyStreams);
    let watch = (path == WATCH).then(|| take(watches)).transpose()?;
    Ok(Taken { reading: Some(take(reading)?), watch })
}
