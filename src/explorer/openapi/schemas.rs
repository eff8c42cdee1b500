//! Schemas of parameters and replies, from the descriptors of their fields. Each message and enum
//! is one schema of the components, under its full name.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::actions::Api;

const TIMESTAMP: &str = "google.protobuf.Timestamp";
/// The name of the schema of times.
const TIME: &str = "Time";
const TIME_PATTERN: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\
    T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$";

/// The schemas that operations refer to.
pub(super) struct Schemas<'a> {
    api: &'a Api,
    /// The schemas by name.
    pub by_name: Map<String, Value>,
}

impl<'a> Schemas<'a> {
    /// Returns schemas without those of messages and enums, which are added where they are used.
    pub fn new(api: &'a Api) -> Self {
        let time = json!({
            "type": "string",
            "description": "UTC, in whole seconds.",
            "pattern": TIME_PATTERN,
        });
        Self { api, by_name: Map::from_iter([(TIME.to_owned(), time)]) }
    }

    /// Returns the schema of the parameter that fills the field.
    pub fn parameter(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Enum(values) => self.of_enum(&values),
            _ if self.api.is_time(field) => reference(TIME),
            _ => json!({ "type": "string" }),
        }
    }

    /// Returns a value for the parameter that fills the field, for importers to put into the form:
    /// the first value of an enum, or a time. The times of one action are in the order of its
    /// fields, a day apart.
    pub fn example(&self, field: &FieldDescriptor) -> Option<String> {
        match field.kind() {
            Kind::Enum(values) => Some(self.api.spellings(&values).swap_remove(0).0),
            _ if self.api.is_time(field) => {
                Some(format!("2018-03-{}T11:16:11Z", 18 + field.number()))
            }
            _ => None,
        }
    }

    /// Returns the schema of a reply, or of a message in it. It is named before its fields are
    /// read, so that a message may contain itself.
    pub fn message(&mut self, message: &MessageDescriptor) -> Value {
        let name = message.full_name();
        if self.by_name.contains_key(name) {
            return reference(name);
        }
        self.by_name.insert(name.to_owned(), Value::Null);
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            let mut schema = self.member(&field);
            schema["description"] = self.api.comment_of(&field).into();
            if self.is_always_there(&field) {
                required.push(field.json_name().to_owned());
            }
            properties.insert(field.json_name().to_owned(), schema);
        }
        let schema = json!({
            "type": "object",
            "title": message.name(),
            "description": self.api.comment(&message.parent_file(), message.path()),
            "required": required,
            "properties": properties,
            "additionalProperties": false,
            "xml": { "name": message.name() },
        });
        self.by_name.insert(name.to_owned(), schema);
        reference(name)
    }

    /// Returns the schema of a member of a reply (`src/rest/encode/mod.rs`).
    fn member(&mut self, field: &FieldDescriptor) -> Value {
        let value = match field.kind() {
            Kind::Enum(values) => self.of_enum(&values),
            Kind::Message(nested) if nested.full_name() == TIMESTAMP => reference(TIME),
            Kind::Message(nested) => self.message(&nested),
            Kind::Bool => json!({ "type": "boolean" }),
            // Numbers are written as text.
            Kind::Int32 | Kind::Int64 => json!({ "type": "string", "pattern": "^-?[0-9]+$" }),
            Kind::Uint32 | Kind::Uint64 => json!({ "type": "string", "pattern": "^[0-9]+$" }),
            _ => json!({ "type": "string" }),
        };
        if field.is_list() {
            json!({ "type": "array", "items": value })
        } else if self.api.is_empty_when_absent(field) {
            or_empty(&value)
        } else {
            value
        }
    }

    /// Returns whether a reply always has the member: its field has no presence, or is shown when
    /// it is absent, or is always set.
    fn is_always_there(&self, field: &FieldDescriptor) -> bool {
        !field.supports_presence()
            || self.api.is_empty_when_absent(field)
            || self.api.is_required(field)
    }

    fn of_enum(&mut self, values: &EnumDescriptor) -> Value {
        let name = values.full_name();
        if !self.by_name.contains_key(name) {
            let spelled = self.api.spellings(values);
            let of_enum = self.api.comment(&values.parent_file(), values.path());
            let of_values = spelled.iter().map(|(name, comment)| format!("* `{name}`: {comment}"));
            let description = format!("{of_enum}\n\n{}", of_values.collect::<Vec<_>>().join("\n"));
            let spellings: Vec<_> = spelled.iter().map(|(spelling, _)| spelling).collect();
            let schema = json!({
                "type": "string",
                "title": values.name(),
                "description": description,
                "enum": spellings,
            });
            self.by_name.insert(name.to_owned(), schema);
        }
        reference(name)
    }
}

/// Returns the reference to a schema of the components.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Returns the schema of a value that can also be empty text.
pub(super) fn or_empty(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "const": "" }] })
}
