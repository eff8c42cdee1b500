//! Calls that need no token, those of the health service, hold little: so many watches in the whole
//! process, and so many calls of one connection whose request has not come yet.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::service::{HEALTH, REQUEST_ID};
use crate::error::Error;

/// The method that answers with a stream.
const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// Calls without a token of one connection whose request has not come yet.
const MOST_READ: usize = 8;

/// What is read of the metadata of a call without a token. Nothing else is held.
const READ: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::TE,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static(REQUEST_ID),
];

/// How many calls without a token of one connection may wait for their request.
#[derive(Clone, Debug)]
pub struct OfConnection(Arc<Semaphore>);

impl Default for OfConnection {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_READ)))
    }
}

impl OfConnection {
    /// Lets go of what is not read of a call without a token, and has the call counted. What is read is
    /// copied: as it came it is a slice of all the metadata that came with it.
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

/// What a call without a token has taken, and gives back when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Until the request has been answered.
    pub reading: Option<OwnedSemaphorePermit>,
    /// Until the watch ends.
    pub watch: Option<OwnedSemaphorePermit>,
}

/// Takes what a call needs. Calls with a token need nothing.
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
