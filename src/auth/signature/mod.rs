//! The two signatures: the canonical form, the string to sign and the message authentication code.
//! All functions are pure. The command `call` signs with the code that the server verifies with.

mod parameters;
pub mod percent;
pub mod v1;
pub mod v3;

pub use parameters::{Parameter, Parameters, Place};
use percent::Text;

/// A decoded parameter to sign: name and value.
pub type Pair = (String, String);

/// Initial capacity of a canonical form, in bytes. A typical one fits.
const TYPICAL_LENGTH: usize = 512;

/// Returns the canonical query: the pairs sorted by name (byte order), each side percent-encoded,
/// as `name=value` joined by `&`.
#[must_use]
pub fn canonical_query(parameters: &Parameters) -> String {
    query(parameters.all())
}

fn query<'a>(parameters: impl Iterator<Item = (Text<'a>, Text<'a>)>) -> String {
    let mut query = Vec::with_capacity(TYPICAL_LENGTH);
    let mut separator: &[u8] = b"";
    for (name, value) in parameters {
        query.extend_from_slice(separator);
        separator = b"&";
        name.encode(&mut query);
        query.push(b'=');
        value.encode(&mut query);
    }
    encoded_text(query)
}

fn encoded_text(encoded: Vec<u8>) -> String {
    String::from_utf8(encoded).expect("percent-encoded text is ASCII")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs() -> impl Strategy<Value = Vec<Pair>> {
        prop::collection::vec(("[a-zA-Z]{1,6}", "\\PC{0,8}"), 0..8)
    }

    proptest! {
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
            let mut expected = b"GET&%2F&".to_vec();
            Text::new(query.as_bytes(), query.len(), false).encode(&mut expected);
            prop_assert_eq!(v1::string_to_sign("GET", &parameters), encoded_text(expected));
        }
    }
}
