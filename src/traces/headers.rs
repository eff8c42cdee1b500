//! The headers of W3C Trace Context, in which a caller says where it is in its trace. They are read
//! here, because the SDK takes several times as long, also for a call that is not recorded. The SDK
//! writes them.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The header with the ids and the flags.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with what tracing systems add.
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Largest `tracestate` that is passed on, in bytes. Every tracing system passes on 512 bytes.
const LONGEST_STATE: usize = 512;
/// Length of a `traceparent` of version 0. Later versions may have more fields.
const LENGTH: usize = 55;
/// The version that does not exist.
const INVALID_VERSION: u64 = 0xff;

/// Returns the position of the sender of a request. A `traceparent` that is invalid, or that occurs
/// twice, counts as absent; so does a `tracestate` that is invalid or too long.
pub(super) fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let given = only(headers, &TRACEPARENT)?.as_bytes();
    let (fields, rest) = given.split_at_checked(LENGTH)?;
    let version = number(&fields[..2])?;
    if version == INVALID_VERSION || !(rest.is_empty() || (version > 0 && rest[0] == b'-')) {
        return None;
    }
    if [fields[2], fields[35], fields[52]] != [b'-'; 3] {
        return None;
    }
    let (high, low) = (number(&fields[3..19])?, number(&fields[19..35])?);
    let trace_id = TraceId::from(u128::from(high) << 64 | u128::from(low));
    let span_id = SpanId::from(number(&fields[36..52])?);
    let is_sampled = number(&fields[53..])? & 1 == 1;
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let position = SpanContext::new(trace_id, span_id, flags, true, state(headers));
    position.is_valid().then_some(position)
}

/// Reads `tracestate`, which may be divided into several headers.
fn state(headers: &HeaderMap) -> TraceState {
    let parts = headers.get_all(TRACESTATE).iter().map(HeaderValue::to_str);
    let Ok(parts) = parts.collect::<Result<Vec<_>, _>>() else { return TraceState::NONE };
    let whole = Some(parts.join(",")).filter(|whole| whole.len() <= LONGEST_STATE);
    whole.map_or(TraceState::NONE, |whole| whole.parse().unwrap_or_default())
}

/// Returns the value of a header that occurs once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// Reads at most 16 lower-case hexadecimal digits.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

/// Writes a position to the headers of a request.
pub(super) fn write(position: &SpanContext, headers: &mut HeaderMap) {
    let context = Context::new().with_remote_span_context(position.clone());
    TraceContextPropagator::new().inject_context(&context, &mut Outgoing(headers));
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
    fn a_tracestate_is_kept_unless_it_is_invalid_or_too_long() {
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
        let divided = |state: String| state.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(state(&divided(long(LONGEST_STATE))), Some(long(LONGEST_STATE)));
        assert_eq!(state(&divided(long(LONGEST_STATE + 1))), None);
        assert_eq!(state(&["a=1".to_owned(), "no list".to_owned()]), None);
        assert_eq!(state(&["no list".to_owned()]), None);
        assert_eq!(state(&[]), None);
    }
}
