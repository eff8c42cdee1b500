//! Reads a raw HTTP request, also from the trace of `curl -v`.

use super::{Kind, Pasted, is_method};
use crate::explain::sent::Sent;

/// More headers are not read; the server refuses 65.
const MOST_HEADERS: usize = 256;

/// Returns the part of a text from its request line on, without the marks of a trace.
pub fn find(text: &str) -> Option<String> {
    let is_trace = text.lines().any(|line| line.strip_prefix("> ").is_some_and(is_request_line));
    let text = if is_trace {
        let sent = text.lines().filter_map(|line| line.strip_prefix('>'));
        sent.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    } else {
        text.to_owned()
    };
    let start = text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    });
    let (start, _) = start.into_iter().find(|(_, line)| is_request_line(line))?;
    Some(text[start..].to_owned())
}

fn is_request_line(line: &str) -> bool {
    let words: Vec<_> = line.split_whitespace().collect();
    matches!(words[..], [method, target, version]
        if is_method(method) && version.starts_with("HTTP/") && !target.is_empty())
}

/// Reads a request from its text, which begins with the request line.
pub fn read(text: &str) -> Pasted {
    let mut rest = text;
    let mut next_line = || {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        line.strip_suffix('\r').unwrap_or(line)
    };
    let mut sent = Sent::default();
    let line = next_line();
    let mut words = line.split_whitespace();
    words.next().unwrap_or_default().clone_into(&mut sent.method);
    let target = words.next().unwrap_or_default();
    let target = match target.split_once("://") {
        Some((_, address)) => &address[address.find(['/', '?']).unwrap_or(address.len())..],
        None => target,
    };
    sent.read_target(target);
    loop {
        let line = next_line();
        let Some((name, value)) = line.split_once(':') else { break };
        let value = value.strip_prefix(' ').unwrap_or(value);
        if sent.headers.len() < MOST_HEADERS {
            sent.headers.push((name.trim().to_owned(), value.to_owned()));
        }
    }
    sent.body = body(&sent, rest);
    sent.read_form();
    Pasted { kind: Kind::Http, sent, own: None, server: None, notes: Vec::new() }
}

/// Returns the body, which is chunked, has a length, or is the rest.
fn body(sent: &Sent, rest: &str) -> String {
    if sent.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return unchunked(rest);
    }
    let length = sent.header("content-length").and_then(|length| length.parse().ok());
    rest.get(..length.unwrap_or(rest.len())).unwrap_or(rest).to_owned()
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once('\n') {
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let Some(chunk) = after.get(..size).filter(|chunk| !chunk.is_empty()) else { break };
        body.push_str(chunk);
        rest = after[size..].trim_start_matches(['\r', '\n']);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_from_its_text_and_from_a_trace() {
        let text = "log\nPOST /?a=1 HTTP/1.1\r\nHost: h\r\ncontent-type: \
                    application/x-www-form-urlencoded\r\ncontent-length: 3\r\n\r\nb=2\n\n";
        let sent = read(&find(text).unwrap()).sent;
        assert_eq!((sent.method.as_str(), sent.header("host")), ("POST", Some("h")));
        assert_eq!((sent.body.as_str(), sent.raw.len()), ("b=2", 2));
        let trace = "* Connected\n> GET /?c=3 HTTP/1.1\n> Host: h\n> \n< HTTP/1.1 400\n< a: b\n";
        let sent = read(&find(trace).unwrap()).sent;
        assert_eq!((sent.headers.len(), sent.parameter("c").as_deref()), (1, Some("3")));
        assert_eq!(find("HTTP/1.1 400 Bad Request\r\n"), None);
        assert_eq!(unchunked("3\r\na=1\r\n2\r\n&b\r\n0\r\n\r\n"), "a=1&b");
        assert_eq!(unchunked("ffffffffffffffff\r\na"), "");
    }
}
