//! The headers of W3C Trace Context, in which a caller says where it is in its trace.

use http::{HeaderMap, HeaderValue};

use super::ids::{SpanId, TraceId};

/// The header with the ids and the flags.
pub(super) const TRACEPARENT: &str = "traceparent";
/// The header with what tracing systems add. It is passed on as it is.
pub(super) const TRACESTATE: &str = "tracestate";
/// Largest `tracestate` that is passed on, in bytes. Every tracing system passes on 512 bytes.
const LONGEST_STATE: usize = 512;
/// The version of `traceparent` that has other fields than those below.
const INVALID_VERSION: &str = "ff";

/// The position of the sender of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parent {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub is_sampled: bool,
    pub state: Option<HeaderValue>,
}

impl Parent {
    /// Reads the position. A `traceparent` that is invalid, or that occurs twice, counts as absent;
    /// so does a `tracestate` that is too long, not ASCII, or in several headers.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let given = only(headers, TRACEPARENT)?.to_str().ok()?;
        let mut fields = given.split('-');
        let mut field = |length| fields.next().filter(|field| is_lower_hex(field, length));
        let (version, trace_id, span_id) = (field(2)?, field(32)?, field(16)?);
        let flags = field(2)?;
        // Later versions may have more fields.
        if version == INVALID_VERSION || (version == "00" && fields.next().is_some()) {
            return None;
        }
        let (trace_id, span_id) = (TraceId::parse(trace_id)?, SpanId::parse(span_id)?);
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let state = only(headers, TRACESTATE).and_then(|state| state.to_str().ok());
        let state = state.filter(|state| state.len() <= LONGEST_STATE);
        // A copy, because the value is a slice of a buffer with all headers of the request.
        let state = state.and_then(|state| HeaderValue::from_str(state).ok());
        Some(Self { trace_id, span_id, is_sampled: flags & 1 == 1, state })
    }
}

/// Returns the value of a header that occurs once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn is_lower_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns the value of `traceparent` for a call that is made from this position.
pub(super) fn traceparent(trace_id: TraceId, span_id: SpanId, is_sampled: bool) -> HeaderValue {
    let text = format!("00-{trace_id}-{span_id}-0{}", u8::from(is_sampled));
    HeaderValue::try_from(text).expect("digits, letters and hyphens")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(values: &[&'static str]) -> Option<Parent> {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        values.for_each(|value| _ = headers.append(TRACEPARENT, value));
        Parent::of(&headers)
    }

    #[test]
    fn a_valid_traceparent_is_read_and_written_alike() {
        let parent = read(&[VALID]).unwrap();
        assert!(parent.is_sampled);
        assert_eq!(traceparent(parent.trace_id, parent.span_id, true), VALID);
        for (given, is_sampled) in [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", true),
            ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", true),
        ] {
            assert_eq!(read(&[given]).map(|parent| parent.is_sampled), Some(is_sampled), "{given}");
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
            Parent::of(&headers).unwrap().state
        };
        assert_eq!(state(&["a=1,b=2".to_owned()]).unwrap(), "a=1,b=2");
        assert!(state(&["a".repeat(LONGEST_STATE)]).is_some());
        assert!(state(&["a".repeat(LONGEST_STATE + 1)]).is_none());
        assert!(state(&["a=1".to_owned(), "b=2".to_owned()]).is_none());
        assert!(state(&[]).is_none());
    }
}
