//! The actions of the signed API as the page shows them, from the descriptors: a new action appears
//! by itself, with its comments.

use std::borrow::Cow;

use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, ExtensionDescriptor, FieldDescriptor, Kind,
    MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};
use serde::Serialize;

use super::descriptors::{Descriptors, texts};
use super::language;
use crate::error::texts::{Language, codes_of};

const TIMESTAMP: &str = "google.protobuf.Timestamp";
/// The beginning of the names of actions that change nothing.
const READS: &str = "Describe";

/// A product with its actions.
#[derive(Debug, Serialize)]
pub struct Product {
    /// The name in permission policies.
    #[serde(rename = "product")]
    pub name: String,
    /// The full name of the gRPC service.
    pub service: String,
    /// What the service is for.
    pub comment: String,
    /// Its actions, in the order of the file.
    pub actions: Vec<Action>,
}

/// An action.
#[derive(Debug, Serialize)]
pub struct Action {
    /// The name, which is also that of the gRPC method.
    pub name: String,
    /// The API versions that have it, newest first.
    pub versions: Vec<String>,
    /// What it does.
    pub comment: String,
    /// Its name in permission policies.
    pub permission: String,
    /// Whether it changes something.
    pub writes: bool,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Its reply.
    pub reply: Reply,
    /// The codes of its own refusals.
    pub errors: Vec<String>,
}

/// A parameter of an action.
#[derive(Debug, Serialize)]
pub struct Parameter {
    /// The name on both wires.
    pub name: String,
    /// `string` or `enum`.
    pub r#type: &'static str,
    /// Whether the action refuses a request without it.
    pub required: bool,
    /// What it means.
    pub comment: String,
    /// The values of an enum.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// A value of an enum.
#[derive(Debug, Serialize)]
pub struct Value {
    /// How the signed API spells it.
    pub spelling: String,
    /// How gRPC's JSON spells it.
    #[serde(rename = "grpc_value")]
    pub in_grpc: String,
    /// What it means.
    pub comment: String,
}

/// The reply of an action.
#[derive(Debug, Serialize)]
pub struct Reply {
    /// The name of the message, which is the root element in XML.
    pub name: String,
    /// Its members.
    pub fields: Vec<Field>,
}

/// A member of a reply.
#[derive(Debug, Serialize)]
pub struct Field {
    /// The name.
    pub name: String,
    /// `string`, `boolean`, `integer`, `enum`, `timestamp` or `object`.
    pub r#type: &'static str,
    /// Whether there can be several.
    pub list: bool,
    /// What it means.
    pub comment: String,
    /// The values of an enum.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// The members of an object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// The descriptors, and the language of their comments.
pub struct Catalog {
    descriptors: Descriptors,
    language: Language,
}

impl Catalog {
    /// Reads the descriptors. Comments without a translation are in English.
    #[must_use]
    pub fn new(language: Language) -> Self {
        Self { descriptors: Descriptors::read(), language }
    }

    /// Returns the products that the signed API has.
    #[must_use]
    pub fn products(&self) -> Vec<Product> {
        let signed =
            self.descriptors.pool.services().filter(|service| !self.versions(service).is_empty());
        let products = signed.map(|service| Product {
            name: self.product(&service),
            service: service.full_name().to_owned(),
            comment: self.comment(
                service.full_name(),
                service.parent_file().name(),
                service.path(),
            ),
            actions: service.methods().map(|method| self.action(&service, &method)).collect(),
        });
        products.collect()
    }

    fn action(&self, service: &ServiceDescriptor, method: &MethodDescriptor) -> Action {
        let own = texts(&method.options(), &self.descriptors.option("method_versions"));
        let product = self.product(service);
        Action {
            name: method.name().to_owned(),
            versions: if own.is_empty() { self.versions(service) } else { own },
            comment: self.comment(method.full_name(), service.parent_file().name(), method.path()),
            permission: format!("{product}:{}", method.name()),
            writes: !method.name().starts_with(READS),
            parameters: method.input().fields().map(|field| self.parameter(&field)).collect(),
            reply: Reply {
                name: method.output().name().to_owned(),
                fields: self.fields(&method.output()),
            },
            errors: codes_of(method.name()).map(Cow::into_owned).collect(),
        }
    }

    fn parameter(&self, field: &FieldDescriptor) -> Parameter {
        let required =
            field.options().get_extension(&self.descriptors.option("required")).as_bool();
        Parameter {
            name: field.json_name().to_owned(),
            r#type: if matches!(field.kind(), Kind::Enum(_)) { "enum" } else { "string" },
            required: required == Some(true),
            comment: self.comment_of(field),
            values: self.values(field),
        }
    }

