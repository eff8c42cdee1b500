//! Step 7: writes a reply as JSON or XML by the plan of its message, and a status as the error
//! body (`refusal`). One walk serves both formats and writes the text directly. An absent field is left out, or
//! is shown as empty text if its option says so. The root element has the name of the message.

mod refusal;

use std::time::Duration;

use tonic::Status;

pub use self::refusal::refusal;
use super::parameters::Format;
use super::plan::{Field, ReplyPlan, Shape, WhenAbsent};
use super::records::{Value, malformed, records, varint};
use crate::domain::{Time, time};

const XML_DECLARATION: &str = "<?xml version='1.0' encoding='UTF-8'?>";

/// A body and its HTTP status.
#[derive(Debug)]
pub struct Body {
    /// The HTTP status.
    pub http_status: u16,
    /// The text.
    pub text: Vec<u8>,
    /// When the client can try again, if the error says so.
    pub retry_after: Option<Duration>,
}

impl Format {
    /// Returns the content type, exactly as clients compare it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }
}

/// Writes the body of a reply. The bytes must be a message of the plan.
pub fn reply(plan: &ReplyPlan, message: &[u8], format: Format) -> Result<Body, Status> {
    let mut writer = Writer::new(format);
    writer.begin_root(&plan.name);
    writer.message(plan, message)?;
    writer.end(&plan.name);
    Ok(Body { http_status: 200, text: writer.out, retry_after: None })
}

/// Writes either format. A member is a name and a value in JSON and an element in XML. A list is an
/// array in JSON and a repeated element in XML.
struct Writer {
    format: Format,
    out: Vec<u8>,
}

impl Writer {
    fn new(format: Format) -> Self {
        Self { format, out: Vec::with_capacity(512) }
    }

    fn message(&mut self, plan: &ReplyPlan, message: &[u8]) -> Result<(), Status> {
        let records = records(message)?;
        self.begin_object();
        for field in &plan.fields {
            let of_field = records.iter().filter(|record| record.number == field.number);
            let mut values = of_field.map(|record| record.value);
            if field.is_list {
                self.begin_list(&field.name);
                values.try_for_each(|value| self.items(field, value))?;
                self.end_list();
                continue;
            }
            let default = (field.when_absent == WhenAbsent::Default).then(|| field.shape.default());
            let shown = |value: &Value<'_>| !field.shape.says_nothing(*value);
            match values.next_back().or(default).filter(shown) {
                Some(value) => self.member(field, value)?,
                None if field.when_absent == WhenAbsent::Empty => self.text_member(&field.name, ""),
                None => {}
            }
        }
        self.end_object();
        Ok(())
    }

    /// Writes the items of one record of a list: one item, or the numbers of a packed record.
    fn items(&mut self, field: &Field, value: Value<'_>) -> Result<(), Status> {
        let (Value::Bytes(mut packed), Value::Varint(_)) = (value, field.shape.default()) else {
            return self.item(field, value);
        };
        while !packed.is_empty() {
            let value = Value::Varint(varint(&mut packed)?);
            self.item(field, value)?;
        }
        Ok(())
    }

    fn item(&mut self, field: &Field, value: Value<'_>) -> Result<(), Status> {
        if field.shape.says_nothing(value) {
            return Ok(());
        }
        self.begin_item(&field.name);
        self.value(&field.shape, value)?;
        self.end(&field.name);
        Ok(())
    }

    fn member(&mut self, field: &Field, value: Value<'_>) -> Result<(), Status> {
        self.begin(&field.name);
        self.value(&field.shape, value)?;
        self.end(&field.name);
        Ok(())
    }

    fn text_member(&mut self, name: &str, text: &str) {
        self.begin(name);
        self.text(text);
        self.end(name);
    }

