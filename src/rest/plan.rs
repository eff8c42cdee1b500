//! How the shim reads and writes messages. A plan is made from a descriptor once, at the start. It
//! says which parameter fills which field of a request, or how each field of a reply is written.

use bytes::BufMut;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind,
    MessageDescriptor,
};

use crate::auth::SignedRequest;

const TIMESTAMP: &str = "google.protobuf.Timestamp";
/// Largest depth of messages in a reply. A message that is deeper contains itself.
const DEEPEST: usize = 16;
/// The number for a value of an enum whose spelling is unknown. The action refuses it by its own
/// rule, as over gRPC.
const UNKNOWN_VALUE: i32 = -1;

/// How a request message is made from parameters.
#[derive(Debug)]
pub struct RequestPlan {
    fields: Vec<Filled>,
}

/// A field that is filled with the parameter of its name.
#[derive(Debug)]
struct Filled {
    name: String,
    number: u32,
    /// The spellings of an enum; `None` for text.
    spellings: Option<Spellings>,
}

/// How a message of a reply is written.
#[derive(Debug)]
pub struct ReplyPlan {
    /// The message's own name.
    pub name: String,
    /// Its fields in their order.
    pub fields: Vec<Field>,
}

/// How a field of a reply is written.
#[derive(Debug)]
pub struct Field {
    /// Its documented name.
    pub name: String,
    /// Its number.
    pub number: u32,
    /// Whether it is repeated.
    pub is_list: bool,
    /// What is written if it is absent.
    pub when_absent: WhenAbsent,
    /// The kind of its value.
    pub shape: Shape,
}

/// What a reply shows for an absent field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAbsent {
    /// The default value of its kind: the field has no presence.
    Default,
    /// Nothing.
    Nothing,
    /// Empty text.
    Empty,
}

/// The kind of a value.
#[derive(Debug)]
pub enum Shape {
    /// Text.
    Text,
    /// A boolean.
    Bool,
    /// A signed number.
    Signed,
    /// An unsigned number.
    Unsigned,
    /// A value of an enum.
    Enum(Spellings),
    /// An instant.
    Timestamp,
    /// Another message.
    Message(ReplyPlan),
}

/// The options of `proto/activation/rpc/v1/options.proto` that say how fields are read and written.
#[derive(Debug)]
pub struct FieldOptions {
    /// How an enum value is spelled.
    spelling: ExtensionDescriptor,
    /// Whether an absent field is shown as empty text.
    empty_when_absent: ExtensionDescriptor,
}

/// The spellings of the values of an enum. A value can have none.
#[derive(Debug)]
pub struct Spellings(Vec<(i32, String)>);

impl FieldOptions {
    /// Finds the options. The error names one that does not exist.
    pub fn of(pool: &DescriptorPool) -> Result<Self, String> {
        Ok(Self {
            spelling: option(pool, "spelling")?,
            empty_when_absent: option(pool, "empty_when_absent")?,
        })
    }

    fn when_absent(&self, field: &FieldDescriptor) -> WhenAbsent {
        let is_set = field.options().get_extension(&self.empty_when_absent).as_bool();
        match field.supports_presence() {
            true if is_set == Some(true) => WhenAbsent::Empty,
            true => WhenAbsent::Nothing,
            false => WhenAbsent::Default,
        }
    }
}

/// Returns the option of this name. The error says that it does not exist.
pub fn option(pool: &DescriptorPool, name: &str) -> Result<ExtensionDescriptor, String> {
    let full_name = format!("activation.rpc.v1.{name}");
    pool.get_extension_by_name(&full_name).ok_or_else(|| format!("there is no option {full_name}"))
}

impl Spellings {
    fn new(values: &EnumDescriptor, option: &ExtensionDescriptor) -> Self {
        let spelled = values.values().filter_map(|value| {
            let options = value.options();
            let spelling = options.has_extension(option).then(|| options.get_extension(option))?;
            Some((value.number(), spelling.as_str()?.to_owned()))
        });
        Self(spelled.collect())
    }

