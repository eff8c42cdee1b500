//! Step 3 as the shim sees it: (Version, Action) finds an rpc by descriptor, parameters become its
//! message, and the same service that answers gRPC is called in-process. Nothing here knows an
//! action.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Buf;
use http::uri::PathAndQuery;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, Value,
};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::Routes;

use crate::auth::SignedRequest;
use crate::context::Context;
use crate::error::Error;
use crate::proto::DESCRIPTORS;

/// The number of an enum value that no spelling names: the action's own rule refuses it, whichever
/// wire it came over.
const UNKNOWN_VALUE: i32 = -1;

/// Every rpc that the RPC query format can reach, by API version and name.
#[derive(Clone, Debug)]
pub struct Dispatch {
    versions: HashMap<String, HashMap<String, Arc<Rpc>>>,
    spellings: Spellings,
}

/// An rpc that an action reaches.
#[derive(Debug)]
pub struct Rpc {
    path: PathAndQuery,
    input: MessageDescriptor,
    output: MessageDescriptor,
    /// What a permission policy calls it, like "cdn:OpenCdnService".
    pub permission: String,
}

/// The option that says how an enum value is spelled.
#[derive(Clone, Debug)]
pub struct Spellings(ExtensionDescriptor);

impl Spellings {
    /// How a value of an enum field is spelled; `None` for one without a spelling.
    #[must_use]
    pub fn of(&self, kind: &Kind, number: i32) -> Option<String> {
        self.spelling(&kind.as_enum()?.get_value(number)?)
    }

    /// The number of a spelled value.
    fn number(&self, kind: &Kind, spelling: &str) -> Option<i32> {
        let values = kind.as_enum()?.values().collect::<Vec<_>>();
        let value =
            values.iter().find(|value| self.spelling(value).as_deref() == Some(spelling))?;
        Some(value.number())
    }

    fn spelling(&self, value: &prost_reflect::EnumValueDescriptor) -> Option<String> {
        let options = value.options();
        let spelling = options.has_extension(&self.0).then(|| options.get_extension(&self.0))?;
        Some(spelling.as_str()?.to_owned())
    }
}

impl Dispatch {
    /// Reads the descriptors of `proto/`; the error says which option or field the shim cannot
    /// serve.
    pub fn new() -> Result<Self, String> {
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| error.to_string())?;
        let option = |name: &str| {
            let full_name = format!("activation.rpc.v1.{name}");
            pool.get_extension_by_name(&full_name)
                .ok_or_else(|| format!("there is no option {full_name}"))
        };
        let (versions, method_versions) = (option("versions")?, option("method_versions")?);
        let product = option("product")?;
        let mut by_version: HashMap<String, HashMap<String, Arc<Rpc>>> = HashMap::new();
        for service in pool.services() {
            let of_service = texts(&service.options(), &versions);
            let product =
                service.options().get_extension(&product).as_str().unwrap_or_default().to_owned();
            for method in service.methods() {
                let of_method = texts(&method.options(), &method_versions);
                let rpc = if of_service.is_empty() {
                    continue;
                } else {
                    Arc::new(Rpc::new(&method, &product)?)
                };
                for version in if of_method.is_empty() { &of_service } else { &of_method } {
                    let actions = by_version.entry(version.clone()).or_default();
                    actions.insert(method.name().to_owned(), Arc::clone(&rpc));
                }
            }
        }
        Ok(Self { versions: by_version, spellings: Spellings(option("spelling")?) })
    }

    /// How enum values are spelled.
    #[must_use]
    pub fn spellings(&self) -> &Spellings {
        &self.spellings
    }

    /// The API versions that have an action of this name.
    #[must_use]
    pub fn versions_of(&self, action: &str) -> Vec<String> {
        let having = self.versions.iter().filter(|(_, actions)| actions.contains_key(action));
        having.map(|(version, _)| version.clone()).collect()
    }

    /// Whether any API version has an action of this name.
    #[must_use]
    pub fn has_action(&self, action: &str) -> bool {
        self.versions.values().any(|actions| actions.contains_key(action))
    }

    /// The rpc that an action reaches in an API version.
    pub fn find(&self, action: &str, version: &str) -> Result<&Arc<Rpc>, Error> {
        let actions = self.versions.get(version).ok_or(Error::InvalidVersion)?;
        actions.get(action).ok_or(Error::ActionNotFound)
    }

    /// The message of an rpc from the parameters that its fields name. Values are not judged: an
    /// unknown spelling becomes an unknown number.
    #[must_use]
    pub fn message(&self, rpc: &Rpc, request: &SignedRequest<'_>) -> DynamicMessage {
        let mut message = DynamicMessage::new(rpc.input.clone());
        for field in rpc.input.fields() {
            let Some(given) = request.parameter(field.json_name()) else { continue };
            let value = match field.kind() {
                kind @ Kind::Enum(_) => {
                    Value::EnumNumber(self.spellings.number(&kind, given).unwrap_or(UNKNOWN_VALUE))
                }
                _ => Value::String(given.to_owned()), // `Rpc::new` has seen to it
            };
            message.set_field(&field, value);
        }
        message
    }
}

impl Rpc {
    fn new(method: &MethodDescriptor, product: &str) -> Result<Self, String> {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let served = |field: &FieldDescriptor| {
            !field.is_list() && matches!(field.kind(), Kind::Enum(_) | Kind::String)
        };
        if let Some(field) = method.input().fields().find(|field| !served(field)) {
            return Err(format!(
                "the shim reads no parameter of the kind of {}",
                field.full_name()
            ));
        }
        Ok(Self {
            path: PathAndQuery::from_str(&path).map_err(|error| error.to_string())?,
            input: method.input(),
            output: method.output(),
            permission: format!("{product}:{}", method.name()),
        })
    }

    /// Calls the rpc in-process. The context goes along in the extensions, as from the gRPC
    /// listener.
    pub async fn call(
        &self,
        routes: Routes,
        message: DynamicMessage,
        context: Context,
    ) -> Result<DynamicMessage, Status> {
        let mut client = tonic::client::Grpc::new(routes);
        let Ok(()) = client.ready().await; // routes are always ready
        let mut request = tonic::Request::new(message);
        request.extensions_mut().insert(context);
        let codec = DynamicCodec(self.output.clone());
        Ok(client.unary(request, self.path.clone(), codec).await?.into_inner())
    }
}

fn texts(options: &DynamicMessage, extension: &ExtensionDescriptor) -> Vec<String> {
    let values = options.get_extension(extension);
    let values = values.as_list().unwrap_or_default();
    values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// Encodes a message by its own descriptor and decodes the reply by this one.
struct DynamicCodec(MessageDescriptor);

struct DynamicEncoder;

struct DynamicDecoder(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.0.clone())
    }
}

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(
        &mut self,
        message: DynamicMessage,
        buffer: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
