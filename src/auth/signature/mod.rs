//! The two signatures: canonical form, string to sign, message authentication code. Pure; `call`
//! signs with the same code that the server verifies with.

pub mod v1;
pub mod v3;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A decoded parameter: name and value.
pub type Pair = (String, String);

/// Everything but the unreserved characters of RFC 3986 is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Percent-encodes for a signature, whatever the encoding on the wire was.
#[must_use]
pub fn encode(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, ESCAPED)
}

/// The canonical query: pairs sorted by name (byte order), each side percent-encoded, `name=value`
/// joined by `&`.
#[must_use]
pub fn canonical_query<'a>(pairs: impl Iterator<Item = &'a Pair>) -> String {
    use std::fmt::Write;
    let mut sorted: Vec<_> = pairs.collect();
    sorted.sort();
    let mut query = String::new();
    for (name, value) in sorted {
        let separator = if query.is_empty() { "" } else { "&" };
        write!(query, "{separator}{}={}", encode(name), encode(value))
            .expect("a String takes any text");
    }
    query
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_unreserved_characters_stay_and_hex_digits_are_upper_case() {
        assert_eq!(
            encode("a-Z_0.~ *+/:%é\u{1f600}").to_string(),
            "a-Z_0.~%20%2A%2B%2F%3A%25%C3%A9%F0%9F%98%80"
        );
    }

    proptest! {
        #[test]
        fn encoding_reads_back_as_itself(text in "\\PC*") {
            let encoded = encode(&text).to_string();
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap().into_owned();
            prop_assert_eq!(decoded, text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)));
        }

        #[test]
        fn the_order_of_parameters_does_not_matter(
            mut pairs in prop::collection::vec(("[a-zA-Z]{1,6}", "\\PC{0,8}"), 0..8), seed in 0usize..8,
        ) {
            let query = canonical_query(pairs.iter());
            let length = pairs.len().max(1);
            pairs.rotate_left(seed % length);
            prop_assert_eq!(canonical_query(pairs.iter()), query);
        }
    }
}
