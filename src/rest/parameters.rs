//! Step 1: the wire. Limits, percent-decoding, duplicates, and the format of the reply. What cannot
//! be read is kept as the problem, beside as much as could be: the refusal, too, wants a format, a
//! host and an id.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode;

use crate::auth::signature::Pair;
use crate::auth::{Scheme, SignedRequest};
use crate::error::Error;

/// The longest URI, in bytes; below what hyper reads.
const LONGEST_URI: usize = 32 * 1024;
/// The most headers; below what hyper reads.
const MOST_HEADERS: usize = 64;
/// The largest body, in bytes.
const LARGEST_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

const FORM: &str = "application/x-www-form-urlencoded";
const CONTENT_MD5: &str = "content-md5";

/// The format of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// A request as far as it could be read.
#[derive(Debug)]
pub struct Received {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    query: Vec<Pair>,
    form: Vec<Pair>,
    /// The format to answer in.
    pub format: Format,
    /// The host that the client addressed, without the port.
    pub host_id: String,
    /// Why the request is refused, where it cannot be read.
    pub problem: Option<Error>,
}

impl Received {
    /// Reads a request off the wire.
    pub async fn read<B>(request: http::Request<B>) -> Self
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let mut problem = check_head(&head).err();
        let body = if problem.is_none() { read_body(body).await } else { Ok(Bytes::new()) };
        let body = body.unwrap_or_else(|error| {
            problem = Some(error);
            Bytes::new()
        });
        Self::of(head, body, problem)
    }

    fn of(head: Parts, body: Bytes, problem: Option<Error>) -> Self {
        let query = decode(head.uri.query().unwrap_or_default().as_bytes());
        let form = if is_form(&head.headers) { decode(&body) } else { Decoded::default() };
        let mut received = Self {
            method: head.method,
            headers: head.headers,
            body,
            query: query.pairs,
            form: form.pairs,
            format: Format::Xml,
            host_id: String::new(),
            problem,
        };
        received.host_id = host_without_port(&received.headers);
        let (format, wrong_format) = received.asked_format();
        received.format = format;
        let checks = || {
            let wrong = query.wrong.or(form.wrong).map(Error::invalid);
            wrong.map_or(Ok(()), Err)?;
            received.check_names()?;
            received.check_md5()?;
            wrong_format.map_or(Ok(()), Err)
        };
        let found = checks().err();
        received.problem = received.problem.or(found);
        received
    }

    /// What the signature is checked against and parameters are taken from.
    pub fn signed(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: self.method.as_str(),
            query: &self.query,
            form: &self.form,
            headers: &self.headers,
            body: &self.body,
        }
    }

    /// V1 asks by the parameter `Format`, absent means XML; V3 by `Accept`, and gets JSON unless
    /// that names XML alone. The classic SDK's deprecated call sends the literal `None` for an
    /// absent one.
    fn asked_format(&self) -> (Format, Option<Error>) {
        if self.signed().scheme() == Scheme::V3 {
            let accept = self.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
            let accept = accept.unwrap_or_default().to_ascii_lowercase();
            let xml_alone = accept.contains("xml") && !accept.contains("json");
            return (if xml_alone { Format::Xml } else { Format::Json }, None);
        }
        match self.signed().parameter("Format") {
            None | Some("None") => (Format::Xml, None),
            Some(format) if format.eq_ignore_ascii_case("json") => (Format::Json, None),
            Some(format) if format.eq_ignore_ascii_case("xml") => (Format::Xml, None),
            Some(_) => (Format::Xml, Some(Error::InvalidFormat)),
        }
    }

    /// No name occurs twice, in query, form or both; nor does a header that a signature or a reply
    /// depends on. Which of two was signed and which is meant would be anybody's guess.
    fn check_names(&self) -> Result<(), Error> {
        let mut seen = HashSet::new();
        for (name, _) in self.query.iter().chain(&self.form) {
            if !seen.insert(name) {
                return Err(Error::invalid(name.clone()));
            }
        }
        for name in self.headers.keys() {
            let matters = name.as_str().starts_with("x-acs-")
                || [AUTHORIZATION, HOST, CONTENT_TYPE, ACCEPT].contains(name)
                || name == CONTENT_MD5;
            if matters && self.headers.get_all(name).iter().count() > 1 {
                return Err(Error::invalid(name.as_str().to_owned()));
            }
        }
        Ok(())
    }

    fn check_md5(&self) -> Result<(), Error> {
        use base64::Engine;
        use md5::Digest;
        let Some(sent) = self.headers.get(CONTENT_MD5) else { return Ok(()) };
        let digest = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(&self.body));
        if sent.as_bytes() == digest.as_bytes() { Ok(()) } else { Err(Error::ContentMd5NotMatched) }
    }
}

