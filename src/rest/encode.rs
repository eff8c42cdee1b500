//! Step 7: a reply message becomes JSON or XML by its descriptor, and a status becomes the error
//! body. One walk for both formats; absent fields are left out; the root element is named like the
//! message.

use std::fmt::Write;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};
use tonic::Status;
use tonic_types::StatusExt;

use super::dispatch::Spellings;
use super::parameters::Format;
use crate::context::RequestId;
use crate::domain::{Time, time};
use crate::grpc::status::HTTP_STATUS;

const XML_DECLARATION: &str = "<?xml version='1.0' encoding='UTF-8'?>";
const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// A body and the HTTP status that goes with it.
#[derive(Debug)]
pub struct Body {
    /// The HTTP status.
    pub http_status: u16,
    /// The text.
    pub text: String,
}

impl Format {
    /// The content type, letter for letter as clients compare it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }
}

/// The body of a reply.
#[must_use]
pub fn reply(message: &DynamicMessage, format: Format, spellings: &Spellings) -> Body {
    let tree = Node::of_message(message, spellings);
    Body { http_status: 200, text: render(&tree, message.descriptor().name(), format) }
}

/// The body of a refusal: what it says is exactly what any gRPC client can read in the status.
#[must_use]
pub fn refusal(status: &Status, request_id: &RequestId, host_id: &str, format: Format) -> Body {
    let info = status.get_details_error_info();
    let http_status = info
        .as_ref()
        .and_then(|info| info.metadata.get(HTTP_STATUS))
        .and_then(|number| number.parse().ok());
    let code = info.map_or_else(|| "InternalError".to_owned(), |info| info.reason);
    let text = |text: &str| Node::Text(text.to_owned());
    let tree = Node::Object(vec![
        ("RequestId".to_owned(), text(request_id.as_str())),
        ("HostId".to_owned(), text(host_id)),
        ("Code".to_owned(), text(&code)),
        ("Message".to_owned(), text(status.message())),
    ]);
    Body { http_status: http_status.unwrap_or(500), text: render(&tree, "Error", format) }
}

fn render(tree: &Node, root: &str, format: Format) -> String {
    let mut text = String::with_capacity(256);
    match format {
        Format::Json => json(tree, &mut text),
        Format::Xml => {
            text.push_str(XML_DECLARATION);
            xml(root, tree, &mut text);
        }
    }
    text
}

/// What both formats say.
enum Node {
    Text(String),
    Bool(bool),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn of_message(message: &DynamicMessage, spellings: &Spellings) -> Self {
        let descriptor: MessageDescriptor = message.descriptor();
        let present =
            |field: &FieldDescriptor| !field.supports_presence() || message.has_field(field);
        let members = descriptor.fields().filter(present).filter_map(|field| {
            let node = Self::of_value(&message.get_field(&field), &field.kind(), spellings)?;
            Some((field.json_name().to_owned(), node))
        });
        Self::Object(members.collect())
    }

    /// `None` for an enum value without a spelling: it says that there is none.
    fn of_value(value: &Value, kind: &Kind, spellings: &Spellings) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::String(value) => Self::Text(value.clone()),
            Value::EnumNumber(number) => Self::Text(spellings.of(kind, *number)?),
            Value::Message(message) if message.descriptor().full_name() == TIMESTAMP => {
                Self::Text(spell_timestamp(message))
            }
            Value::Message(message) => Self::of_message(message, spellings),
            Value::List(values) => Self::List(
                values.iter().filter_map(|item| Self::of_value(item, kind, spellings)).collect(),
            ),
            other => Self::Text(other.to_string()),
        })
    }
}

fn spell_timestamp(message: &DynamicMessage) -> String {
    let seconds = message.get_field_by_name("seconds").and_then(|value| value.as_i64());
    let instant = seconds.and_then(|seconds| Time::from_timestamp(seconds, 0));
    instant.map(time::format).unwrap_or_default()
}

fn json(node: &Node, out: &mut String) {
    match node {
        Node::Text(text) => json_text(text, out),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                json(item, out);
            }
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                json_text(name, out);
                out.push(':');
                json(member, out);
            }
            out.push('}');
        }
    }
}

fn json_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// An element; a list repeats it.
fn xml(name: &str, node: &Node, out: &mut String) {
    if let Node::List(items) = node {
        for item in items {
            xml(name, item, out);
        }
        return;
    }
    write!(out, "<{name}>").expect("a String takes any text");
    match node {
        Node::Text(text) => xml_text(text, out),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Object(members) => members.iter().for_each(|(name, member)| xml(name, member, out)),
        Node::List(_) => {} // has returned above
    }
    write!(out, "</{name}>").expect("a String takes any text");
}

/// Escapes; what no XML can carry is dropped, though none should come this far. Line feeds stay:
/// the V3 text of `SignatureDoesNotMatch` has them.
fn xml_text(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if character.is_control() => {}
            _ => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_escape_what_they_must() {
        let tree = Node::Object(vec![
            ("A".to_owned(), Node::Text("<&>\"\u{1}\n".to_owned())),
            (
                "B".to_owned(),
                Node::List(vec![Node::Text("1".to_owned()), Node::Text("2".to_owned())]),
            ),
            ("C".to_owned(), Node::List(Vec::new())),
            ("D".to_owned(), Node::Bool(false)),
        ]);
        let json = render(&tree, "R", Format::Json);
        assert_eq!(json, r#"{"A":"<&>\"\u0001\n","B":["1","2"],"C":[],"D":false}"#);
        let xml = render(&tree, "R", Format::Xml);
        let body = "<R><A>&lt;&amp;&gt;\"\n</A><B>1</B><B>2</B><D>false</D></R>";
        assert_eq!(xml, format!("{XML_DECLARATION}{body}"));
    }
}
