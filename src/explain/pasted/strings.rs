//! Reads strings to sign and canonical requests, also from the message of the server.

use super::{Kind, Pasted, is_method};
use crate::auth::signature::{Pair, v3};
use crate::explain::sent::{Raw, Sent, decode};

/// What stands before the string to sign in the message of V1.
const LEAD_IN: &str = "server string to sign is:";
/// The same of V3.
const LEAD_IN_V3: &str = "server CanonicalRequest is [";
/// What the server appends to a text that it cuts.
const CUT: &str = "... (cut: the first ";

/// Reads the message of the server, which shows what it signed.
pub fn read_message(text: &str) -> Option<Pasted> {
    if let Some((_, rest)) = text.split_once(LEAD_IN) {
        let rest = unescaped(rest.trim_start());
        let end = rest.find(|one: char| one.is_whitespace() || "\"'<\\".contains(one));
        let string = &rest[..end.unwrap_or(rest.len())];
        let notes = if rest.contains(CUT) { vec!["server_string_is_cut"] } else { Vec::new() };
        let string = string.strip_suffix("...").unwrap_or(string).to_owned();
        let sent = v1(&string)?;
        let server = Some(string);
        return Some(Pasted { kind: Kind::StringToSign, sent, own: None, server, notes });
    }
    let (_, rest) = text.split_once(LEAD_IN_V3)?;
    let rest = unescaped(rest);
    let notes = if rest.contains(CUT) { vec!["server_string_is_cut"] } else { Vec::new() };
    let string = rest.split(CUT).next().unwrap_or_default();
    let string = string.rfind(']').map_or(string, |end| &string[..end]).to_owned();
    let sent = canonical_request(&string)?;
    let server = Some(string);
    Some(Pasted { kind: Kind::CanonicalRequest, sent, own: None, server, notes })
}

/// Removes the escapes of JSON and XML that can occur in a string to sign.
fn unescaped(text: &str) -> String {
    let escapes = [
        ("\\u0026", "&"),
        ("\\u003d", "="),
        ("\\u003D", "="),
        ("\\r", ""),
        ("\\n", "\n"),
        ("\\/", "/"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    escapes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Returns whether a text looks like a string to sign of V1: letters, `&`, and a query.
pub fn is_v1(text: &str) -> bool {
    let is_query = |rest: &str| rest.contains("%3D") || rest.contains("%3d") || rest.contains('=');
    text.split_once('&').is_some_and(|(method, rest)| {
        method.len() <= 7 && method.bytes().all(|byte| byte.is_ascii_alphabetic()) && is_query(rest)
    })
}

/// Reads a string to sign of V1, also one that was made wrongly.
pub fn v1(text: &str) -> Option<Sent> {
    let (method, pairs) = v1_pairs(text)?;
    Some(Sent { method, path: "/".to_owned(), raw: encoded(&pairs), ..Sent::default() })
}

/// Returns the method and the decoded parameters of a string to sign of V1.
pub fn v1_pairs(text: &str) -> Option<(String, Vec<Pair>)> {
    let (method, rest) = text.split_once('&').filter(|_| is_v1(text))?;
    let starts = ["%2F&", "%2f&", "/&", "&"];
    let query = starts.iter().find_map(|start| rest.strip_prefix(start)).unwrap_or(rest);
    let query = if query.contains('=') { query.to_owned() } else { decode(query) };
    let mut sent = Sent::default();
    sent.add_parameters(&query, false);
    Some((method.to_owned(), sent.pairs(false).collect()))
}

/// Returns parameters as a client that encodes rightly sends them.
fn encoded(pairs: &[Pair]) -> Vec<Raw> {
    let encode = crate::explain::signer::encoding::standard;
    let raw = pairs.iter().map(|(name, value)| Raw {
        name: encode(name),
        value: Some(encode(value)),
        in_form: false,
    });
    raw.collect()
}

/// Reads a canonical request of V3. Its headers count as sent.
pub fn canonical_request(text: &str) -> Option<Sent> {
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let method = lines.next().filter(|method| is_method(method))?;
    let path = lines.next().filter(|path| path.is_empty() || path.starts_with('/'))?;
    let mut sent = Sent {
        method: method.to_owned(),
        path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
        ..Sent::default()
    };
    sent.add_parameters(lines.next()?, false);
    let mut names = Vec::new();
    let mut lines = lines.peekable();
    while let Some((name, value)) = lines.peek().and_then(|line| line.split_once(':')) {
        names.push(name);
        sent.headers.push((name.to_owned(), value.to_owned()));
        lines.next();
    }
    let rest: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let signed = rest.first().map_or_else(|| names.join(";"), |line| (*line).to_owned());
    let hash = rest.get(1).copied().unwrap_or_default();
    if sent.header("x-acs-content-sha256").is_none() {
        sent.headers.push(("x-acs-content-sha256".to_owned(), hash.to_owned()));
    }
    let authorization = format!("{} SignedHeaders={signed}", v3::ALGORITHM);
    sent.headers.push(("Authorization".to_owned(), authorization));
    Some(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_is_read_from_every_form_of_the_message() {
        let string = "GET&%2F&Action%3DA%26b%3Dc%252Fd";
        for (before, after) in [("", ""), ("{\"Message\":\"", "\"}"), ("<Message>", "</Message>")] {
            let text = format!(
                "{before}Specified signature is not matched with our calculation. {LEAD_IN}"
            );
            for string in
                [string.to_owned(), string.replace('&', "\\u0026"), string.replace('&', "&amp;")]
            {
                let pasted = read_message(&format!("{text}{string}{after}")).unwrap();
                assert_eq!(pasted.server.as_deref(), Some("GET&%2F&Action%3DA%26b%3Dc%252Fd"));
                assert_eq!(pasted.sent.parameter("b").as_deref(), Some("c/d"));
            }
        }
        let v3 = "GET\\n/\\na=b\\nhost:h\\n\\nhost\\nabc";
        let pasted = read_message(&format!("{{\"Message\":\"x {LEAD_IN_V3}{v3}]\"}}")).unwrap();
        assert_eq!(pasted.server.as_deref(), Some("GET\n/\na=b\nhost:h\n\nhost\nabc"));
        assert_eq!(pasted.sent.header("host"), Some("h"));
    }

    #[test]
    fn broken_strings_are_read_too() {
        let expected = Some(("GET".to_owned(), vec![("a".to_owned(), "b c".to_owned())]));
        for text in ["GET&%2F&a%3Db%2520c", "GET&/&a=b%20c", "GET&&a%3Db%2Bc", "GET&a=b+c"] {
            assert_eq!(v1_pairs(text), expected, "{text}");
        }
        assert_eq!(v1_pairs("Action=A&b=c"), None);
    }
}
