//! The decoded parameters of a request in the order in which they are signed.

use std::collections::HashSet;

use super::Pair;

/// Decoded parameters, sorted by name (byte order). Equal names are in the order of the request.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    sorted: Vec<Parameter>,
    repeated: Option<String>,
}

/// A decoded parameter, and where it came from.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it came in a form body and not in the query.
    pub in_form: bool,
}

impl Parameters {
    /// Sorts parameters, which are given in the order of the request.
    #[must_use]
    pub fn new(mut parameters: Vec<Parameter>) -> Self {
        let mut seen = HashSet::with_capacity(parameters.len());
        let repeated = parameters.iter().find(|parameter| !seen.insert(&parameter.name));
        let repeated = repeated.map(|parameter| parameter.name.clone());
        parameters.sort_by(|one, other| one.name.cmp(&other.name));
        Self { sorted: parameters, repeated }
    }

    /// Returns the value of a name. If the name occurs twice, this is the first value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// Iterates over the names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sorted().map(|parameter| (parameter.name.as_str(), parameter.value.as_str()))
    }

    /// Returns the name of the first parameter, in the order of the request, whose name occurred
    /// before.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        self.repeated.as_deref()
    }

    /// Iterates over the parameters in the order in which they are signed.
    pub(super) fn sorted(&self) -> impl Iterator<Item = &Parameter> {
        self.sorted.iter()
    }
}

/// Collects parameters to sign. Equal names are sorted by value.
impl<'a> FromIterator<&'a Pair> for Parameters {
    fn from_iter<I: IntoIterator<Item = &'a Pair>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().cloned().collect();
        pairs.sort();
        let parameters =
            pairs.into_iter().map(|(name, value)| Parameter { name, value, in_form: false });
        Self::new(parameters.collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns parameters whose values are their indices.
    fn named(names: &[&str]) -> Parameters {
        let parameters = names.iter().enumerate().map(|(place, name)| Parameter {
            name: (*name).to_owned(),
            value: place.to_string(),
            in_form: false,
        });
        Parameters::new(parameters.collect())
    }

    #[test]
    fn the_repeated_name_is_the_first_that_occurs_again() {
        assert_eq!(named(&["b", "a", "c"]).repeated(), None);
        assert_eq!(named(&["b", "a", "a", "b"]).repeated(), Some("a"));
        assert_eq!(named(&["b", "a", "b", "a"]).repeated(), Some("b"));
        assert_eq!(named(&["b", "a", "b", "b", "a"]).repeated(), Some("b"));
        assert_eq!(named(&["b", "a", "b"]).get("b"), Some("0"));
        assert_eq!(named(&["b", "a", "b"]).get("c"), None);
        let names = ["SignatureMethods", "SignatureMet", "SignatureMethod", "SignatureMethods"];
        assert_eq!(named(&names[..3]).repeated(), None, "names with the same beginning");
        assert_eq!(named(&names).repeated(), Some("SignatureMethods"));
        assert_eq!(named(&names).get("SignatureMethods"), Some("0"));
    }

    proptest! {
        #[test]
        fn parameters_are_sorted_by_the_bytes_of_their_names(
            mut names in prop::collection::vec("[ab\u{0}é]{0,3}|Signature(Nonce|Met)?(hod|s)?[12]?", 0..9),
        ) {
            let given: Vec<_> = names.iter().map(String::as_str).collect();
            let sorted: Vec<_> = named(&given).iter().map(|(name, _)| name.to_owned()).collect();
            names.sort();
            prop_assert_eq!(sorted, names);
        }
    }
}
