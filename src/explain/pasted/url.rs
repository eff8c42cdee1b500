//! Reads a URL, or the query of one.

use super::{Kind, Pasted, is_method};
use crate::explain::sent::Sent;

/// Returns whether a text is a URL, a target such as `/?Action=…`, or a query. A method can stand
/// before it.
pub fn is_url(text: &str) -> bool {
    let (_, address) = split_method(text);
    let starts = ["http://", "https://", "/?", "?"].iter().any(|start| address.starts_with(start));
    let names = ["Action=", "Signature=", "AccessKeyId=", "SignatureNonce="];
    let is_query = || names.iter().any(|name| address.contains(name));
    !address.is_empty() && (starts || is_query())
}

/// Reads a URL. Line breaks in it come from the window that it was copied from.
pub fn read(text: &str) -> Pasted {
    let (method, address) = split_method(text);
    let address: String = address.lines().map(str::trim).collect();
    let address = address.trim_matches(['"', '\'', '<', '>', '`']);
    let mut sent = Sent { method: method.unwrap_or("GET").to_owned(), ..Sent::default() };
    read_address(address, &mut sent);
    Pasted { kind: Kind::Url, sent, own: None, server: None, notes: Vec::new() }
}

fn split_method(text: &str) -> (Option<&str>, &str) {
    match text.split_once(char::is_whitespace) {
        Some((method, rest)) if is_method(method) => (Some(method), rest.trim()),
        _ => (None, text.trim()),
    }
}

/// Reads the parts of a URL into a request. The header `host` is that of the URL, unless the
/// request has another one.
pub fn read_address(address: &str, sent: &mut Sent) {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let is_query = scheme.is_empty() && !rest.starts_with('/') && !rest.contains('?');
    if is_query && rest.contains('=') {
        "/".clone_into(&mut sent.path);
        sent.add_parameters(rest, false);
        return;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    sent.read_target(target);
    if sent.path.is_empty() {
        "/".clone_into(&mut sent.path);
    }
    let host = authority.rsplit('@').next().unwrap_or_default();
    let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    if sent.header("host").is_none() && !host.is_empty() {
        sent.headers.push(("Host".to_owned(), host.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_can_have_a_method_and_be_broken_into_lines() {
        let sent = read("POST https://u@h:443/?Action=A&B=\n  c#d").sent;
        assert_eq!((sent.method.as_str(), sent.header("host")), ("POST", Some("h")));
        assert_eq!(sent.parameter("B").as_deref(), Some("c"));
        for (text, path) in [("/?Action=A", "/"), ("Action=A&x=/", "/"), ("http://h?Action=A", "/")]
        {
            assert!(is_url(text), "{text}");
            let sent = read(text).sent;
            assert_eq!(
                (sent.path.as_str(), sent.parameter("Action").as_deref()),
                (path, Some("A"))
            );
        }
        assert!(!is_url("hello") && !is_url(""));
    }
}
