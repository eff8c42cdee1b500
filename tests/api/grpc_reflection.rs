//! Reflection, with which grpcurl calls every method and reads every error without a file of
//! descriptors.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use prost::Message;
use prost_types::FileDescriptorProto;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{Api, TOKEN};

/// Every service of the gRPC listener.
const SERVICES: [&str; 12] = [
    "activation.cdn.v1.CdnService",
    "activation.dcdn.v1.DcdnService",
    "activation.operator.v1.AccessKeyService",
    "activation.operator.v1.AccountService",
    "activation.operator.v1.AuditService",
    "activation.operator.v1.ChargeTypeChangeService",
    "activation.operator.v1.EventService",
    "activation.operator.v1.InstanceService",
    "activation.operator.v1.OperationLockService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Adds the token to each call.
#[derive(Clone)]
struct Token;

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        let token = format!("Bearer {TOKEN}").parse().expect("visible characters");
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    }
}

/// Sends a request to one version of reflection and returns the answer. Both versions have the same
/// messages.
macro_rules! ask {
    ($api:expr, $version:ident, $question:ident($argument:expr)) => {{
        let channel = InterceptedService::new($api.channel().await, Token);
        let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel);
        let question = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some($version::server_reflection_request::MessageRequest::$question(
                $argument.to_owned(),
            )),
        };
        let questions = tokio_stream::iter([question]);
        let mut answers =
            client.server_reflection_info(questions).await.expect("answered").into_inner();
        answers.message().await.expect("an answer").expect("one").message_response.expect("full")
    }};
}

/// Returns the file that defines a symbol.
async fn file_of(api: &Api, symbol: &str) -> FileDescriptorProto {
    let answer = ask!(api, v1, FileContainingSymbol(symbol));
    let v1::server_reflection_response::MessageResponse::FileDescriptorResponse(files) = answer
    else {
        panic!("no file defines {symbol}: {answer:?}");
    };
    FileDescriptorProto::decode(&*files.file_descriptor_proto[0]).expect("a file descriptor")
}

#[tokio::test]
async fn both_versions_list_every_service() {
    let api = Api::start().await;
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) =
        ask!(api, v1, ListServices(""))
    else {
        panic!("no list");
    };
    let listed = list.service.len();
    let names: BTreeSet<_> = list.service.into_iter().map(|service| service.name).collect();
    assert_eq!(names.len(), listed, "no service is listed twice");
    let v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list) =
        ask!(api, v1alpha, ListServices(""))
    else {
        panic!("no list");
    };
    let names_alpha: BTreeSet<_> = list.service.into_iter().map(|service| service.name).collect();
    let of = |names: &BTreeSet<String>| {
        let known = names.iter().filter(|name| SERVICES.contains(&name.as_str()));
        (known.count(), names.iter().filter(|name| name.starts_with("activation.")).count())
    };
    // A version of reflection may leave the other version out of its list.
    assert!(of(&names).0 >= 10 && of(&names).1 == 9, "{names:?}");
    assert!(of(&names_alpha).0 >= 10 && of(&names_alpha).1 == 9, "{names_alpha:?}");
    let all: BTreeSet<_> = names.union(&names_alpha).map(String::as_str).collect();
    assert_eq!(all, BTreeSet::from(SERVICES));
}

#[tokio::test]
async fn reflection_describes_every_service_completely() {
    let api = Api::start().await;
    for service in SERVICES.into_iter().filter(|name| name.starts_with("activation.")) {
        let mut files = vec![file_of(&api, service).await];
        let mut needed: Vec<String> = files[0].dependency.clone();
        while let Some(name) = needed.pop() {
            if files.iter().any(|file| file.name() == name) {
                continue;
            }
            let answer = ask!(api, v1, FileByFilename(name));
            let v1::server_reflection_response::MessageResponse::FileDescriptorResponse(found) =
                answer
            else {
                panic!("{service} needs {name}: {answer:?}");
            };
            let file = FileDescriptorProto::decode(&*found.file_descriptor_proto[0]);
            let file = file.expect("a file descriptor");
            needed.extend(file.dependency.clone());
            files.push(file);
        }
        let mut pool = prost_reflect::DescriptorPool::new();
        pool.add_file_descriptor_protos(files).expect("nothing is missing");
        let found = pool.get_service_by_name(service).expect("described");
        let served = cdn_activation::proto::POOL.get_service_by_name(service).expect("served");
        assert_eq!(found.methods().len(), served.methods().len(), "{service}");
    }
}

#[tokio::test]
async fn reflection_describes_the_details_of_errors() {
    let api = Api::start().await;
    for (symbol, message) in [
        ("google.rpc.ErrorInfo", "ErrorInfo"),
        ("google.rpc.BadRequest", "BadRequest"),
        ("google.rpc.BadRequest.FieldViolation", "BadRequest"),
    ] {
        let file = file_of(&api, symbol).await;
        assert!(file.message_type.iter().any(|found| found.name() == message), "{symbol}");
    }
    let status = file_of(&api, "google.rpc.Status").await;
    assert!(status.message_type.iter().any(|found| found.name() == "Status"));
}

/// Opens a stream to one version of reflection, and reads an answer. Returns the sender of requests,
/// which keeps the stream open, and the answers.
macro_rules! open {
    ($api:expr, $version:ident) => {{
        let channel = InterceptedService::new($api.channel().await, Token);
        let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel);
        let (questions, asked) = tokio::sync::mpsc::channel(1);
        let question = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(
                $version::server_reflection_request::MessageRequest::ListServices(String::new()),
            ),
        };
        questions.send(question).await.expect("it is read");
        let answers = client.server_reflection_info(ReceiverStream::new(asked)).await;
        let mut answers = answers.expect("answered").into_inner();
        answers.message().await.expect("an answer").expect("one");
        (questions, answers)
    }};
}

#[tokio::test]
async fn streams_of_reflection_end_with_the_listeners() {
    let longest = Duration::from_mins(2);
    let mut api = Api::start_with(|settings| settings.drain_timeout = longest).await;
    let (_questions, mut answers) = open!(api, v1);
    let (_questions_of_alpha, mut answers_of_alpha) = open!(api, v1alpha);
    let asked = Instant::now();
    let ended = api.begin_stop();
    assert!(answers.message().await.expect("it ends in good order").is_none());
    assert!(answers_of_alpha.message().await.expect("it ends in good order").is_none());
    ended.await.expect("the service ends in good order");
    assert!(asked.elapsed() < longest / 2, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn reflection_includes_the_comments_of_the_api() {
    let api = Api::start().await;
    let file = file_of(&api, "activation.cdn.v1.CdnService").await;
    let comments = file.source_code_info.expect("comments").location;
    assert!(
        comments
            .iter()
            .any(|place| { place.leading_comments().contains("An account can open CDN once") })
    );
}
