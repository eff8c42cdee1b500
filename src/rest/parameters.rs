//! Reads a request: checks its size, decodes its parameters, refuses duplicates, and finds the
//! format of the reply. If the request cannot be read, the error is kept in the field `problem`
//! beside everything that could be read, because the error reply also needs a format and a host.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::decode::decode;
use crate::auth::signature::Parameters;
use crate::auth::{Scheme, SignedRequest};
use crate::error::Error;

/// Largest length of a URI, in bytes. It is below the limit of hyper, so that the shim refuses the
/// request.
const LONGEST_URI: usize = 32 * 1024;
/// Largest number of headers. It is also below the limit of hyper.
const MOST_HEADERS: usize = 64;
/// Largest length of a body, in bytes.
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

/// A request with its body, not parsed.
#[derive(Debug)]
pub struct RawRequest {
    head: Parts,
    body: Bytes,
    problem: Option<Error>,
}

/// A request, parsed as far as possible. It borrows everything that needs no decoding.
#[derive(Debug)]
pub struct Received<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
    body: &'a [u8],
    parameters: Parameters,
    /// The format of the reply.
    pub format: Format,
    /// The host that the client addressed, without the port.
    pub host_id: &'a str,
    /// Why the request is refused, if it cannot be read.
    pub problem: Option<Error>,
    /// The error of a parameter that cannot be read. An unknown action is reported before it.
    pub unreadable: Option<Error>,
}

impl RawRequest {
    /// Reads a request and its body.
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
        Self { head, body, problem }
    }

    /// Parses the request.
    #[must_use]
    pub fn received(&mut self) -> Received<'_> {
        let Self { head, body, problem } = self;
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let form: &[u8] = if is_form(&head.headers) { body } else { &[] };
        let (parameters, unusable) = decode(query, form);
        let mut received = Received {
            method: &head.method,
            headers: &head.headers,
            body,
            parameters,
            format: Format::Xml,
            host_id: host_without_port(&head.headers),
            problem: None,
            unreadable: None,
        };
        let (format, format_error) = received.requested_format();
        received.format = format;
        received.unreadable = unusable.map(Error::invalid);
        let checks = || {
            received.check_names()?;
            received.check_md5()?;
            received.check_body_is_read()?;
            format_error.map_or(Ok(()), Err)
        };
        received.problem = problem.take().or_else(|| checks().err());
        received
    }
}

impl Received<'_> {
    /// Returns the request for the check of the signature and for the parameters of the action.
    #[must_use]
    pub fn signed(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: self.method.as_str(),
            parameters: &self.parameters,
            headers: self.headers,
            body: self.body,
        }
    }

    /// Returns the format of the reply, and an error if the request asks for an unknown one. With
    /// V1, the parameter `Format` names it, and without the parameter it is XML. With V3 it is
    /// JSON, unless `Accept` names XML and not JSON. A deprecated call of the classic SDK sends
    /// `Format=None` if no format was chosen.
    fn requested_format(&self) -> (Format, Option<Error>) {
        if self.signed().scheme() == Scheme::V3 {
            let accept = self.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
            let accept = accept.unwrap_or_default().to_ascii_lowercase();
            let only_xml = accept.contains("xml") && !accept.contains("json");
            return (if only_xml { Format::Xml } else { Format::Json }, None);
        }
        match self.signed().parameter("Format") {
            None | Some("None") => (Format::Xml, None),
            Some(format) if format.eq_ignore_ascii_case("json") => (Format::Json, None),
            Some(format) if format.eq_ignore_ascii_case("xml") => (Format::Xml, None),
            Some(_) => (Format::Xml, Some(Error::InvalidFormat)),
        }
    }

    /// Checks that no parameter occurs twice in query and form together. Checks the same for each
    /// header that a signature or a reply depends on. With two values it would be unknown which one
    /// was signed and which one is meant.
    fn check_names(&self) -> Result<(), Error> {
        if let Some(name) = self.parameters.repeated() {
            return Err(Error::invalid(name.to_owned()));
        }
        if self.headers.len() == self.headers.keys_len() {
            return Ok(());
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

    /// Refuses a body that is not a form, because it is not read. The caller may have put its
    /// parameters there. Without them, an opening would use the default charge type, and an opening
    /// cannot be undone.
    fn check_body_is_read(&self) -> Result<(), Error> {
        let is_read = self.body.is_empty() || is_form(self.headers);
        if is_read { Ok(()) } else { Err(Error::invalid("Content-Type")) }
    }

    fn check_md5(&self) -> Result<(), Error> {
        use base64::Engine;
        use md5::Digest;
        let Some(sent) = self.headers.get(CONTENT_MD5) else { return Ok(()) };
        let digest = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(self.body));
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
    if body.is_end_stream() {
        return Ok(Bytes::new()); // needs no timer
    }
    let body = std::pin::pin!(Limited::new(body, LARGEST_BODY));
    match tokio::time::timeout(BODY_TIMEOUT, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::RequestTooLarge),
        Ok(Err(_)) => Err(Error::MalformedRequest), // malformed chunks, or the client disconnected
        Err(_) => Err(Error::RequestTimeout),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(FORM)
}

fn host_without_port(headers: &HeaderMap) -> &str {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_the_client_addressed_without_the_port() {
        let host = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, http::HeaderValue::from_static(value));
            host_without_port(&headers).to_owned()
        };
        assert_eq!(host("127.0.0.1:8080"), "127.0.0.1");
        assert_eq!(host("cdn.example.com"), "cdn.example.com");
        assert_eq!(host("[::1]:8080"), "[::1]");
        assert_eq!(host("[::1]"), "[::1]");
    }
}
