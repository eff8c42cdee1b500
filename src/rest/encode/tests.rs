//! Compares replies that a plan writes with those of a simple walk over dynamic messages.

use proptest::prelude::*;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage, Value,
};

use super::*;
use crate::proto::DESCRIPTORS;
use crate::rest::plan::{FieldOptions, option};

fn text_of(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

#[test]
fn both_formats_escape_special_characters() {
    let written = |format| {
        let mut writer = Writer::new(format);
        writer.begin_root("R");
        writer.begin_object();
        for (name, text) in [("A", "<&>\"\u{1}\n\u{fffe}é"), ("B", "[{,"), ("C", "")] {
            writer.begin(name);
            writer.text(text);
            writer.end(name);
        }
        writer.end_object();
        writer.end("R");
        text_of(writer.out)
    };
    let json = written(Format::Json);
    assert_eq!(json, "{\"A\":\"<&>\\\"\\u0001\\n\u{fffe}é\",\"B\":\"[{,\",\"C\":\"\"}");
    let body = "<R><A>&lt;&amp;&gt;\"\né</A><B>[{,</B><C></C></R>";
    assert_eq!(written(Format::Xml), format!("{XML_DECLARATION}{body}"));
}

/// Returns the replies of all public services, the option that spells enum values, and the options
/// of fields.
fn replies() -> (Vec<MessageDescriptor>, ExtensionDescriptor, FieldOptions) {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let versions = option(&pool, "versions").unwrap();
    let public = pool.services().filter(|service| service.options().has_extension(&versions));
    let replies = public.flat_map(|service| service.methods().collect::<Vec<_>>());
    let spelling = option(&pool, "spelling").unwrap();
    (replies.map(|method| method.output()).collect(), spelling, FieldOptions::of(&pool).unwrap())
}

/// Returns a message with random values.
fn arbitrary(descriptor: &MessageDescriptor, draw: &mut impl FnMut(u64) -> u64) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let number = if field.is_list() { draw(4) } else { draw(3).min(1) };
        let mut values: Vec<_> = (0..number).map(|_| arbitrary_value(&field, draw)).collect();
        if field.is_list() {
            message.set_field(&field, Value::List(values));
        } else if let Some(value) = values.pop() {
            message.set_field(&field, value);
        }
    }
    message
}

fn arbitrary_value(field: &FieldDescriptor, draw: &mut impl FnMut(u64) -> u64) -> Value {
    match field.kind() {
        Kind::Bool => Value::Bool(draw(2) == 1),
        Kind::Enum(_) => Value::EnumNumber(i32::try_from(draw(12)).unwrap() - 2),
        Kind::Int64 => Value::I64(draw(u64::MAX).cast_signed()),
        Kind::Int32 => Value::I32(i32::try_from(draw(1 << 31)).unwrap()),
        Kind::Message(nested) => Value::Message(arbitrary(&nested, draw)),
        _ => Value::String(
            ["", "a", "é<&>\"\\", "[", "{"][usize::try_from(draw(5)).unwrap()].to_owned(),
        ),
    }
}

/// The members that are shown when they are absent.
const EMPTY_WHEN_ABSENT: [&str; 2] = ["ChangingChargeType", "ChangingAffectTime"];

/// A value without a format.
enum Node {
    Text(String),
    Bool(bool),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn of_message(message: &DynamicMessage, spelling: &ExtensionDescriptor) -> Self {
        let descriptor = message.descriptor();
        let members = descriptor.fields().filter_map(|field| {
            let is_present = !field.supports_presence() || message.has_field(&field);
            let value = || Self::of_value(&message.get_field(&field), &field.kind(), spelling);
            let empty =
                EMPTY_WHEN_ABSENT.contains(&field.json_name()).then(|| Self::Text(String::new()));
            let node = is_present.then(value).flatten().or(empty)?;
            Some((field.json_name().to_owned(), node))
        });
        Self::Object(members.collect())
    }

    fn of_value(value: &Value, kind: &Kind, spelling: &ExtensionDescriptor) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::String(value) => Self::Text(value.clone()),
            Value::EnumNumber(number) => {
                let options = kind.as_enum()?.get_value(*number)?.options();
                let spelled =
                    options.has_extension(spelling).then(|| options.get_extension(spelling))?;
                Self::Text(spelled.as_str()?.to_owned())
            }
            Value::Message(message) if message.descriptor().full_name().ends_with(".Timestamp") => {
                let seconds = message.get_field_by_name("seconds")?.as_i64()?;
                Self::Text(Time::from_timestamp(seconds, 0).map(time::format).unwrap_or_default())
            }
            Value::Message(message) => Self::of_message(message, spelling),
            Value::List(values) => Self::List(
                values.iter().filter_map(|item| Self::of_value(item, kind, spelling)).collect(),
            ),
            other => Self::Text(other.to_string()),
        })
    }

    fn json(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(",");
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Text(text) => quoted(text),
            Self::Bool(value) => value.to_string(),
            Self::List(items) => format!("[{}]", joined(items.iter().map(Self::json).collect())),
            Self::Object(members) => {
                let members = members.iter().map(|(name, node)| quoted(name) + ":" + &node.json());
                format!("{{{}}}", joined(members.collect()))
            }
        }
    }

    fn xml(&self, name: &str) -> String {
        let content = match self {
            Self::List(items) => return items.iter().map(|item| item.xml(name)).collect(),
            Self::Text(text) => {
                text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
            }
            Self::Bool(value) => value.to_string(),
            Self::Object(members) => members.iter().map(|(name, node)| node.xml(name)).collect(),
        };
        format!("<{name}>{content}</{name}>")
    }
}

proptest! {
    #[test]
    fn a_reply_equals_that_of_a_walk_over_dynamic_messages(seed in 1u64..) {
        let (replies, spelling, options) = replies();
        prop_assert!(replies.len() > 8);
        let mut state = seed;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for descriptor in replies {
            let message = arbitrary(&descriptor, &mut draw);
            let node = Node::of_message(&message, &spelling);
            let plan = ReplyPlan::new(&descriptor, &options).unwrap();
            let bytes = message.encode_to_vec();
            let written = |format| text_of(reply(&plan, &bytes, format).unwrap().text);
            prop_assert_eq!(written(Format::Json), node.json());
            let xml = format!("{XML_DECLARATION}{}", node.xml(descriptor.name()));
            prop_assert_eq!(written(Format::Xml), xml);
        }
    }
}
