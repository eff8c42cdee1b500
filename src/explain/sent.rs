//! A request as it went out: its method, path, parameters, headers and body.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::auth::signature::{Pair, Parameter, Parameters};

/// The media type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A request as it went out.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// The path of the URL, without the query.
    pub path: String,
    /// The parameters of query and form, in the order of the request.
    pub raw: Vec<Raw>,
    /// The headers, in the order and the letter case of the request.
    pub headers: Vec<Pair>,
    /// The body.
    pub body: String,
    /// Options of the command that name a file, and so cannot be read.
    pub unread: Vec<String>,
}

/// A parameter with the escapes that it had in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Its name.
    pub name: String,
    /// Its value; `None` if there was no `=`.
    pub value: Option<String>,
    /// Whether it was in a form body and not in the query.
    pub in_form: bool,
}

impl Raw {
    /// Decodes the parameter as the server does. Bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn decoded(&self) -> Pair {
        (decode(&self.name), decode(self.value.as_deref().unwrap_or_default()))
    }
}

/// Decodes a text of a query: `+` is a blank, and `%XX` is a byte.
#[must_use]
pub fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

impl Sent {
    /// Reads the parameters of a query or of a form.
    pub fn add_parameters(&mut self, text: &str, in_form: bool) {
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (part, None),
            };
            self.raw.push(Raw { name: name.to_owned(), value, in_form });
        }
    }

    /// Reads a target: the path, and the query after `?`. A fragment is not sent.
    pub fn read_target(&mut self, target: &str) {
        let target = target.split('#').next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        path.clone_into(&mut self.path);
        self.add_parameters(query, false);
    }

    /// Reads the parameters of the body, if it is a form.
    pub fn read_form(&mut self) {
        if self.is_form() {
            let body = std::mem::take(&mut self.body);
            self.add_parameters(body.trim_end_matches(['\r', '\n']), true);
            self.body = body;
        }
    }

    /// Whether the content type is that of a form.
    #[must_use]
    pub fn is_form(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
    }

    /// Returns the first header of this name, in any letter case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// Returns the decoded parameters in the order of the request: those of the query, and also
    /// those of the form if `with_form` is set.
    pub fn pairs(&self, with_form: bool) -> impl Iterator<Item = Pair> {
        self.raw.iter().filter(move |raw| with_form || !raw.in_form).map(Raw::decoded)
    }

    /// Returns the value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.pairs(true).find(|(given, _)| given == name).map(|(_, value)| value)
    }

    /// Returns the parameters for the code that the server verifies with.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        let decoded = self.raw.iter().map(|raw| {
            let (name, value) = raw.decoded();
            Parameter { name, value, in_form: raw.in_form }
        });
        Parameters::new(decoded.collect())
    }

    /// Returns the headers for the code that the server verifies with. A header that HTTP does not
    /// allow is left out.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_bytes(value.trim().as_bytes());
            if let (Ok(name), Ok(value)) = (name, value)
                && map.try_append(name, value).is_err()
            {
                break; // the map is full
            }
        }
        map
    }
}