    /// Returns the spelling of a value; `None` if it has none.
    #[must_use]
    pub fn of(&self, number: i64) -> Option<&str> {
        let spelled = self.0.iter().find(|(value, _)| i64::from(*value) == number)?;
        Some(&spelled.1)
    }

    /// Returns the number of the value with this spelling.
    fn number(&self, spelling: &str) -> Option<i32> {
        self.0.iter().find(|(_, spelled)| spelled == spelling).map(|(number, _)| *number)
    }
}

impl RequestPlan {
    /// Makes the plan of a request. The error names a field that no parameter can fill.
    pub fn new(message: &MessageDescriptor, options: &FieldOptions) -> Result<Self, String> {
        let filled = |field: FieldDescriptor| {
            let spellings = match field.kind() {
                _ if field.cardinality() == Cardinality::Repeated => None,
                Kind::String => Some(None),
                Kind::Enum(values) => Some(Some(Spellings::new(&values, &options.spelling))),
                _ => None,
            };
            let spellings = spellings.ok_or_else(|| {
                format!("the shim cannot read a parameter of the type of {}", field.full_name())
            })?;
            Ok(Filled { name: field.json_name().to_owned(), number: field.number(), spellings })
        };
        Ok(Self { fields: message.fields().map(filled).collect::<Result<_, String>>()? })
    }

    /// Encodes a message from the parameters that its fields name. Values are not checked: an
    /// unknown spelling becomes an unknown number.
    #[must_use]
    pub fn message(&self, request: &SignedRequest<'_>) -> Vec<u8> {
        let mut message = Vec::new();
        for Filled { name, number, spellings } in &self.fields {
            let Some(given) = request.parameter(name) else { continue };
            if let Some(spellings) = spellings {
                let value = spellings.number(given).unwrap_or(UNKNOWN_VALUE);
                encode_key(*number, WireType::Varint, &mut message);
                encode_varint(i64::from(value).cast_unsigned(), &mut message);
            } else {
                encode_key(*number, WireType::LengthDelimited, &mut message);
                encode_varint(given.len() as u64, &mut message);
                message.put_slice(given.as_bytes());
            }
        }
        message
    }
}

impl ReplyPlan {
    /// Makes the plan of a reply. The error names a field that cannot be written.
    pub fn new(message: &MessageDescriptor, options: &FieldOptions) -> Result<Self, String> {
        Self::nested(message, options, 0)
    }

    fn nested(
        message: &MessageDescriptor,
        options: &FieldOptions,
        depth: usize,
    ) -> Result<Self, String> {
        let planned = |field: FieldDescriptor| {
            let shape = match field.kind() {
                _ if depth > DEEPEST || field.is_map() => None,
                Kind::String => Some(Shape::Text),
                Kind::Bool => Some(Shape::Bool),
                Kind::Int32 | Kind::Int64 => Some(Shape::Signed),
                Kind::Uint32 | Kind::Uint64 => Some(Shape::Unsigned),
                Kind::Enum(values) => Some(Shape::Enum(Spellings::new(&values, &options.spelling))),
                Kind::Message(nested) if nested.full_name() == TIMESTAMP => Some(Shape::Timestamp),
                Kind::Message(nested) => {
                    Some(Shape::Message(Self::nested(&nested, options, depth + 1)?))
                }
                _ => None,
            };
            let shape = shape.ok_or_else(|| {
                format!("the shim cannot write a field of the type of {}", field.full_name())
            })?;
            Ok(Field {
                name: field.json_name().to_owned(),
                number: field.number(),
                is_list: field.is_list(),
                when_absent: options.when_absent(&field),
                shape,
            })
        };
        let fields = message.fields().map(planned).collect::<Result<_, String>>()?;
        Ok(Self { name: message.name().to_owned(), fields })
    }
}
