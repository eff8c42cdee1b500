//! Step 3 for the RPC query format: finds the rpc of a version and an action by its descriptor,
//! turns the parameters into its message, and calls the service that answers gRPC, in the same
//! process. No action is named here.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use prost_reflect::{DynamicMessage, ExtensionDescriptor, MethodDescriptor};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::plan::{FieldOptions, ReplyPlan, RequestPlan, option};
use crate::context::Context;
use crate::error::Error;
use crate::grpc::layers::Hold;
use crate::grpc::services::Services;
use crate::proto::POOL;
use crate::quotas::ActionQuota;

/// Every rpc that the RPC query format can reach, by API version and name.
#[derive(Clone, Debug)]
pub struct Dispatch {
    versions: HashMap<Arc<str>, HashMap<String, Arc<Rpc>>>,
}

/// An rpc that an action reaches.
#[derive(Debug)]
pub struct Rpc {
    path: PathAndQuery,
    /// How its request is made from parameters.
    pub request: RequestPlan,
    /// How its reply is written.
    pub reply: ReplyPlan,
    /// Its name in permission policies, for example "cdn:OpenCdnService".
    pub permission: String,
    /// How often an account may call it.
    pub quota: Option<ActionQuota>,
}

impl Dispatch {
    /// Reads the descriptors of `proto/`. The error names the option or field that the shim cannot
    /// serve.
    pub fn new() -> Result<Self, String> {
        let pool = &*POOL;
        let option = |name| option(pool, name);
        let (versions, method_versions) = (option("versions")?, option("method_versions")?);
        let (product, of_fields) = (option("product")?, FieldOptions::of(pool)?);
        let calls_per_second = option("calls_per_second")?;
        let mut by_version: HashMap<Arc<str>, HashMap<String, Arc<Rpc>>> = HashMap::new();
        for service in pool.services() {
            let of_service = texts(&service.options(), &versions);
            let product =
                service.options().get_extension(&product).as_str().unwrap_or_default().to_owned();
            for method in service.methods() {
                let of_method = texts(&method.options(), &method_versions);
                let rpc = if of_service.is_empty() {
                    continue;
                } else {
                    let quota = quota(&method, &calls_per_second);
                    Arc::new(Rpc::new(&method, &product, quota, &of_fields)?)
                };
                for version in if of_method.is_empty() { &of_service } else { &of_method } {
                    let actions = by_version.entry(Arc::from(version.as_str())).or_default();
                    actions.insert(method.name().to_owned(), Arc::clone(&rpc));
                }
            }
        }
        Ok(Self { versions: by_version })
    }

    /// Returns the API versions that have an action of this name.
    #[must_use]
    pub fn versions_of(&self, action: &str) -> Vec<String> {
        let having = self.versions.iter().filter(|(_, actions)| actions.contains_key(action));
        having.map(|(version, _)| version.to_string()).collect()
    }

    /// Returns whether any API version has an action of this name.
    #[must_use]
    pub fn has_action(&self, action: &str) -> bool {
        self.versions.values().any(|actions| actions.contains_key(action))
    }

    /// Returns the rpc of an action in an API version, and the version in the form that a context
    /// holds.
    pub fn find(&self, action: &str, version: &str) -> Result<(&Arc<str>, &Rpc), Error> {
        let found = self.versions.get_key_value(version);
        let (version, actions) = found.ok_or(Error::InvalidVersion)?;
        Ok((version, actions.get(action).ok_or(Error::ActionNotFound)?))
    }
}

impl Rpc {
    fn new(
        method: &MethodDescriptor,
        product: &str,
        quota: Option<ActionQuota>,
        options: &FieldOptions,
    ) -> Result<Self, String> {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        Ok(Self {
            path: PathAndQuery::from_str(&path).map_err(|error| error.to_string())?,
            request: RequestPlan::new(&method.input(), options)?,
            reply: ReplyPlan::new(&method.output(), options)?,
            permission: format!("{product}:{}", method.name()),
            quota,
        })
    }

    /// Calls the rpc in the same process. The context is in the extensions, as with the gRPC
    /// listener.
    pub async fn call(
        &self,
        services: Hold<Services>,
        message: Vec<u8>,
        context: Context,
    ) -> Result<Bytes, Status> {
        let mut client = tonic::client::Grpc::new(services);
        let Ok(()) = client.ready().await; // services are always ready
        let mut request = tonic::Request::new(message);
        request.extensions_mut().insert(context);
        Ok(client.unary(request, self.path.clone(), Encoded).await?.into_inner())
    }
}

/// Returns how often an account may call a method. Its name is the same in all API versions, so they
/// share one quota.
fn quota(method: &MethodDescriptor, calls_per_second: &ExtensionDescriptor) -> Option<ActionQuota> {
    let per_second = method.options().get_extension(calls_per_second).as_u32();
    let per_second = per_second.and_then(NonZeroU32::new)?;
    Some(ActionQuota { action: method.name().into(), per_second })
}

fn texts(options: &DynamicMessage, extension: &ExtensionDescriptor) -> Vec<String> {
    let values = options.get_extension(extension);
    let values = values.as_list().unwrap_or_default();
    values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// A codec for messages that are encoded already.
struct Encoded;

impl Codec for Encoded {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
