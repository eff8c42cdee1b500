//! Percent-encoding as signatures want it, whatever the encoding on the wire was: everything but
//! the unreserved characters of RFC 3986 is escaped, with hex digits in capitals. V1 encodes once
//! more what is encoded already; both times are one step here.

/// Whether a byte stays as it is.
const UNRESERVED: [bool; 256] = unreserved();
/// Every byte, escaped.
const ESCAPES: [[u8; 3]; 256] = escapes(*b"%00");
/// Every byte, escaped twice.
const ESCAPES_TWICE: [[u8; 5]; 256] = escapes(*b"%2500");

/// How many bytes are copied of a text that has fewer, and cut off: to copy a number of them that
/// the compiler knows takes no call.
const AT_ONCE: usize = 32;

/// A decoded text that knows whether encoding it changes anything: most names and values are to be
/// copied as they are.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The text, and whatever follows it.
    from: &'a [u8],
    length: usize,
    unreserved: bool,
}

impl<'a> Text<'a> {
    /// A text of a length, given with what follows it; the caller has seen whether every byte of it
    /// [`is_unreserved`].
    #[must_use]
    pub const fn new(from: &'a [u8], length: usize, unreserved: bool) -> Self {
        Self { from, length, unreserved }
    }

    /// Whether this is the text.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.bytes() == text.as_bytes()
    }

    /// Appends the text, encoded: ASCII.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if self.unreserved {
            self.copy(out);
        } else {
            escape::<3>(self.bytes(), &ESCAPES, out);
        }
    }

    /// Appends the text, encoded twice: ASCII.
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

/// Whether encoding leaves a byte as it is.
#[must_use]
pub const fn is_unreserved(byte: u8) -> bool {
    UNRESERVED[byte as usize]
}

/// Copies unreserved bytes, and puts the `N` characters of a table for every other byte.
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

/// The form for each byte, its last two characters replaced by the hex digits.
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

    /// What RFC 3986 leaves as it is, said to somebody else's encoder.
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

    /// Both ways to encode a text, with something behind it.
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
        assert_eq!(given(text), (once.clone(), twice.clone()), "nothing behind it changes it");
        (String::from_utf8(once).unwrap(), String::from_utf8(twice).unwrap())
    }

    #[test]
    fn only_unreserved_characters_stay_and_hex_digits_are_upper_case() {
        let expected = "a-Z_0.~%20%2A%2B%2F%3A%25%C3%A9%F0%9F%98%80";
        assert_eq!(encoded("a-Z_0.~ *+/:%é\u{1f600}").0, expected);
    }

    proptest! {
        #[test]
        fn encoding_is_that_of_an_encoder_that_knows_no_table(
            text in "[a-zA-Z0-9._~-]{0,40}|.{0,8}"
        ) {
            let (once, twice) = encoded(&text);
            prop_assert_eq!(&once, &utf8_percent_encode(&text, ESCAPED).to_string());
            prop_assert_eq!(twice, utf8_percent_encode(&once, ESCAPED).to_string());
        }

        #[test]
        fn encoding_reads_back_as_itself(text in "\\PC*") {
            let (encoded, _) = encoded(&text);
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap().into_owned();
            prop_assert_eq!(decoded, text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)));
        }
    }
}
