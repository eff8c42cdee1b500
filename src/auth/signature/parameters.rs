//! The decoded parameters of a request in the order in which they are signed. They are sorted once.
//! Both canonical forms use this order, and so does the search for names that occur twice.

use super::Pair;
use super::percent::{Text, is_unreserved};

/// Number of bytes of a name that its rank contains. The other four bytes of the rank count the
/// parameters, which is enough for one request.
const BEGINNING: usize = 12;
const FIRST_BYTES: [u128; BEGINNING + 1] = first_bytes();

/// Decoded parameters, sorted by name (byte order). Equal names are in the order of the request.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// The text that contains all names and values.
    text: String,
    as_they_came: Vec<Parameter>,
    order: Vec<Rank>,
}

/// A decoded parameter, and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Place,
    /// Its value.
    pub value: Place,
    /// Whether it came in a form body and not in the query.
    pub in_form: bool,
}

/// The place of a name or a value in the text of its [`Parameters`].
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Index of its first byte.
    pub start: usize,
    /// Index after its last byte.
    pub end: usize,
    /// Whether every byte of it [`is_unreserved`].
    pub unreserved: bool,
}

/// The sort key of a parameter: the first bytes of its name and, below them, the number of
/// parameters before it. Names that differ in their first bytes are ordered by it completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u128);

impl Parameters {
    /// Sorts parameters, which are given in the order of the request as places in a text.
    ///
    /// # Panics
    ///
    /// Panics if a place is not within the text.
    #[must_use]
    pub fn new(text: String, as_they_came: Vec<Parameter>) -> Self {
        let ranks = as_they_came.iter().enumerate().map(|(at, parameter)| {
            Rank::new(&text.as_bytes()[parameter.name.start..], parameter.name.len(), at)
        });
        let order = ranks.collect();
        let mut parameters = Self { text, as_they_came, order };
        parameters.sort();
        parameters
    }

    fn sort(&mut self) {
        self.order.sort_unstable();
        if self.order.windows(2).any(|pair| pair[0].begins_like(pair[1])) {
            let mut order = std::mem::take(&mut self.order);
            order.sort_by(|one, other| self.name(*one).cmp(self.name(*other)));
            self.order = order;
        }
    }

    /// Returns the value of a name. If the name occurs twice, this is the first value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// Iterates over the names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sorted().map(|parameter| (self.str(parameter.name), self.str(parameter.value)))
    }

    /// Returns the repeated name whose second occurrence comes first.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        let again = self.order.windows(2).filter_map(|pair| {
            let is_same = pair[0].begins_like(pair[1]) && self.name(pair[0]) == self.name(pair[1]);
            is_same.then_some(pair[1])
        });
        again.min_by_key(|rank| rank.at()).map(|rank| self.name(rank))
    }

    /// Iterates over all names and values, as they are signed.
    pub(super) fn all(&self) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
        self.texts(|_| true)
    }

    /// Iterates over the names and values of the query, as they are signed.
    pub(super) fn of_query(&self) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
        self.texts(|parameter| !parameter.in_form)
    }

    fn texts(
        &self,
        which: impl Fn(&Parameter) -> bool,
    ) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
        let chosen = self.sorted().filter(move |parameter| which(parameter));
        chosen.map(|parameter| (self.text(parameter.name), self.text(parameter.value)))
    }

    fn sorted(&self) -> impl Iterator<Item = &Parameter> {
        self.order.iter().map(|rank| &self.as_they_came[rank.at()])
    }

    fn name(&self, rank: Rank) -> &str {
        self.str(self.as_they_came[rank.at()].name)
    }

    fn str(&self, place: Place) -> &str {
        &self.text[place.start..place.end]
    }

    fn text(&self, place: Place) -> Text<'_> {
        Text::new(&self.text.as_bytes()[place.start..], place.len(), place.unreserved)
    }
}

impl Place {
    const fn len(self) -> usize {
        self.end - self.start
    }
}

impl Rank {
    /// Returns the rank of a name of `length` bytes. `from` begins with the name and contains the
    /// rest of the text, so that a whole chunk can be read at once.
    fn new(from: &[u8], length: usize, at: usize) -> Self {
        let bytes = match from.first_chunk() {
            Some(bytes) => *bytes,
            None => std::array::from_fn(|index| from.get(index).copied().unwrap_or_default()),
        };
        let beginning = u128::from_be_bytes(bytes) & FIRST_BYTES[length.min(BEGINNING)];
        Self(beginning | at as u128)
    }

    const fn begins_like(self, other: Self) -> bool {
        (self.0 ^ other.0) & FIRST_BYTES[BEGINNING] == 0
    }

    const fn at(self) -> usize {
        let [one, two, three, four, ..] = self.0.to_le_bytes();
        u32::from_le_bytes([one, two, three, four]) as usize
    }
}

/// Returns the masks of no bytes, the first byte, the first two bytes and so on.
const fn first_bytes() -> [u128; BEGINNING + 1] {
    let mut masks = [0; BEGINNING + 1];
    let mut length = 1;
    while length <= BEGINNING {
        masks[length] = !(u128::MAX >> (8 * length));
        length += 1;
    }
    masks
}

/// Collects parameters to sign. Equal names are sorted by value.
impl<'a> FromIterator<&'a Pair> for Parameters {
    fn from_iter<I: IntoIterator<Item = &'a Pair>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort();
        let mut text = String::new();
        let mut put = |side: &str| {
            let start = text.len();
            text.push_str(side);
            Place { start, end: text.len(), unreserved: side.bytes().all(is_unreserved) }
        };
        let parameters = pairs
            .into_iter()
            .map(|(name, value)| Parameter { name: put(name), value: put(value), in_form: false })
            .collect();
        Self::new(text, parameters)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns parameters whose values are their indices.
    fn named(names: &[&str]) -> Parameters {
        let mut text = String::new();
        let mut put = |side: &str| {
            text.push_str(side);
            Place { start: text.len() - side.len(), end: text.len(), unreserved: false }
        };
        let parameters = names.iter().enumerate().map(|(place, name)| {
            let (name, value) = (put(name), put(&place.to_string()));
            Parameter { name, value, in_form: false }
        });
        let parameters = parameters.collect();
        Parameters::new(text, parameters)
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