    fn fields(&self, message: &MessageDescriptor) -> Vec<Field> {
        let fields = message.fields().map(|field| {
            let (kind, fields) = match field.kind() {
                Kind::Bool => ("boolean", Vec::new()),
                Kind::Enum(_) => ("enum", Vec::new()),
                Kind::String => ("string", Vec::new()),
                Kind::Message(nested) if nested.full_name() == TIMESTAMP => {
                    ("timestamp", Vec::new())
                }
                Kind::Message(nested) => ("object", self.fields(&nested)),
                _ => ("integer", Vec::new()),
            };
            Field {
                name: field.json_name().to_owned(),
                r#type: kind,
                list: field.is_list(),
                comment: self.comment_of(&field),
                values: self.values(&field),
                fields,
            }
        });
        fields.collect()
    }

    /// Returns the values that have a spelling, if the field is an enum.
    fn values(&self, field: &FieldDescriptor) -> Vec<Value> {
        let Kind::Enum(values) = field.kind() else { return Vec::new() };
        let spelling = self.descriptors.option("spelling");
        values.values().filter_map(|value| self.value(&values, &value, &spelling)).collect()
    }

    fn value(
        &self,
        of: &EnumDescriptor,
        value: &EnumValueDescriptor,
        spelling: &ExtensionDescriptor,
    ) -> Option<Value> {
        let options = value.options();
        let spelling = options.has_extension(spelling).then(|| options.get_extension(spelling))?;
        Some(Value {
            spelling: spelling.as_str()?.to_owned(),
            in_grpc: value.name().to_owned(),
            comment: self.comment(value.full_name(), of.parent_file().name(), value.path()),
        })
    }

    fn comment_of(&self, field: &FieldDescriptor) -> String {
        self.comment(field.full_name(), field.parent_file().name(), field.path())
    }

    fn comment(&self, full_name: &str, file: &str, path: &[i32]) -> String {
        if let Some(translated) = language::comment(self.language, full_name) {
            return translated;
        }
        self.descriptors.comment(file, path)
    }

    fn versions(&self, service: &ServiceDescriptor) -> Vec<String> {
        texts(&service.options(), &self.descriptors.option("versions"))
    }

    fn product(&self, service: &ServiceDescriptor) -> String {
        let product = self.descriptors.option("product");
        service.options().get_extension(&product).as_str().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::Dispatch;

    fn actions(language: Language) -> Vec<Action> {
        let products = Catalog::new(language).products();
        products.into_iter().flat_map(|product| product.actions).collect()
    }

    #[test]
    fn every_action_of_the_shim_is_listed_with_its_versions() {
        let dispatch = Dispatch::new().unwrap();
        let actions = actions(Language::English);
        assert_eq!(actions.len(), 9);
        for action in &actions {
            let mut versions = dispatch.versions_of(&action.name);
            versions.sort_by(|one, other| other.cmp(one));
            assert_eq!(action.versions, versions, "{}", action.name);
        }
    }

    #[test]
    fn a_parameter_has_its_values_and_its_required_mark() {
        let open = actions(Language::English).into_iter().find(|a| a.name == "OpenDcdnService");
        let open = open.unwrap();
        assert!(open.writes && open.permission == "dcdn:OpenDcdnService");
        assert!(open.comment.starts_with("Opens DCDN for the account."));
        let names: Vec<_> = open.parameters.iter().map(|p| (p.name.as_str(), p.required)).collect();
        assert_eq!(names, [("BillType", true), ("WebsocketBillType", true)]);
        let websocket: Vec<_> =
            open.parameters[1].values.iter().map(|value| value.spelling.as_str()).collect();
        assert_eq!(websocket, ["websockettraffic", "websocketbps"]);
        let describe =
            actions(Language::English).into_iter().find(|a| a.name == "DescribeDcdnService");
        let describe = describe.unwrap();
        let locks = describe.reply.fields.iter().find(|field| field.name == "OperationLocks");
        let locks = &locks.unwrap().fields[0];
        assert!(locks.list && locks.name == "LockReason" && locks.r#type == "object");
    }

    /// Returns the comments of fields, their values and their own fields.
    fn comments(fields: &[Field]) -> Vec<&str> {
        let mut comments = Vec::new();
        for field in fields {
            comments.push(field.comment.as_str());
            comments.extend(field.values.iter().map(|value| value.comment.as_str()));
            comments.extend(self::comments(&field.fields));
        }
        comments
    }

    #[test]
    fn everything_has_a_comment_in_both_languages() {
        for language in [Language::English, Language::Chinese] {
            for action in actions(language) {
                let mut all = comments(&action.reply.fields);
                all.push(&action.comment);
                for parameter in &action.parameters {
                    all.push(&parameter.comment);
                    all.extend(parameter.values.iter().map(|value| value.comment.as_str()));
                }
                for comment in all {
                    assert!(!comment.is_empty(), "{}", action.name);
                    let is_chinese =
                        comment.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
                    assert_eq!(is_chinese, language == Language::Chinese, "{comment}");
                }
            }
        }
    }
}
