//! The messages of OTLP that carry spans, with the fields that are sent. They are those of
//! opentelemetry-proto 1.x, which only adds fields. The published crates would bring a second copy of
//! `rand` and `getrandom` into the tree, for ids that this module makes itself.

/// The method that takes spans.
pub const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The code of a status of a span that failed.
pub const STATUS_ERROR: i32 = 2;
/// The flag of a span or link whose position was sampled.
const SAMPLED: u32 = 1;
/// The flag that says that the next flag is set correctly.
const HAS_IS_REMOTE: u32 = 0x100;
/// The flag of a span whose parent, or a link whose target, is in another process.
const IS_REMOTE: u32 = 0x200;

/// Returns the flags of a sampled span or link.
pub(super) fn flags(is_remote: bool) -> u32 {
    SAMPLED | HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 }
}

/// `ExportTraceServiceRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportRequest {
    /// The spans of each process.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportResponse {
    /// What was refused, if anything was.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartialSuccess {
    /// Number of spans that were refused.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
}

/// The spans of one process.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceSpans {
    /// The process.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// The spans of each library.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// A process.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resource {
    /// What is known of it.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<Attribute>,
}

/// The spans of one library.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeSpans {
    /// The library.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// Its spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<SpanMessage>,
}

/// `InstrumentationScope`: the library that has made spans.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Scope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// `Span`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SpanMessage {
    /// The trace, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// The span, 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// The `tracestate` of the caller.
    #[prost(string, tag = "3")]
    pub trace_state: String,
    /// The span that this one is a part of; empty for the first span of a trace.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// What is done.
    #[prost(string, tag = "5")]
    pub name: String,
    /// A [`SpanKind`].
    #[prost(enumeration = "SpanKind", tag = "6")]
    pub kind: i32,
    /// The start, in nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// The end, in nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// What is recorded.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<Attribute>,
    /// The spans of other traces that it belongs to.
    #[prost(message, repeated, tag = "13")]
    pub links: Vec<Link>,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    pub status: Option<SpanStatus>,
    /// Whether it is sampled, and whether its parent is in another process.
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// The part of a span in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SpanKind {
    /// Not given.
    Unspecified = 0,
    /// It is a part of the process.
    Internal = 1,
    /// It answers a request.
    Server = 2,
    /// It makes a request.
    Client = 3,
}

/// A span that another one belongs to.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Link {
    /// Its trace.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// Its id.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// Its `tracestate`.
    #[prost(string, tag = "3")]
    pub trace_state: String,
    /// As those of a span.
    #[prost(fixed32, tag = "6")]
    pub flags: u32,
}

/// `Status`: how a span ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SpanStatus {
    /// [`STATUS_ERROR`], or 0.
    #[prost(int32, tag = "3")]
    pub code: i32,
}

/// `KeyValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Attribute {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// A value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyValue {
    /// The value.
    #[prost(oneof = "AttributeValue", tags = "1, 3")]
    pub value: Option<AttributeValue>,
}

/// The values that attributes have.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum AttributeValue {
    /// A text.
    #[prost(string, tag = "1")]
    Text(String),
    /// A number.
    #[prost(int64, tag = "3")]
    Number(i64),
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl Attribute {
    /// Returns an attribute.
    #[must_use]
    pub fn new(key: &str, value: impl Into<AttributeValue>) -> Self {
        let value = AnyValue { value: Some(value.into()) };
        Self { key: key.to_owned(), value: Some(value) }
    }
}