    fn value(&mut self, shape: &Shape, value: Value<'_>) -> Result<(), Status> {
        match (shape, value) {
            (Shape::Text, Value::Bytes(text)) => {
                self.text(std::str::from_utf8(text).map_err(|_| malformed())?);
            }
            (Shape::Bool, Value::Varint(value)) => {
                self.push(if value == 0 { "false" } else { "true" });
            }
            (Shape::Signed, Value::Varint(value)) => self.text(&value.cast_signed().to_string()),
            (Shape::Unsigned, Value::Varint(value)) => self.text(&value.to_string()),
            (Shape::Enum(spellings), Value::Varint(value)) => {
                self.text(spellings.of(value.cast_signed()).unwrap_or_default());
            }
            (Shape::Timestamp, Value::Bytes(message)) => self.text(&spell_timestamp(message)?),
            (Shape::Message(plan), Value::Bytes(message)) => self.message(plan, message)?,
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn begin_root(&mut self, name: &str) {
        if self.format == Format::Xml {
            self.push(XML_DECLARATION);
            self.begin(name);
        }
    }

    fn begin(&mut self, name: &str) {
        match self.format {
            Format::Json => {
                self.separate();
                self.text(name);
                self.out.push(b':');
            }
            Format::Xml => {
                self.out.push(b'<');
                self.push(name);
                self.out.push(b'>');
            }
        }
    }

    fn begin_item(&mut self, name: &str) {
        match self.format {
            Format::Json => self.separate(),
            Format::Xml => self.begin(name),
        }
    }

    fn end(&mut self, name: &str) {
        if self.format == Format::Xml {
            self.push("</");
            self.push(name);
            self.out.push(b'>');
        }
    }

    fn begin_list(&mut self, name: &str) {
        if self.format == Format::Json {
            self.begin(name);
            self.out.push(b'[');
        }
    }

    fn end_list(&mut self) {
        if self.format == Format::Json {
            self.out.push(b']');
        }
    }

    fn begin_object(&mut self) {
        if self.format == Format::Json {
            self.out.push(b'{');
        }
    }

    fn end_object(&mut self) {
        if self.format == Format::Json {
            self.out.push(b'}');
        }
    }

    /// Writes a comma, except after an opening bracket. A text always ends with a quotation mark.
    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    fn text(&mut self, text: &str) {
        match self.format {
            Format::Json => {
                serde_json::to_writer(&mut self.out, text).expect("writing to a Vec cannot fail");
            }
            Format::Xml => xml_text(text, &mut self.out),
        }
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

impl Shape {
    /// Returns the value of an absent field.
    fn default(&self) -> Value<'static> {
        match self {
            Self::Text | Self::Timestamp | Self::Message(_) => Value::Bytes(&[]),
            Self::Bool | Self::Signed | Self::Unsigned | Self::Enum(_) => Value::Varint(0),
        }
    }

    /// Returns whether it is an enum value without a spelling. Such a value counts as absent.
    fn says_nothing(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Enum(spellings), Value::Varint(number)) => {
                spellings.of(number.cast_signed()).is_none()
            }
            _ => false,
        }
    }
}

fn spell_timestamp(message: &[u8]) -> Result<String, Status> {
    const SECONDS: u32 = 1;
    let seconds = records(message)?.into_iter().rfind(|record| record.number == SECONDS);
    let seconds = match seconds.map(|record| record.value) {
        Some(Value::Varint(seconds)) => seconds.cast_signed(),
        None => 0,
        Some(_) => return Err(malformed()),
    };
    Ok(Time::from_timestamp(seconds, 0).map(time::format).unwrap_or_default())
}

/// Escapes a text, and drops what XML cannot contain, although none is expected here. Line feeds
/// are kept: the V3 message of `SignatureDoesNotMatch` has them.
fn xml_text(text: &str, out: &mut Vec<u8>) {
    let stays = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>');
    if text.bytes().all(stays) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for character in text.chars() {
        match character {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '\n' | '\t' => out.push(character as u8),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if character.is_control() => {}
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests;
