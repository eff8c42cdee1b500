//! Splits a command into words as a shell does.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

/// A command, split into words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The words, without quotes.
    pub words: Vec<String>,
    /// Whether an `&` outside quotes ended the command early. It was read as a part of its word.
    pub ended_by_ampersand: bool,
}

/// Splits the first command of a text. Quotes, escapes, `$'…'` and continued lines are read as bash
/// reads them, and `^` as Windows does: at the end of a line, and in the form that Chrome copies.
#[must_use]
pub fn words(text: &str) -> Words {
    let mut found = Words::default();
    let mut word: Option<String> = None;
    let text = without_carets(text);
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\'' => quoted(&mut rest, '\'', word.get_or_insert_default()),
            '"' => quoted(&mut rest, '"', word.get_or_insert_default()),
            '$' if rest.peek() == Some(&'\'') => {
                rest.next();
                ansi_quoted(&mut rest, word.get_or_insert_default());
            }
            '\\' | '^' if matches!(rest.peek(), Some('\n' | '\r')) => {
                while rest.next_if(|next| matches!(next, '\n' | '\r')).is_some() {}
                found.words.extend(word.take());
            }
            '\\' => word.get_or_insert_default().extend(rest.next()),
            '\n' | ';' | '|' | '>' if word.is_some() || !found.words.is_empty() => break,
            '&' => {
                let is_last = rest.peek().is_none_or(|next| next.is_whitespace() || *next == '&');
                if is_last {
                    break;
                }
                found.ended_by_ampersand = true;
                word.get_or_insert_default().push('&');
            }
            _ if character.is_whitespace() => found.words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    found.words.extend(word);
    found
}

/// Reads up to the closing quote, which is `'` or `"`.
fn quoted(rest: &mut impl Iterator<Item = char>, end: char, word: &mut String) {
    while let Some(character) = rest.next() {
        match character {
            _ if character == end => return,
            '\\' if end == '"' => match rest.next() {
                Some('\n') | None => {}
                Some(next @ ('"' | '\\' | '$' | '`')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
            },
            _ => word.push(character),
        }
    }
}

/// Reads the text of `$'…'`. Its escapes are bytes or characters; bytes that are not UTF-8 become
/// U+FFFD.
fn ansi_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String) {
    let mut bytes = Vec::new();
    while let Some(character) = rest.next().filter(|character| *character != '\'') {
        if character == '\\' {
            escape(rest, &mut bytes);
        } else {
            push(character, &mut bytes);
        }
    }
    word.push_str(&String::from_utf8_lossy(&bytes));
}

/// Reads what follows the backslash in `$'…'`.
fn escape(rest: &mut Peekable<Chars<'_>>, bytes: &mut Vec<u8>) {
    let Some(kind) = rest.next() else { return };
    match kind {
        'a' => bytes.push(7),
        'b' => bytes.push(8),
        'e' | 'E' => bytes.push(27),
        'f' => bytes.push(12),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(11),
        '\\' | '\'' | '"' | '?' => push(kind, bytes),
        'x' | 'u' | 'U' => {
            let most = match kind {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            match (digits(None, rest, 16, most), kind) {
                (None, _) => bytes.extend([b'\\', kind as u8]),
                (Some(byte), 'x') => bytes.push(byte.to_le_bytes()[0]),
                (Some(code), _) => push(char::from_u32(code).unwrap_or('\u{fffd}'), bytes),
            }
        }
        '0'..='7' => {
            let value = digits(kind.to_digit(8), rest, 8, 2).unwrap_or_default();
            bytes.push(value.to_le_bytes()[0]);
        }
        _ => {
            bytes.push(b'\\');
            push(kind, bytes);
        }
    }
}

/// Reads at most so many more digits of a number. Eight hex digits fit.
fn digits(
    mut value: Option<u32>,
    rest: &mut Peekable<Chars<'_>>,
    radix: u32,
    most: usize,
) -> Option<u32> {
    for _ in 0..most {
        let Some(digit) = rest.next_if(|next| next.is_digit(radix)) else { break };
        value = Some(value.unwrap_or(0) * radix + digit.to_digit(radix)?);
    }
    value
}

fn push(character: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Removes the escapes of the Windows command line, if a command has its form: `^"` around each
/// word. A `^` stands before each character that is special there.
fn without_carets(text: &str) -> Cow<'_, str> {
    let first_quote = text.find(['"', '\'']).unwrap_or_default();
    if !(text[first_quote..].starts_with('"') && text[..first_quote].ends_with('^')) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '^' if matches!(rest.peek(), Some('\n' | '\r')) => {
                rest.next_if_eq(&'\r');
                rest.next_if_eq(&'\n');
                // Inside a word, a line end is written as `^`, a line end, and an empty line.
                if matches!(rest.peek(), Some('\n' | '\r')) {
                    rest.next_if_eq(&'\r');
                    rest.next_if_eq(&'\n');
                    plain.push('\n');
                }
            }
            '^' => plain.extend(rest.next()),
            _ => plain.push(character),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_a_shell_reads_them() {
        let split = |text: &str| words(text).words;
        assert_eq!(split("curl -X  GET 'a b'\"c\\\"d\"e"), ["curl", "-X", "GET", "a bc\"de"]);
        assert_eq!(split("curl \\\n  'x' \\\r\n y ^\n z\nnext"), ["curl", "x", "y", "z"]);
        assert_eq!(split("curl $'a\\'b\\n' ''"), ["curl", "a'b\n", ""]);
        assert_eq!(split("curl a\\&b | jq"), ["curl", "a&b"]);
        assert_eq!(split("\n curl 'open"), ["curl", "open"]);
        let ended = words("curl http://h/?a=1&b=2 &");
        assert_eq!((ended.words.len(), ended.ended_by_ampersand), (2, true));
        assert!(!words("curl 'a&b' & b").ended_by_ampersand);
    }

    #[test]
    fn escapes_of_bash_are_read() {
        let split = |text: &str| words(text).words;
        assert_eq!(split(r"$'\u4e2d\x41\101\xc3\xa9\U0001F600!'"), ["\u{4e2d}AA\u{e9}\u{1f600}!"]);
        assert_eq!(split(r"$'a\tb\\\'c\u0021\q\xg\0601'"), ["a\tb\\'c!\\q\\xg01"]);
        assert_eq!(
            split(r"$'\uD800\xff\U99999999\777' $'\"),
            ["\u{fffd}\u{fffd}\u{fffd}\u{fffd}", ""]
        );
    }

    #[test]
    fn the_form_for_the_windows_command_line_is_read() {
        let text = "curl ^\"http://h/?a=1^&b=^%^20c^\" ^\r\n  -H ^\"x: ^\\^\"q^\\^\"^\" ^\n  --data-raw ^\"a^\n\nb^\"";
        let split = words(text);
        let expected = ["curl", "http://h/?a=1&b=%20c", "-H", "x: \"q\"", "--data-raw", "a\nb"];
        assert_eq!(split.words, expected);
        assert!(!split.ended_by_ampersand);
        assert_eq!(words("curl \"a^b\" -d '^\"'").words, ["curl", "a^b", "-d", "^\""]);
    }
}
