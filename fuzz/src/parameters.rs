//! From the bytes of a request to its parameters, and from these to the message of the action.

use std::collections::HashSet;
use std::sync::LazyLock;

use cdn_activation::auth::{CommonParameters, SignedRequest};
use cdn_activation::proto::methods;
use cdn_activation::rest::parameters::RawRequest;
use cdn_activation::rest::{Dispatch, decode};
use http::HeaderMap;
use http_body_util::Full;
use prost_reflect::{DynamicMessage, Kind, MethodDescriptor};

/// Splits an input at the first line feed.
pub fn two_lines(data: &[u8]) -> (&[u8], &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    (lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
}

/// A name and a value, and whether they came in the form.
type Decoded = (String, String, bool);

/// Decodes the parameters of a query and a form in the simplest way. `Err` if any is not text that
/// XML can show.
fn simply_decoded(query: &[u8], form: &[u8]) -> Result<Vec<Decoded>, ()> {
    let mut all = Vec::new();
    for (text, in_form) in [(query, false), (form, true)] {
        for part in text.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let value = part.get(at + 1..).unwrap_or_default();
            all.push((simply_unescaped(&part[..at])?, simply_unescaped(value)?, in_form));
        }
    }
    Ok(all)
}

fn simply_unescaped(escaped: &[u8]) -> Result<String, ()> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(byte) = escaped.get(at) {
        match (byte, digit(escaped.get(at + 1)), digit(escaped.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                bytes.extend(u8::try_from(high * 16 + low));
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
        at += 1;
    }
    let text = String::from_utf8(bytes).map_err(|_| ())?;
    let is_shown = |c: char| !c.is_control() && c != '\u{fffe}' && c != '\u{ffff}';
    if text.chars().all(is_shown) { Ok(text) } else { Err(()) }
}

/// A query and a form, on two lines.
pub fn parameters(data: &[u8]) {
    let (query, form) = two_lines(data);
    let (parameters, unusable) = decode(query, form);
    let Ok(mut expected) = simply_decoded(query, form) else {
        assert!(unusable.is_some(), "a parameter that cannot be used is reported");
        return;
    };
    assert_eq!(unusable, None);
    let mut seen = HashSet::new();
    let repeated = expected.iter().find(|(name, ..)| !seen.insert(name));
    assert_eq!(parameters.repeated(), repeated.map(|(name, ..)| name.as_str()));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = expected.iter().map(|(name, value, _)| (name.as_str(), value.as_str()));
    assert!(parameters.iter().eq(expected), "{parameters:?}");
}

/// Reads the head of a request as HTTP/1.1 has it, and its body.
fn http_request(data: &[u8]) -> Option<http::Request<Full<bytes::Bytes>>> {
    let end = data.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or(data.len());
    let body = data.get(end + 4..).unwrap_or_default().to_vec();
    let mut lines = data[..end].split(|byte| *byte == b'\n');
    let line = lines.next()?.trim_ascii();
    let mut words = line.split(|byte| *byte == b' ');
    let mut request = http::Request::builder().method(words.next()?).uri(words.next()?);
    for line in lines {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        request = request.header(name, value[1..].trim_ascii());
    }
    request.body(Full::from(body)).ok()
}

/// A whole request with head and body. What is accepted has no name twice and only text that a
/// reply can show.
pub fn request(data: &[u8]) {
    let Some(request) = http_request(data) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let mut raw = runtime.expect("a runtime").block_on(RawRequest::read(request));
    let received = raw.received();
    let signed = received.signed();
    let common = CommonParameters::read(&signed);
    let (action, credentials) = (common.action(), common.credentials());
    if received.problem.is_some() {
        return;
    }
    let names: Vec<_> = signed.parameters.iter().map(|(name, _)| name).collect();
    assert!(names.is_sorted() && names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
    let shown = |text: &str| assert!(!text.contains(char::is_control), "{text:?}");
    signed.parameters.iter().flat_map(|(name, value)| [name, value]).for_each(shown);
    if let Ok((action, version)) = action {
        assert!(!action.is_empty() && !version.is_empty());
    }
    if let Ok(credentials) = credentials {
        let texts = [credentials.access_key_id, credentials.nonce, credentials.timestamp];
        assert!(texts.iter().all(|text| !text.is_empty()), "{texts:?}");
    }
}

/// The rpcs of the actions.
pub static DISPATCH: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new().expect("the descriptors can be served"));

/// The actions, each with one version.
static ACTIONS: LazyLock<Vec<(MethodDescriptor, String)>> = LazyLock::new(|| {
    let version = |method: &MethodDescriptor| DISPATCH.versions_of(method.name()).pop();
    methods().filter_map(|method| version(&method).map(|version| (method, version))).collect()
});

/// Returns an action and a version of it.
pub fn action(number: u8) -> &'static (MethodDescriptor, String) {
    &ACTIONS[usize::from(number) % ACTIONS.len()]
}

/// The number of an action, then a query. The message that is made of it decodes, and its fields
/// say what the parameters say.
pub fn messages(data: &[u8]) {
    let Some((number, query)) = data.split_first() else { return };
    let (method, version) = action(*number);
    let (_, rpc) = DISPATCH.find(method.name(), version).expect("it is there");
    let (parameters, _) = decode(query, &[]);
    let headers = HeaderMap::new();
    let request =
        SignedRequest { method: "GET", parameters: &parameters, headers: &headers, body: &[] };
    let message = rpc.request.message(&request);
    let message = DynamicMessage::decode(method.input(), message.as_slice());
    let message = message.expect("the message decodes");
    for field in method.input().fields() {
        let given = parameters.get(field.json_name()).filter(|given| !given.is_empty());
        let value = message.get_field(&field);
        match field.kind() {
            Kind::String => assert_eq!(value.as_str(), Some(given.unwrap_or_default())),
            Kind::Enum(_) if given.is_none() => assert_eq!(value.as_enum_number(), Some(0)),
            Kind::Enum(_) => assert_ne!(value.as_enum_number(), Some(0), "{given:?}"),
            kind => panic!("a field of kind {kind:?}"),
        }
    }
}
