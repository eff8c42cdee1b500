//! Percent-encoding as the signatures require it, whatever the encoding of the request was. Every
//! byte except the unreserved characters of RFC 3986 is escaped, with upper-case hex digits. V1
//! encodes the encoded text a second time; both encodings are one step here.

/// Whether a byte is not escaped.
const UNRESERVED: [bool; 256] = unreserved();
/// The escape of every byte.
const ESCAPES: [[u8; 3]; 256] = escapes(*b"%00");
/// The escape of the escape of every byte.
const ESCAPES_TWICE: [[u8; 5]; 256] = escapes(*b"%2500");

/// Number of bytes that are copied for a shorter text; the rest is cut off afterwards. The compiler
/// inlines a copy whose length is constant, and calls a function for any other.
const AT_ONCE: usize = 32;

/// A decoded text, and whether encoding changes it. Most names and values are copied unchanged.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The text and the bytes that follow it.
    from: &'a [u8],
    length: usize,
    unreserved: bool,
}

impl<'a> Text<'a> {
    /// Wraps the first `length` bytes of `from`. The caller has checked whether each of them
    /// [`is_unreserved`].
    #[must_use]
    pub const fn new(from: &'a [u8], length: usize, unreserved: bool) -> Self {
        Self { from, length, unreserved }
    }

    /// Returns whether this text equals `text`.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.bytes() == text.as_bytes()
    }

    /// Appends the encoded text, which is ASCII.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if self.unreserved {
            self.copy(out);
        } else {
            escape::<3>(self.bytes(), &ESCAPES, out);
        }
    }

    /// Appends the text after two encodings, which is ASCII.
    pub fn encode_twice(&self, out: &mut Vec<u8>) {
        if self.unreserved {
            self.copy(out);
        } else {
            escape::<5>(self.bytes(), &ESCAPES_TWICE, out);
        }
    }

    fn bytes(&self) -> &'a [u8] {
        &self.from[..self.length]
    }

    fn copy(&self, out: &mut Vec<u8>) {
        match self.from.first_chunk::<AT_ONCE>() {
            Some(chunk) if self.length <= AT_ONCE => {
                out.extend_from_slice(chunk);
                out.truncate(out.len() - (AT_ONCE - self.length));
            }
            _ => out.extend_from_slice(self.bytes()),
        }
    }
}

/// Returns whether a byte is not escaped.
#[must_use]
pub const fn is_unreserved(byte: u8) -> bool {
    UNRESERVED[byte as usize]
}

/// Copies unreserved bytes, and replaces every other byte with its `N` characters of the table.
fn escape<const N: usize>(text: &[u8], escapes: &[[u8; N]; 256], out: &mut Vec<u8>) {
    for byte in text {
        if is_unreserved(*byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(&escapes[usize::from(*byte)]);
        }
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

/// Returns the escape of each byte: the form with its last two characters replaced by the hex
/// digits.
const fn escapes<const N: usize>(form: [u8; N]) -> [[u8; N]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut table = [form; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte][N - 2] = DIGITS[byte >> 4];
        table[byte][N - 1] = DIGITS[byte & 15];
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    /// The unreserved characters of RFC 3986, for the encoder of the crate `percent_encoding`.
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

    /// Encodes a text once and twice, with other bytes behind it.
    fn encoded(text: &str) -> (String, String) {
        let followed = [text, &"é".repeat(AT_ONCE)].concat();
        let given = |from: &str| {
            let unreserved = text.bytes().all(is_unreserved);
            let text = Text::new(from.as_bytes(), text.len(), unreserved);
            let (mut once, mut twice) = (b"&".to_vec(), b"&".to_vec());
            text.encode(&mut once);
            text.encode_twice(&mut twice);
            (once.split_off(1), twice.split_off(1))
        };
        let (once, twice) = given(&followed);
        assert_eq!(
            given(text),
            (once.clone(), twice.clone()),
            "the bytes behind the text do not matter"
        );
        (String::from_utf8(once).unwrap(), String::from_utf8(twice).unwrap())
    }

    #[test]
    fn only_unreserved_characters_are_kept_and_hex_digits_are_upper_case() {
        let expected = "a-Z_0.~%20%2A%2B%2F%3A%25%C3%A9%F0%9F%98%80";
        assert_eq!(encoded("a-Z_0.~ *+/:%é\u{1f600}").0, expected);
    }

    proptest! {
        #[test]
        fn the_encoding_equals_that_of_an_encoder_without_tables(
            text in "[a-zA-Z0-9._~-]{0,40}|.{0,8}"
        ) {
            let (once, twice) = encoded(&text);
            prop_assert_eq!(&once, &utf8_percent_encode(&text, ESCAPED).to_string());
            prop_assert_eq!(twice, utf8_percent_encode(&once, ESCAPED).to_string());
        }

        #[test]
        fn an_encoded_text_decodes_to_itself(text in "\\PC*") {
            let (encoded, _) = encoded(&text);
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap().into_owned();
            prop_assert_eq!(decoded, text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)));
        }
    }
}
