//! The parameters of a request, decoded, in the order in which they are signed. The order is made
//! once: it finds names that occur twice, and is that of either canonical form.

use std::cmp::Ordering;

use super::Pair;
use super::percent::Text;

/// Decoded parameters in the order of their names (byte order); equal names as they came.
#[derive(Clone, Debug, Default)]
pub struct Parameters<'a> {
    sorted: Vec<Parameter<'a>>,
}

/// A decoded parameter, and where it came from.
#[derive(Clone, Debug)]
pub struct Parameter<'a> {
    pub(super) name: Text<'a>,
    pub(super) value: Text<'a>,
    /// The first bytes of the name as one number: where two differ, it is in the order of the names.
    beginning: u64,
    place: u32,
    in_form: bool,
}

impl<'a> Parameters<'a> {
    /// Sorts parameters that are given as they came.
    #[must_use]
    pub fn new(mut parameters: Vec<Parameter<'a>>) -> Self {
        parameters.sort_by(Parameter::by_name);
        Self { sorted: parameters }
    }

    /// The value of a name; the first where it occurs twice.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sorted.iter().map(|parameter| (parameter.name.as_str(), parameter.value.as_str()))
    }

    /// The name that is the first to occur again.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        let again = self.sorted.windows(2).filter_map(|pair| match pair {
            [one, next] if one.name.as_str() == next.name.as_str() => Some(next),
            _ => None,
        });
        again.min_by_key(|parameter| parameter.place).map(|parameter| parameter.name.as_str())
    }

    /// As they are signed, all of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Parameter<'a>> {
        self.sorted.iter()
    }

    /// As they are signed, those of the query.
    pub(super) fn of_query(&self) -> impl Iterator<Item = &Parameter<'a>> {
        self.sorted.iter().filter(|parameter| !parameter.in_form)
    }
}

impl<'a> Parameter<'a> {
    /// A parameter of a form body or of the query; `place` says how many came before it.
    #[must_use]
    pub fn new(name: Text<'a>, value: Text<'a>, in_form: bool, place: usize) -> Self {
        let bytes = name.as_str().as_bytes();
        let beginning = match bytes.first_chunk() {
            Some(beginning) => u64::from_be_bytes(*beginning),
            None => (0..8).fold(0, |number, at| {
                number << 8 | u64::from(bytes.get(at).copied().unwrap_or_default())
            }),
        };
        // More than this many do not fit into a request.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        Self { name, value, beginning, place, in_form }
    }

    fn by_name(&self, other: &Self) -> Ordering {
        let by_beginning = self.beginning.cmp(&other.beginning);
        by_beginning.then_with(|| self.name.as_str().cmp(other.name.as_str()))
    }
}

/// Parameters to sign. Of equal names the lesser value goes first.
impl<'a> FromIterator<&'a Pair> for Parameters<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Pair>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort();
        let parameters = pairs.into_iter().enumerate().map(|(place, (name, value))| {
            Parameter::new(Text::new(name), Text::new(value), false, place)
        });
        Self { sorted: parameters.collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named<'a>(names: &[&'a str]) -> Parameters<'a> {
        let parameters = names.iter().enumerate().map(|(place, name)| {
            Parameter::new(Text::new(*name), Text::new(place.to_string()), false, place)
        });
        Parameters::new(parameters.collect())
    }

    #[test]
    fn of_repeated_names_the_one_that_occurs_again_first_is_told() {
        assert_eq!(named(&["b", "a", "c"]).repeated(), None);
        assert_eq!(named(&["b", "a", "a", "b"]).repeated(), Some("a"));
        assert_eq!(named(&["b", "a", "b", "a"]).repeated(), Some("b"));
        assert_eq!(named(&["b", "a", "b", "b", "a"]).repeated(), Some("b"));
        assert_eq!(named(&["b", "a", "b"]).get("b"), Some("0"));
        assert_eq!(named(&["b", "a", "b"]).get("c"), None);
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_bytes_of_names(
            mut names in prop::collection::vec("[a\u{0}é]{0,10}", 0..9),
        ) {
            let given: Vec<_> = names.iter().map(String::as_str).collect();
            let sorted: Vec<_> = named(&given).iter().map(|(name, _)| name.to_owned()).collect();
            names.sort();
            prop_assert_eq!(sorted, names);
        }
    }
}
