//! Calls any action over gRPC by its name. Requests and replies are built from descriptors; the
//! numbers of enum values come from a list in this file. A reply has the form of the JSON body, so
//! that both wires can be compared.

use cdn_activation::proto::{POOL, methods};
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MethodDescriptor, ReflectMessage, Value as Field,
};
use serde_json::{Map, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use super::grpc::{GrpcRefusal, refusal};
use super::rest::{Key, Parameters, parameters};
use super::{Api, TOKEN};

/// Enum values by number and spelling. Numbers are never reused.
const SPELLINGS: [(&str, i32, &str); 9] = [
    ("ChargeType", 1, "PayByTraffic"),
    ("ChargeType", 2, "PayByBandwidth"),
    ("ChargeType", 3, "PayByBandwidth95"),
    ("ChargeType", 4, "PayByBandwidth_monthavg"),
    ("ChargeType", 5, "PayByBandwidth_month4th"),
    ("ChargeType", 6, "PayByBandwidth_monthday95avg"),
    ("ChargeType", 7, "PayByBandwidth_nighthalf95"),
    ("WebsocketChargeType", 1, "websockettraffic"),
    ("WebsocketChargeType", 2, "websocketbps"),
];

impl Api {
    /// Calls an action over gRPC. The reply has the form of the JSON body. The value of an enum is
    /// given by its spelling, or as `#99` for the number 99. A spelling that does not exist is sent
    /// as the number 99.
    pub async fn call(&self, key: &Key, given: &str) -> Result<Value, GrpcRefusal> {
        self.call_with(key, &parameters(given)).await
    }

    /// Does the same with parameters of any text.
    pub async fn call_with(&self, key: &Key, given: &Parameters) -> Result<Value, GrpcRefusal> {
        let method = method(&given["Action"]);
        let mut request = Request::new(message(&method, given).encode_to_vec());
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {TOKEN}").parse().expect("visible"));
        metadata.insert("x-account-id", key.account_id.into());
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let mut client = tonic::client::Grpc::new(self.channel().await);
        client.ready().await.expect("connected");
        match client.unary(request, path.parse().expect("a path"), Bytes).await {
            Ok(reply) => {
                let reply = DynamicMessage::decode(method.output(), reply.get_ref().as_slice());
                Ok(json_of(&reply.expect("a reply of this method")))
            }
            Err(status) => Err(refusal(&status)),
        }
    }
}

/// The descriptors of `proto/`.
pub fn descriptors() -> DescriptorPool {
    POOL.clone()
}

/// Returns the rpc of an action.
pub fn method(action: &str) -> MethodDescriptor {
    methods().find(|method| method.name() == action).unwrap_or_else(|| panic!("no rpc {action}"))
}

fn message(method: &MethodDescriptor, given: &Parameters) -> DynamicMessage {
    let mut message = DynamicMessage::new(method.input());
    for field in method.input().fields() {
        let Some(text) = given.get(field.json_name()) else { continue };
        let value = match field.kind() {
            Kind::Enum(kind) => Field::EnumNumber(number(kind.name(), text)),
            _ => Field::String(text.clone()),
        };
        message.set_field(&field, value);
    }
    message
}

fn number(kind: &str, text: &str) -> i32 {
    if let Some(number) = text.strip_prefix('#') {
        return number.parse().expect("a number");
    }
    let named = SPELLINGS.iter().find(|(of, _, spelling)| *of == kind && *spelling == text);
    match named {
        Some((_, number, _)) => *number,
        None if text.is_empty() => 0,
        None => 99,
    }
}

fn json_of(message: &DynamicMessage) -> Value {
    if message.descriptor().full_name() == "google.protobuf.Timestamp" {
        let part = |name| message.get_field_by_name(name).expect("a field").into_owned();
        assert_eq!(part("nanos").as_i32(), Some(0), "instants are whole seconds");
        let seconds = part("seconds").as_i64().expect("a number");
        let instant = cdn_activation::domain::Time::from_timestamp(seconds, 0).expect("a time");
        return instant.format("%Y-%m-%dT%H:%M:%SZ").to_string().into();
    }
    let mut members = Map::new();
    for field in message.descriptor().fields() {
        if !field.supports_presence() || message.has_field(&field) {
            let value = json_of_value(&message.get_field(&field), &field.kind());
            members.insert(field.json_name().to_owned(), value);
        }
    }
    Value::Object(members)
}

fn json_of_value(value: &Field, kind: &Kind) -> Value {
    match value {
        Field::Bool(value) => (*value).into(),
        Field::String(text) => text.as_str().into(),
        Field::Message(message) => json_of(message),
        Field::List(items) => items.iter().map(|item| json_of_value(item, kind)).collect(),
        Field::EnumNumber(number) => {
            let name = kind.as_enum().expect("an enum").name().to_owned();
            let named = SPELLINGS.iter().find(|(of, n, _)| *of == name && n == number);
            named.unwrap_or_else(|| panic!("{name} {number} has no spelling")).2.into()
        }
        other => panic!("no reply has {other:?}"),
    }
}

/// A codec for messages that are already encoded.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
