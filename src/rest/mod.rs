//! The shim: steps 1 and 7 for the RPC query format. It works by descriptors and names no action.
//! It is a client of the gRPC service in the same process, so an error body says what any gRPC
//! client can read.

mod decode;
mod dispatch;
pub mod encode;
pub mod parameters;
mod plan;
mod records;
mod traced;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tonic::Status;

pub use decode::decode;
pub use dispatch::Dispatch;
use dispatch::Rpc;
use encode::Body;
use parameters::{Format, RawRequest, Received};
use traced::RequestSpan;

use crate::audit::{Audit, Principal, Refused};
use crate::auth::{Authenticator, CommonParameters, RequestLimits, Signer};
use crate::clock::Clock;
use crate::context::{Caller, Context, Origin, Wire};
use crate::domain::AccountId;
use crate::error::Error;
use crate::error::status;
use crate::grpc::layers::Hold;
use crate::grpc::services::Services;
use crate::ids::RequestId;
use crate::logging::{CallLine, Subject, log_error};
use crate::metrics::Listener;
use crate::quotas::Admission;
use crate::traces;

/// Largest part of an access key id from a caller that is logged, in bytes.
const LONGEST_ID: usize = 64;
/// The status of a response that lists the allowed methods.
const METHOD_NOT_ALLOWED: u16 = 405;
/// The header that repeats the request id of the body.
const REQUEST_ID: &str = "x-acs-request-id";
/// The headers that say how many milliseconds a client has to wait that calls too often.
const RETRY_AFTER: &str = "x-acs-retry-after";
const RATE_LIMIT: &str = "x-ratelimit-user-api";

/// Answers the RPC query format.
pub struct Shim {
    dispatch: Arc<Dispatch>,
    authenticator: Authenticator,
    services: Hold<Services>,
    clock: Clock,
    listener: Listener,
    audit: Audit,
    /// The address of the explorer, to whose pages errors point.
    explorer_url: Option<Arc<str>>,
}

/// A call that has passed authentication and the check of its permission.
struct Admitted<'s> {
    rpc: &'s Rpc,
    message: Vec<u8>,
    context: Context,
    /// Held until the request is answered.
    admission: Admission,
}

impl Shim {
    /// Returns a shim in front of these services. They have the layers that both wires share.
    /// Answers are counted on `listener`, and refusals before the call are recorded in `audit`.
    /// Errors point to the explorer at `explorer_url`.
    #[must_use]
    pub fn new(
        dispatch: Arc<Dispatch>,
        authenticator: Authenticator,
        services: Hold<Services>,
        clock: Clock,
        listener: Listener,
        audit: Audit,
        explorer_url: Option<Arc<str>>,
    ) -> Self {
        Self { dispatch, authenticator, services, clock, listener, audit, explorer_url }
    }

    /// Answers one request, which arrived at an instant, at its position in its trace. The answer to a
    /// failure is an error body.
    pub fn answer<B>(
        self: Arc<Self>,
        request: http::Request<B>,
        arrived: Instant,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (position, span) = traced::begin(self.services.traces(), &request);
        traces::within(position, self.answer_within(request, arrived, span))
    }