fn check_head(head: &Parts) -> Result<(), Error> {
    if head.method != Method::GET && head.method != Method::POST {
        return Err(Error::UnsupportedHttpMethod);
    }
    if head.uri.path() != "/" {
        return Err(Error::ActionNotFound);
    }
    let uri_length = head.uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri_length > LONGEST_URI || head.headers.len() > MOST_HEADERS {
        return Err(Error::RequestTooLarge);
    }
    Ok(())
}

async fn read_body<B>(body: B) -> Result<Bytes, Error>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = std::pin::pin!(Limited::new(body, LARGEST_BODY));
    match tokio::time::timeout(BODY_TIMEOUT, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::RequestTooLarge),
        // Whoever broke off reads no reply; whoever is slow does.
        Ok(Err(_)) | Err(_) => Err(Error::RequestTimeout),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(FORM)
}

/// Decoded parameters, and the name of the first that cannot be used.
#[derive(Debug, Default)]
struct Decoded {
    pairs: Vec<Pair>,
    wrong: Option<String>,
}

/// Form-decodes: `+` is a blank, `%XX` a byte, the result UTF-8 without control characters, which
/// no XML can carry.
fn decode(raw: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    for part in raw.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
        let mut sides = part.splitn(2, |byte| *byte == b'=');
        let name = decode_text(sides.next().unwrap_or_default());
        let value = decode_text(sides.next().unwrap_or_default());
        match (name, value) {
            (Ok(name), Ok(value)) => decoded.pairs.push((name, value)),
            (Ok(name) | Err(name), _) => {
                decoded.wrong.get_or_insert(name);
            }
        }
    }
    decoded
}

/// The text, or, where it cannot be used, what of it can be shown.
fn decode_text(raw: &[u8]) -> Result<String, String> {
    let blanks: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let bytes: Vec<u8> = percent_decode(&blanks).collect();
    match String::from_utf8(bytes) {
        Ok(text) if text.chars().all(may_be_in_xml) => Ok(text),
        Ok(text) => Err(text.chars().filter(|c| may_be_in_xml(*c)).collect()),
        Err(error) => {
            let shown = String::from_utf8_lossy(error.as_bytes());
            Err(shown.chars().filter(|c| may_be_in_xml(*c)).collect())
        }
    }
}

fn may_be_in_xml(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{fffe}' | '\u{ffff}')
}

fn host_without_port(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name.to_owned(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_used_names_its_parameter() {
        assert_eq!(decode(b"&a=1&b=%20+x&&c").pairs.len(), 3);
        assert_eq!(decode(b"a=%20+x").pairs, [("a".to_owned(), "  x".to_owned())]);
        for (raw, name) in [
            ("a=%00", "a"),
            ("b=x%0Ay", "b"),
            ("c=%FF", "c"),
            ("d%01e=1", "de"),
            ("f=%EF%BF%BF", "f"),
        ] {
            assert_eq!(decode(raw.as_bytes()).wrong.as_deref(), Some(name), "{raw}");
        }
    }

    #[test]
    fn the_host_is_what_the_client_addressed_without_the_port() {
        let host = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, http::HeaderValue::from_static(value));
            host_without_port(&headers)
        };
        assert_eq!(host("127.0.0.1:8080"), "127.0.0.1");
        assert_eq!(host("cdn.example.com"), "cdn.example.com");
        assert_eq!(host("[::1]:8080"), "[::1]");
        assert_eq!(host("[::1]"), "[::1]");
    }

    proptest! {
        #[test]
        fn encoded_parameters_decode_as_themselves(
            pairs in prop::collection::vec(("[A-Za-z.0-9]{1,8}", "[^\\p{Cc}\u{fffe}\u{ffff}]{0,8}"), 0..6),
        ) {
            let raw = crate::auth::signature::canonical_query(pairs.iter());
            let mut expected = pairs;
            expected.sort();
            let decoded = decode(raw.as_bytes());
            prop_assert_eq!(decoded.wrong, None);
            prop_assert_eq!(decoded.pairs, expected);
        }

        #[test]
        fn any_bytes_decode_to_something_that_xml_can_carry(raw in prop::collection::vec(any::<u8>(), 0..64)) {
            let decoded = decode(&raw);
            let texts = decoded.pairs.iter().flat_map(|(name, value)| [name, value]).chain(&decoded.wrong);
            prop_assert!(texts.into_iter().all(|text| text.chars().all(may_be_in_xml)));
        }
    }
}
