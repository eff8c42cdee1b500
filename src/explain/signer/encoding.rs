//! How clients encode the names and values that they sign, rightly and wrongly.

use std::fmt::Write;

/// Returns the text of a byte that is escaped.
fn escape(byte: u8, out: &mut String) {
    write!(out, "%{byte:02X}").expect("writing to a String cannot fail");
}

/// Escapes all bytes except letters, digits and those in `kept`.
fn escaped(bytes: &[u8], kept: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + bytes.len() / 2);
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || kept.contains(byte) {
            out.push(char::from(*byte));
        } else {
            escape(*byte, &mut out);
        }
    }
    out
}

/// Encodes as the server does.
#[must_use]
pub fn standard(text: &str) -> String {
    escaped(text.as_bytes(), b"-_.~")
}

/// Encodes a blank as `+`.
#[must_use]
pub fn plus(text: &str) -> String {
    standard(text).replace("%20", "+")
}

/// Does not encode `*`.
#[must_use]
pub fn star_kept(text: &str) -> String {
    escaped(text.as_bytes(), b"-_.~*")
}

/// Encodes `~`.
#[must_use]
pub fn tilde_escaped(text: &str) -> String {
    escaped(text.as_bytes(), b"-_.")
}

/// Encodes as an HTML form does, and as `URLEncoder` in Java: a blank is `+`, `*` is not encoded,
/// and `~` is.
#[must_use]
pub fn form(text: &str) -> String {
    escaped(text.as_bytes(), b"-_.*").replace("%20", "+")
}

/// Encodes as `urlencode` in PHP and `quote_plus` in Python before 3.7: a blank is `+`, and `~` is
/// encoded.
#[must_use]
pub fn plus_and_tilde(text: &str) -> String {
    tilde_escaped(text).replace("%20", "+")
}

/// Encodes as `encodeURIComponent` in JavaScript does.
#[must_use]
pub fn javascript(text: &str) -> String {
    escaped(text.as_bytes(), b"-_.~!*'()")
}

/// Encodes as `encodeURI` in JavaScript does, which keeps what has a meaning in a URL.
#[must_use]
pub fn javascript_uri(text: &str) -> String {
    escaped(text.as_bytes(), b"-_.~!*'();/?:@&=+$,#")
}

/// Does not encode `/`.
#[must_use]
pub fn slash_kept(text: &str) -> String {
    escaped(text.as_bytes(), b"-_.~/")
}

/// Does not encode `:`.
#[must_use]
pub fn colon_kept(text: &str) -> String {
    escaped(text.as_bytes(), b"-_.~:")
}

/// Escapes with lower-case hex digits.
#[must_use]
pub fn lower_case(text: &str) -> String {
    let encoded = standard(text);
    let mut out = String::with_capacity(encoded.len());
    let mut digits = 0;
    for character in encoded.chars() {
        out.push(if digits > 0 { character.to_ascii_lowercase() } else { character });
        digits = if character == '%' { 2 } else { usize::saturating_sub(digits, 1) };
    }
    out
}

/// Escapes lower-case hex digits, a blank as `+`, and keeps `!*()`, as `HttpUtility` in .NET does.
#[must_use]
pub fn dotnet(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'!' | b'*' | b'(' | b')' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02x}").expect("writing to a String cannot fail"),
        }
    }
    out
}

/// Encodes a character up to U+00FF as one byte, and not as UTF-8.
#[must_use]
pub fn latin1(text: &str) -> String {
    let bytes: Option<Vec<u8>> =
        text.chars().map(|one| u8::try_from(u32::from(one)).ok()).collect();
    bytes.map_or_else(|| standard(text), |bytes| escaped(&bytes, b"-_.~"))
}

/// Encodes twice.
#[must_use]
pub fn twice(text: &str) -> String {
    standard(&standard(text))
}

/// Does not encode.
#[must_use]
pub fn none(text: &str) -> String {
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_differs_where_its_name_says() {
        let text = "a ~*/:!é";
        assert_eq!(standard(text), "a%20~%2A%2F%3A%21%C3%A9");
        assert_eq!(plus(text), "a+~%2A%2F%3A%21%C3%A9");
        assert_eq!(form(text), "a+%7E*%2F%3A%21%C3%A9");
        assert_eq!(plus_and_tilde(text), "a+%7E%2A%2F%3A%21%C3%A9");
        assert_eq!(javascript(text), "a%20~*%2F%3A!%C3%A9");
        assert_eq!(javascript_uri(text), "a%20~*/:!%C3%A9");
        assert_eq!(lower_case(text), "a%20~%2a%2f%3a%21%c3%a9");
        assert_eq!(dotnet(text), "a+%7e*%2f%3a!%c3%a9");
        assert_eq!(latin1(text), "a%20~%2A%2F%3A%21%E9");
        assert_eq!(latin1("\u{4e2d}"), standard("\u{4e2d}"));
        assert_eq!(twice("/"), "%252F");
        assert_eq!((slash_kept("/:"), colon_kept("/:")), ("/%3A".to_owned(), "%2F:".to_owned()));
    }
}
