//! Serves a plain HTTP/1 listener: the REST shim and the ops pages. It uses hyper directly. The
//! limits that it sets for hyper are above those of the shim, so that the shim refuses with a
//! documented answer. The time limits of a connection are those of its place (`runtime/places`),
//! because hyper would use a timer for each request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::completed::{Complete, Completed};
use super::entrance::Entrance;
use super::incoming_body::IncomingBody;
use super::serving;
use super::tls::Transport;
use crate::context::Peer;
use crate::metrics::Listener;
use crate::runtime::Connections;
use crate::runtime::state::ConnectionState;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// A connection is kept for this much longer than answers announce, but the announced time is at
/// least half of the real time.
const KEPT_LONGER: Duration = Duration::from_secs(5);
/// Largest head of a request that hyper reads. It is above the limit of the shim, so that the shim
/// refuses the request with a documented answer.
const LARGEST_HEAD: usize = 48 * 1024;

/// How a listener keeps connections and completes answers.
#[derive(Clone)]
pub struct HttpOptions {
    /// How long a connection is kept without a request. Answers announce a little less.
    pub keep_alive: Duration,
    /// Completes the answers that hyper itself gives.
    pub complete: Complete,
}

/// Serves until the listener closes, then finishes running calls.
pub(super) async fn serve<H, F>(
    connections: Connections,
    entrance: Entrance,
    handler: H,
    options: HttpOptions,
) where
    H: Fn(Request<IncomingBody>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LARGEST_HEAD);
    // The official .NET SDK looks for `Content-Type` in exactly this case.
    builder.title_case_headers(true);
    // A client that has sent its last request may close its side, and is still answered.
    builder.half_close(true);
    let keep_alive = announced_keep_alive(options.keep_alive);
    let proxies = entrance.proxies().clone();
    let begin =
        move |transport: Transport, peer: Peer, state: &Arc<ConnectionState>, _: &Listener| {
            let (handler, state) = (handler.clone(), Arc::clone(state));
            let (keep_alive, proxies) = (keep_alive.clone(), proxies.clone());
            // An async block would reserve the memory of the future that it awaits twice, for each
            // connection.
            let service = service_fn(move |request: Request<Incoming>| {
                let running = state.begin();
                let mut request = request.map(|incoming| IncomingBody::new(incoming, &state, None));
                let peer = proxies.peer_of(&peer, request.headers());
                request.extensions_mut().insert(peer);
                let keep_alive = asks_to_be_kept(&request).then(|| keep_alive.clone());
                handler(copied_head(request)).map(move |mut response| {
                    let is_last = running.is_on_an_old_connection();
                    drop(running);
                    if is_last {
                        let close = HeaderValue::from_static("close");
                        response.headers_mut().insert(header::CONNECTION, close);
                    } else if let Some(keep_alive) = keep_alive {
                        response.headers_mut().insert(KEEP_ALIVE, keep_alive);
                    }
                    Ok::<_, Infallible>(response)
                })
            });
            builder.serve_connection(
                TokioIo::new(Completed::new(transport, Arc::clone(&options.complete))),
                service,
            )
        };
    serving::serve(connections, entrance, begin).await;
}

/// Returns the value of the `Keep-Alive` header. The time that it announces is less than the real
/// one, so that a client that respects it never sends a request on a connection that is being
/// closed.
fn announced_keep_alive(kept: Duration) -> HeaderValue {
    let announced = kept.saturating_sub(KEPT_LONGER).max(kept / 2).as_secs().max(1);
    HeaderValue::from_str(&format!("timeout={announced}")).expect("digits")
}

/// Whether hyper keeps the connection after the answer to this request.
fn asks_to_be_kept<B>(request: &Request<B>) -> bool {
    let connection = request.headers().get(header::CONNECTION).map(HeaderValue::as_bytes);
    let has = |option: &[u8]| connection.is_some_and(|value| value.eq_ignore_ascii_case(option));
    match request.version() {
        Version::HTTP_11 => !has(b"close"),
        _ => has(b"keep-alive"),
    }
}

/// Copies the target and the header values of a request. Hyper's values are slices of its 8 KiB
/// read buffer, and while such a slice exists, hyper allocates another 8 KiB to notice whether the
/// client disconnects.
fn copied_head<B>(mut request: Request<B>) -> Request<B> {
    let path_and_query = request.uri().path_and_query();
    let copy = path_and_query.and_then(|path| path.as_str().parse::<PathAndQuery>().ok());
    // A target with an authority is meant for a proxy, and is not copied.
    if let (None, Some(copy)) = (request.uri().authority(), copy) {
        *request.uri_mut() = copy.into();
    }
    for value in request.headers_mut().values_mut() {
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = copy;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    const VALUE: &[u8] = b"v\xe4lue";

    /// Builds a request as hyper does: its parts are slices of one buffer.
    fn read(uri: &str) -> (Bytes, Request<()>) {
        let read = Bytes::from([uri.as_bytes(), VALUE].concat());
        let value = HeaderValue::from_maybe_shared(read.slice(uri.len()..)).unwrap();
        let uri = Uri::from_maybe_shared(read.slice(..uri.len())).unwrap();
        (read, Request::get(uri).header("x-acs-name", value).body(()).unwrap())
    }

    #[test]
    fn no_part_of_a_request_holds_the_buffer_that_it_was_read_into() {
        let uri = "/?Action=DescribeDcdnService&Nonce=%20";
        let (read, request) = read(uri);
        assert!(!read.is_unique());
        let request = copied_head(request);
        assert!(read.is_unique());
        assert_eq!(request.uri(), uri);
        assert_eq!(request.headers()["x-acs-name"], VALUE);
    }

    #[test]
    fn a_request_for_a_proxy_stays_as_it_is() {
        for uri in ["http://cdn.example/?Action=A", "cdn.example:443", "*"] {
            assert_eq!(copied_head(read(uri).1).uri(), uri);
        }
    }
}
