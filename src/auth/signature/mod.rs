//! The two signatures: the canonical form, the string to sign and the message authentication code.
//! All functions are pure. The command `call` signs with the code that the server verifies with.

mod parameters;
pub mod v1;
pub mod v3;

pub use parameters::{Parameter, Parameters};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// A decoded parameter to sign: name and value.
pub type Pair = (String, String);

/// Initial capacity of a canonical form, in bytes. It is enough for a typical request.
const TYPICAL_LENGTH: usize = 512;

/// The ASCII characters that are escaped: all except the unreserved ones of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Returns the canonical query: the pairs sorted by name (byte order), each side percent-encoded,
/// as `name=value` joined by `&`.
#[must_use]
pub fn canonical_query(parameters: &Parameters) -> String {
    query(parameters.sorted())
}

fn query<'a>(parameters: impl Iterator<Item = &'a Parameter>) -> String {
    let mut query = String::with_capacity(TYPICAL_LENGTH);
    for parameter in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(encode(&parameter.name));
        query.push('=');
        query.extend(encode(&parameter.value));
    }
    query
}

/// Percent-encodes a text as the signatures require. The client may have encoded the request in
/// another way, a blank as `+` for example.
fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED)
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    fn pairs() -> impl Strategy<Value = Vec<Pair>> {
        prop::collection::vec(("[a-zA-Z]{1,6}", "\\PC{0,8}"), 0..8)
    }

    #[test]
    fn only_unreserved_characters_are_kept_and_hex_digits_are_upper_case() {
        let expected = "a-Z_0.~%20%2A%2B%2F%3A%25%C3%A9%F0%9F%98%80";
        assert_eq!(encode("a-Z_0.~ *+/:%é\u{1f600}").to_string(), expected);
    }

    proptest! {
        #[test]
        fn an_encoded_text_decodes_to_itself(text in "\\PC*") {
            let encoded = encode(&text).to_string();
            let decoded = percent_decode_str(&encoded).decode_utf8().unwrap().into_owned();
            prop_assert_eq!(decoded, text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)));
        }

        #[test]
        fn each_byte_is_encoded_by_itself(text in "[a-zA-Z0-9._~-]{0,40}|.{0,8}") {
            let expected: String = text.bytes().map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            }).collect();
            prop_assert_eq!(encode(&text).to_string(), expected);
        }

        #[test]
        fn the_order_of_parameters_does_not_matter(mut pairs in pairs(), seed in 0usize..8) {
            let query = canonical_query(&pairs.iter().collect());
            let length = pairs.len().max(1);
            pairs.rotate_left(seed % length);
            prop_assert_eq!(canonical_query(&pairs.iter().collect()), query);
        }

        #[test]
        fn v1_signs_the_canonical_query_encoded_once_more(pairs in pairs()) {
            let parameters: Parameters = pairs.iter().collect();
            let query = canonical_query(&parameters);
            let expected = format!("GET&%2F&{}", encode(&query));
            prop_assert_eq!(v1::string_to_sign("GET", &parameters), expected);
        }
    }
}
