//! Percent-encoding as signatures want it, whatever the encoding on the wire was: everything but
//! the unreserved characters of RFC 3986 is escaped, with hex digits in capitals. V1 encodes once
//! more what is encoded already; both times are one step here.

use std::borrow::Cow;

/// Whether a byte stays as it is.
const UNRESERVED: [bool; 256] = unreserved();
/// Every byte escaped, one after the other: `%00%01…`.
const ESCAPES: [u8; 256 * 3] = escapes::<3, { 256 * 3 }>(*b"%00");
/// Every byte escaped twice: `%2500%2501…`.
const ESCAPES_TWICE: [u8; 256 * 5] = escapes::<5, { 256 * 5 }>(*b"%2500");

/// A decoded text that knows whether encoding it changes anything: most names and values are to be
/// copied as they are.
#[derive(Clone, Debug)]
pub struct Text<'a> {
    text: Cow<'a, str>,
    unreserved: bool,
}

impl<'a> Text<'a> {
    /// Takes a text in.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        let unreserved = text.bytes().all(is_unreserved);
        Self { text, unreserved }
    }

    /// Takes a text in of which the caller has seen whether every byte [`is_unreserved`].
    #[must_use]
    pub const fn borrowed(text: &'a str, unreserved: bool) -> Self {
        Self { text: Cow::Borrowed(text), unreserved }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Appends the text, encoded.
    pub fn encode(&self, out: &mut String) {
        if self.unreserved {
            out.push_str(&self.text);
        } else {
            escape::<3>(&self.text, text_of(&ESCAPES), out);
        }
    }

    /// Appends the text, encoded twice.
    pub fn encode_twice(&self, out: &mut String) {
        if self.unreserved {
            out.push_str(&self.text);
        } else {
            escape::<5>(&self.text, text_of(&ESCAPES_TWICE), out);
        }
    }
}

/// Whether encoding leaves a byte as it is.
#[must_use]
pub const fn is_unreserved(byte: u8) -> bool {
    UNRESERVED[byte as usize]
}

/// Copies runs of unreserved bytes, and puts the `N` characters of a table for every other byte.
fn escape<const N: usize>(text: &str, escapes: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if is_unreserved(*byte) {
            continue;
        }
        // A run that is not empty begins and ends where a character does: it is ASCII.
        if from < at {
            out.push_str(&text[from..at]);
        }
        let escape = usize::from(*byte) * N;
        out.push_str(&escapes[escape..escape + N]);
        from = at + 1;
    }
    if from < bytes.len() {
        out.push_str(&text[from..]);
    }
}

const fn unreserved() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        byte += 1;
    }
    table
}

/// The form with its last two characters replaced by the hex digits of each byte.
const fn escapes<const N: usize, const LENGTH: usize>(form: [u8; N]) -> [u8; LENGTH] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut table = [0; LENGTH];
    let mut byte = 0;
    while byte < 256 {
        let mut at = 0;
        while at < N {
            table[byte * N + at] = form[at];
            at += 1;
        }
        table[byte * N + N - 2] = DIGITS[byte >> 4];
        table[byte * N + N - 1] = DIGITS[byte & 15];
        byte += 1;
    }
    table
}

const fn text_of(table: &'static [u8]) -> &'static str {
    match std::str::from_utf8(table) {
        Ok(text) => text,
        Err(_) => panic!("escapes are ASCII"),
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    /// What RFC 3986 leaves as it is, said to somebody else's encoder.
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

    fn encoded(text: &str) -> String {
        let mut out = String::new();
        Text::new(text).encode(&mut out);
        out
    }

    #[test]
    fn only_unreserved_characters_stay_and_hex_digits_are_upper_case() {
        let expected = "a-Z_0.~%20%2A%2B%2F%3A%25%C3%A9%F0%9F%98%80";
        assert_eq!(encoded("a-Z_0.~ *+/:%é\u{1f600}"), expected);
    }

    proptest! {
        #[test]
        fn encoding_is_that_of_an_encoder_that_knows_no_table(text in any::<String>()) {
            let once = utf8_percent_encode(&text, ESCAPED).to_string();
            prop_assert_eq!(&encoded(&text), &once);
            let mut twice = String::new();
            Text::new(text.as_str()).encode_twice(&mut twice);
            prop_assert_eq!(twice, utf8_percent_encode(&once, ESCAPED).to_string());
        }

        #[test]
        fn encoding_reads_back_as_itself(text in "\\PC*") {
            let encoded = encoded(&text);
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap().into_owned();
            prop_assert_eq!(decoded, text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)));
        }
    }
}