    async fn answer_within<B>(
        self: Arc<Self>,
        request: http::Request<B>,
        arrived: Instant,
        mut span: RequestSpan,
    ) -> Response<Full<Bytes>>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request_id = RequestId::random();
        let origin = Origin::of(request.headers(), request.extensions());
        let (admitted, format, host_id) = {
            let mut raw = RawRequest::read(request).await;
            let received = raw.received();
            let mut signer = None;
            let admitted = self.admit(&received, &request_id, &origin, &mut signer).await;
            if let Ok(Admitted { rpc, .. }) = &admitted {
                span.name_action(&rpc.permission);
            }
            let origin = (origin, arrived);
            let admitted = admitted
                .map_err(|error| self.refuse(&received, &error, &request_id, origin, signer));
            // The request is dropped here: hundreds of callers can wait for their calls at the same
            // time.
            (admitted, received.format, received.host_id.to_owned())
        };
        let body = match admitted {
            Ok(admitted) => self.call(admitted, format).await,
            Err(status) => Err(status),
        };
        match &body {
            Ok(_) => self.listener.answered(),
            Err(status) => self.listener.answered_with(status),
        }
        let explorer_url = self.explorer_url.as_deref();
        let refusal =
            |status| encode::refusal(&status, &request_id, &host_id, format, explorer_url);
        let response = response(body.unwrap_or_else(refusal), format, &request_id);
        span.finished(&response);
        response
    }

    /// Returns the answer to a request on which the shim panicked. It is in XML, as for a request
    /// that cannot be read, because the requested format is lost.
    #[must_use]
    pub fn answer_to_a_panic(&self, arrived: Instant) -> Response<Full<Bytes>> {
        let request_id = RequestId::random();
        let error = Error::internal("the shim panicked");
        log_error(&error, "-", &request_id, Origin::default(), Wire::Rest, arrived);
        let status = status::of(&error, &request_id, None);
        self.listener.answered_with(&status);
        let explorer_url = self.explorer_url.as_deref();
        let body = encode::refusal(&status, &request_id, "", Format::Xml, explorer_url);
        response(body, Format::Xml, &request_id)
    }

    /// Authenticates a request, checks its permission, and takes its call from the quota. `signer` is
    /// set once the signature was found to match.
    async fn admit(
        &self,
        received: &Received<'_>,
        request_id: &RequestId,
        origin: &Origin,
        signer: &mut Option<Signer>,
    ) -> Result<Admitted<'_>, Error> {
        received.problem.clone().map_or(Ok(()), Err)?;
        let request = received.signed();
        let common = CommonParameters::read(&request);
        let found = common.action().map(|(action, version)| self.dispatch.find(action, version));
        if let Some(unreadable) = &received.unreadable {
            found.ok().transpose()?;
            return Err(unreadable.clone());
        }
        let (version, rpc) = found??;
        let credentials = common.credentials()?;
        let wire_now = self.clock.wire_now();
        let limits = RequestLimits { address: origin.address, quota: rpc.quota.as_ref() };
        let authenticator = &self.authenticator;
        let key =
            authenticator.authenticate(&request, &credentials, limits, wire_now, signer).await?;
        key.permit(&rpc.permission, credentials.access_key_id, wire_now)?;
        key.admission.take()?; // a denied request takes nothing from the quota of the account

        let message = rpc.request.message(&request);
        let caller = caller(key.signer, credentials.access_key_id);
        let (request_id, origin) = (request_id.clone(), origin.clone());
        let mut context = self.clock.context(request_id, caller, origin, Wire::Rest);
        context.wire_now = wire_now;
        context.api_version = Some(Arc::clone(version));
        Ok(Admitted { rpc, message, context, admission: key.admission })
    }

    async fn call(&self, admitted: Admitted<'_>, format: Format) -> Result<Body, Status> {
        let Admitted { rpc, message, context, admission } = admitted;
        let reply = rpc.call(self.services.clone(), message, context).await?;
        drop(admission);
        encode::reply(&rpc.reply, &reply, format)
    }

    /// Returns the status of an error before the call, and logs the error with the time since the
    /// request arrived. A called action writes its own log line.
    fn refuse(
        &self,
        received: &Received<'_>,
        error: &Error,
        request_id: &RequestId,
        (origin, arrived): (Origin, Instant),
        signer: Option<Signer>,
    ) -> Status {
        let request = received.signed();
        let common = CommonParameters::read(&request);
        let action = common.action().map_or("-", |(action, _)| action);
        // The name of an unknown action is an arbitrary text of the client, and is not logged.
        let action = if self.dispatch.has_action(action) { action } else { "-" };
        let key = common.access_key_id();
        let account_id = signer.as_ref().map(|signer| signer.account_id);
        self.audit.refused(&Refused {
            action,
            error,
            api_version: None,
            principal: match (signer, key) {
                (Some(signer), Some(id)) => Principal::Verified(caller(signer, id).principal()),
                (None, Some(id)) => Principal::UnverifiedKey(id),
                (_, None) => Principal::Unknown,
            },
            account_id,
            resource: String::new(),
            request_id,
            origin: &origin,
            at: self.clock.wire_now(),
        });
        let subject = Subject {
            account_id: account_id.map(AccountId::get),
            access_key_id: key.map(|id| id[..id.floor_char_boundary(LONGEST_ID)].to_owned()),
            ..Subject::default()
        };
        let (request_id, wire) = (request_id.clone(), Wire::Rest);
        let line = CallLine { action, request_id, wire, origin, subject };
        line.write(Some(error), arrived.elapsed());
        status::of(error, &line.request_id, None)
    }
}

/// Returns the caller of a request with this access key id.
fn caller(signer: Signer, access_key_id: &str) -> Caller {
    let Signer { account_id, parent } = signer;
    Caller::Account { account_id, access_key_id: access_key_id.into(), parent }
}

/// Returns the whole response to bytes that hyper cannot read as a request. It is in XML, because
/// the requested format is not known.
#[must_use]
pub fn answer_to_what_is_no_request(status: u16, explorer_url: Option<&str>) -> Vec<u8> {
    let too_large = [StatusCode::URI_TOO_LONG, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE];
    let is_too_large = too_large.iter().any(|too_large| too_large.as_u16() == status);
    let error = if is_too_large { Error::RequestTooLarge } else { Error::MalformedRequest };
    let request_id = RequestId::random();
    let status = status::of(&error, &request_id, None);
    let body = encode::refusal(&status, &request_id, "", Format::Xml, explorer_url);
    let reason = StatusCode::from_u16(body.http_status).ok();
    let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nX-Acs-Request-Id: {}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.http_status,
        Format::Xml.content_type(),
        request_id.as_str(),
        body.text.len(),
    );
    [head.into_bytes(), body.text].concat()
}

fn response(body: Body, format: Format, request_id: &RequestId) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.text));
    *response.status_mut() =
        StatusCode::from_u16(body.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(retry_after) = body.retry_after.map(|wait| wait.as_millis()) {
        // Python retries only with the first header, and Java takes the time from the second one.
        let left = format!("Remain:0,TimeLeft:{retry_after}");
        for (name, value) in [(RETRY_AFTER, retry_after.to_string()), (RATE_LIMIT, left)] {
            headers.insert(name, HeaderValue::from_str(&value).expect("digits and letters"));
        }
    }
    if body.http_status == METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}
