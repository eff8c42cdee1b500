//! The two signatures: canonical form, string to sign, message authentication code. Pure; `call`
//! signs with the same code that the server verifies with.

mod parameters;
pub mod percent;
pub mod v1;
pub mod v3;

pub use parameters::{Parameter, Parameters};

/// A decoded parameter to sign: name and value.
pub type Pair = (String, String);

/// What a canonical form is given to begin with; a typical one fits.
const TYPICAL_LENGTH: usize = 512;

/// The canonical query: pairs sorted by name (byte order), each side percent-encoded, `name=value`
/// joined by `&`.
#[must_use]
pub fn canonical_query(parameters: &Parameters<'_>) -> String {
    let mut query = String::with_capacity(TYPICAL_LENGTH);
    write_query(parameters.all(), &mut query);
    query
}

fn write_query<'p, 'a: 'p>(parameters: impl Iterator<Item = &'p Parameter<'a>>, out: &mut String) {
    let mut separator = "";
    for Parameter { name, value, .. } in parameters {
        out.push_str(separator);
        separator = "&";
        name.encode(out);
        out.push('=');
        value.encode(out);
    }
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
            let mut expected = "GET&%2F&".to_owned();
            percent::Text::new(canonical_query(&parameters)).encode(&mut expected);
            prop_assert_eq!(v1::string_to_sign("GET", &parameters), expected);
        }
    }
}
