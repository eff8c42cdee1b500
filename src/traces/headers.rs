//! The headers of W3C Trace Context, in which a caller says where it is in its trace. The SDK reads and
//! writes them; here is what it does not check.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The header with the ids and the flags.
const TRACEPARENT: &str = "traceparent";
/// The header with what tracing systems add.
const TRACESTATE: &str = "tracestate";
/// Largest `tracestate` that is passed on, in bytes. Every tracing system passes on 512 bytes.
const LONGEST_STATE: usize = 512;
/// The version that has only the fields below.
const FIRST_VERSION: &str = "00";
/// The lengths of the fields of a `traceparent`. Later versions may have more fields.
const FIELDS: [usize; 4] = [2, 32, 16, 2];

/// Returns the position of the sender of a request. A `traceparent` that is invalid, or that occurs
/// twice, counts as absent; so does a `tracestate` that is invalid, too long, or in several headers.
pub(super) fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    headers.get(TRACEPARENT)?; // most requests have none, and cost nothing more
    let context =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Incoming(headers));
    context.has_active_span().then(|| context.span().span_context().clone())
}

/// Writes a position to the headers of a request.
pub(super) fn write(position: &SpanContext, headers: &mut HeaderMap) {
    let context = Context::new().with_remote_span_context(position.clone());
    TraceContextPropagator::new().inject_context(&context, &mut Outgoing(headers));
}

struct Incoming<'h>(&'h HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(key).iter();
        let only = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
        let is_valid = match key {
            TRACEPARENT => has_fields(only),
            TRACESTATE => only.len() <= LONGEST_STATE,
            _ => false,
        };
        is_valid.then_some(only)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

struct Outgoing<'h>(&'h mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        let pair = (HeaderName::try_from(key).ok(), HeaderValue::try_from(value).ok());
        // The SDK writes an empty `tracestate` if there is none.
        if let (Some(name), Some(value)) = pair
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}

fn has_fields(traceparent: &str) -> bool {
    let mut fields = traceparent.split('-');
    let has_known =
        FIELDS.iter().all(|length| fields.next().is_some_and(|field| is_lower_hex(field, *length)));
    has_known && (fields.next().is_none() || !traceparent.starts_with(FIRST_VERSION))
}

fn is_lower_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(values: &[&'static str]) -> Option<SpanContext> {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        values.for_each(|value| _ = headers.append(TRACEPARENT, value));
        parent(&headers)
    }

    #[test]
    fn a_valid_traceparent_is_read_and_written_alike() {
        let mut headers = HeaderMap::new();
        write(&read(&[VALID]).unwrap(), &mut headers);
        assert_eq!(headers[TRACEPARENT], VALID);
        assert_eq!(headers.len(), 1);
        for (given, is_sampled) in [
            (VALID, true),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", true),
            ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", true),
        ] {
            let found = read(&[given]).map(|parent| parent.is_sampled());
            assert_eq!(found, Some(is_sampled), "{given}");
        }
    }

    #[test]
    fn an_invalid_traceparent_counts_as_absent() {
        for wrong in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 01",
        ] {
            assert_eq!(read(&[wrong]), None, "{wrong}");
        }
        assert_eq!(read(&[VALID, VALID]), None);
    }

    #[test]
    fn a_tracestate_is_kept_unless_it_is_too_long_or_divided() {
        let state = |values: &[String]| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_static(VALID));
            for value in values {
                headers.append(TRACESTATE, value.parse().unwrap());
            }
            let position = parent(&headers).unwrap();
            let mut written = HeaderMap::new();
            write(&position, &mut written);
            written.get(TRACESTATE).map(|state| state.to_str().unwrap().to_owned())
        };
        // No value of a member is longer than 256 bytes.
        let long = |length: usize| format!("a={},b={}", "1".repeat(252), "2".repeat(length - 257));
        assert_eq!(state(&["a=1,b=2".to_owned()]).as_deref(), Some("a=1,b=2"));
        assert_eq!(state(&[long(LONGEST_STATE)]), Some(long(LONGEST_STATE)));
        assert_eq!(state(&[long(LONGEST_STATE + 1)]), None);
        assert_eq!(state(&["a=1".to_owned(), "b=2".to_owned()]), None);
        assert_eq!(state(&["no list".to_owned()]), None);
        assert_eq!(state(&[]), None);
    }
}
