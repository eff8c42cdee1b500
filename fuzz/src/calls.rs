//! Calls over gRPC: the bytes of the request's body are frames with a message. They reach the code
//! that decodes a message as behind the listener, with the same limits, below the same layer.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use cdn_activation::audit::Audit;
use cdn_activation::grpc::layers::{Guard, Hold};
use cdn_activation::grpc::services::Answer;
use cdn_activation::metrics::{CallType, Metrics};
use cdn_activation::proto::{self, cdn, dcdn, operator};
use cdn_activation::server::no_grpc;
use cdn_activation::traces::Traces;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::body::Body;
use tonic::codec::{CompressionEncoding, EnabledCompressionEncodings};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::{Layer, Service};

use super::parameters::two_lines;

/// Largest message, as behind the listener.
const LARGEST: usize = 64 * 1024;

/// Answers a call after its message was decoded.
type Decode = fn(Request<Body>) -> Answer;

/// A request type: its name, the answer to a call with it, and whether bytes are a message of it.
type RequestType = (&'static str, Decode, fn(&[u8]) -> bool);

/// Names the request types of a module, with the function that decodes each.
macro_rules! requests {
    ($($module:ident::v1::{$($request:ident),*})*) => {
        const REQUESTS: &[RequestType] = &[$($((
            concat!("activation.", stringify!($module), ".v1.", stringify!($request)),
            |request| decoded::<$module::v1::$request>(request),
            |bytes| $module::v1::$request::decode(bytes).is_ok(),
        )),*),*];
    };
}

requests! {
    cdn::v1::{
        OpenCdnServiceRequest, DescribeCdnServiceRequest, ModifyCdnServiceRequest,
        DescribeUserCdnStatusRequest, DescribeCdnUserBillTypeRequest
    }
    dcdn::v1::{
        OpenDcdnServiceRequest, DescribeDcdnServiceRequest, DescribeUserDcdnStatusRequest,
        DescribeDcdnUserBillTypeRequest
    }
    operator::v1::{
        CreateAccessKeyRequest, DisableAccessKeyRequest, EnableAccessKeyRequest,
        DeleteAccessKeyRequest, ListAccessKeysRequest, IssueSecurityTokenRequest,
        CreateAccountRequest, GetAccountRequest, UpdateAccountRequest, ListAccountsRequest,
        ScheduleChargeTypeChangeRequest, CancelChargeTypeChangeRequest,
        ListChargeTypeChangesRequest, ListEventsRequest, WatchEventsRequest, GetInstanceRequest,
        ListInstancesRequest, LockRequest, UnlockRequest, ListOperationLocksRequest,
        ListAuditRecordsRequest
    }
}

/// The path of each method, and what its request type needs.
static METHODS: LazyLock<Vec<(String, &'static RequestType)>> = LazyLock::new(|| {
    let methods = proto::methods().filter(|method| method.full_name().starts_with("activation."));
    // The commerce system serves the methods of `order`.
    let methods = methods.filter(|method| !method.full_name().starts_with("activation.order."));
    let with_type = methods.map(|method| {
        let path = proto::path_of(&method);
        let input = method.input();
        let of_type = REQUESTS.iter().find(|(name, ..)| *name == input.full_name());
        (path, of_type.unwrap_or_else(|| panic!("REQUESTS lacks {}", input.full_name())))
    });
    let methods: Vec<_> = with_type.collect();
    assert_eq!(methods.len(), REQUESTS.len(), "each request type belongs to one method");
    methods
});

static GUARD: LazyLock<Guard> = LazyLock::new(|| {
    let paths = METHODS.iter().map(|(path, _)| (path.clone(), CallType::Unary)).collect();
    let metrics = Metrics::new(paths);
    let audit = Audit::new(metrics.clone());
    Guard::new(metrics, Arc::default(), 1, audit, Traces::default())
});

/// A handler of one request type that answers with an empty message.
struct Handler<T>(PhantomData<T>);

impl<T> Service<tonic::Request<T>> for Handler<T> {
    type Response = tonic::Response<()>;
    type Error = Status;
    type Future = Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: tonic::Request<T>) -> Self::Future {
        ready(Ok(tonic::Response::new(())))
    }
}

fn decoded<T: Message + Default + 'static>(request: Request<Body>) -> Answer {
    let mut gzip = EnabledCompressionEncodings::default();
    gzip.enable(CompressionEncoding::Gzip);
    let server = tonic::server::Grpc::new(ProstCodec::<(), T>::default())
        .apply_max_message_size_config(Some(LARGEST), None);
    let mut server = server.apply_compression_config(gzip, gzip);
    Box::pin(async move { Ok(server.unary(Handler::<T>(PhantomData), request).await) })
}

/// All methods.
#[derive(Clone)]
struct Decoding;

impl Service<Request<Body>> for Decoding {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let method = METHODS.iter().find(|(path, _)| path == request.uri().path());
        let (_, (_, decode, _)) = method.expect("a method");
        decode(request)
    }
}

/// The number of a method, flags, the value of `grpc-timeout` and a line feed, the value of
/// `content-type` and a line feed, and the body.
///
/// A fault is never the answer, and a well-formed call always succeeds.
pub fn calls(data: &[u8]) {
    let [number, flags, rest @ ..] = data else { return };
    let (timeout, rest) = two_lines(rest);
    let (content_type, body) = two_lines(rest);
    let (path, (_, _, can_decode)) = &METHODS[usize::from(*number) % METHODS.len()];
    let is_well_formed = message_of(body).is_some_and(can_decode);
    let mut request = Request::new(Body::new(Full::from(body.to_vec())));
    *request.method_mut() = if flags & 1 == 0 { Method::POST } else { Method::GET };
    *request.uri_mut() = path.parse().expect("a path");
    let gzip: &[u8] = if flags & 2 == 0 { b"" } else { b"gzip" };
    let headers =
        [("grpc-timeout", timeout), ("content-type", content_type), ("grpc-encoding", gzip)];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value)
            && !value.is_empty()
        {
            request.headers_mut().insert(name, value);
        }
    }
    if let Some(refused) = no_grpc::answer(&request) {
        assert!([405, 415].contains(&refused.status().as_u16()), "{refused:?}");
        return;
    }
    let code = answer(GUARD.layer(Decoding), request);
    let is_fault = matches!(code, Code::Internal | Code::Unknown | Code::Unavailable);
    assert!(!is_fault, "{code:?}");
    if is_well_formed {
        assert_eq!(code, Code::Ok, "{path}");
    }
}

/// Returns the message of a body that is one frame without compression.
fn message_of(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<5>()?;
    let [0, length @ ..] = prefix else { return None };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (length == message.len() && length <= LARGEST).then_some(message)
}

fn answer(mut services: Hold<Decoding>, request: Request<Body>) -> Code {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let Ok(response) = services.call(request).await;
        if let Some(status) = Status::from_header_map(response.headers()) {
            return status.code();
        }
        let body = response.into_body().collect().await.expect("a body");
        let trailers = body.trailers().expect("trailers");
        Status::from_header_map(trailers).expect("a status").code()
    })
}
