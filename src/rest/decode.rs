//! Form-decoding of a query and of a form body: `+` is a blank, `%XX` a byte, the result UTF-8
//! without control characters, which no XML can carry. What needs no decoding is not copied.

use std::borrow::Cow;

use crate::auth::signature::percent::{Text, is_unreserved};
use crate::auth::signature::{Parameter, Parameters};

/// How many parameters there is room for at first; typical requests have fewer.
const TYPICAL_NUMBER: usize = 16;

/// What decoding has to know of each byte.
const CLASSES: [u8; 256] = classes();
/// Encoding it for a signature changes it.
const RESERVED: u8 = 1;
/// It stands for something else, or must not be there at all, or is not ASCII.
const DECODE: u8 = 2;
/// It ends a name.
const ENDS_NAME: u8 = 4;
/// It ends a parameter.
const ENDS_PARAMETER: u8 = 8;

/// The parameters of a query and of a form body, decoded; and, where one cannot be used, what can be
/// shown of the name of the first.
#[must_use]
pub fn decode<'a>(query: &'a [u8], form: &'a [u8]) -> (Parameters<'a>, Option<String>) {
    let mut parameters = Vec::with_capacity(TYPICAL_NUMBER);
    let mut wrong = None;
    for (raw, in_form) in [(query, false), (form, true)] {
        let mut raw = Raw::new(raw);
        while let Some((name, value)) = raw.next_parameter() {
            // Nearly all of them: no copy, and no result to take apart.
            if let (Some(name), Some(value)) = (raw.as_it_came(name), raw.as_it_came(value)) {
                parameters.push(Parameter::new(name, value, in_form, parameters.len()));
                continue;
            }
            let decoded = raw.push_decoded(name, value, in_form, &mut parameters);
            wrong = wrong.or(decoded.err());
        }
    }
    (Parameters::new(parameters), wrong)
}

/// Parameters as they came, read up to a place.
struct Raw<'a> {
    bytes: &'a [u8],
    /// All of them, where they are UTF-8: looked at once and not for each name and value.
    text: Option<&'a str>,
    at: usize,
}

/// The place of a name or a value, and the classes of its bytes.
#[derive(Clone, Copy)]
struct Side {
    start: usize,
    end: usize,
    seen: u8,
}

impl<'a> Raw<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, text: std::str::from_utf8(bytes).ok(), at: 0 }
    }

    /// The next name and value; parts without either are passed over, as between `&&`.
    fn next_parameter(&mut self) -> Option<(Side, Side)> {
        while self.at < self.bytes.len() {
            let start = self.at;
            let name = self.next_side(ENDS_NAME | ENDS_PARAMETER);
            let mut value = Side { start: self.at, end: self.at, seen: 0 };
            if self.bytes.get(self.at) == Some(&b'=') {
                self.at += 1;
                value = self.next_side(ENDS_PARAMETER);
            }
            let end = self.at;
            self.at += 1; // past the `&`
            if start < end {
                return Some((name, value));
            }
        }
        None
    }

    fn next_side(&mut self, until: u8) -> Side {
        let start = self.at;
        let (mut rest, mut seen) = (&self.bytes[start..], 0);
        // By fours: to look after each byte whether it is the last takes as long as all the rest.
        while let [one, two, three, four, after @ ..] = rest {
            let class = class(*one) | class(*two) | class(*three) | class(*four);
            if class & until != 0 {
                break;
            }
            seen |= class;
            rest = after;
        }
        while let [byte, after @ ..] = rest {
            let class = class(*byte);
            if class & until != 0 {
                break;
            }
            seen |= class;
            rest = after;
        }
        self.at = self.bytes.len() - rest.len();
        Side { start, end: self.at, seen }
    }

    /// The text, where it needs no decoding.
    fn as_it_came(&self, Side { start, end, seen }: Side) -> Option<Text<'a>> {
        let text = self.text.filter(|_| seen & DECODE == 0)?.get(start..end)?;
        Some(Text::borrowed(text, seen & RESERVED == 0))
    }

    /// Adds a parameter of which something needs decoding; where it cannot be used, what can be shown
    /// of its name.
    fn push_decoded(
        &self,
        name: Side,
        value: Side,
        in_form: bool,
        parameters: &mut Vec<Parameter<'a>>,
    ) -> Result<(), String> {
        let name = self.decode(name)?;
        let Ok(value) = self.decode(value) else { return Err(name.as_str().to_owned()) };
        parameters.push(Parameter::new(name, value, in_form, parameters.len()));
        Ok(())
    }

    /// The text, or, where it cannot be used, what of it can be shown.
    fn decode(&self, side: Side) -> Result<Text<'a>, String> {
        let decoded = || decode_text(&self.bytes[side.start..side.end]).map(Text::new);
        self.as_it_came(side).map_or_else(decoded, Ok)
    }
}

const fn class(byte: u8) -> u8 {
    CLASSES[byte as usize]
}

fn decode_text(raw: &[u8]) -> Result<Cow<'_, str>, String> {
    match String::from_utf8(decode_bytes(raw)) {
        Ok(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => Ok(Cow::Owned(text)),
        Ok(text) if text.chars().all(may_be_in_xml) => Ok(Cow::Owned(text)),
        Ok(text) => Err(text.chars().filter(|c| may_be_in_xml(*c)).collect()),
        Err(error) => {
            let shown = String::from_utf8_lossy(error.as_bytes());
            Err(shown.chars().filter(|c| may_be_in_xml(*c)).collect())
        }
    }
}

/// A `%` that no two hex digits follow stands for itself.
fn decode_bytes(raw: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    decoded
}

fn may_be_in_xml(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{fffe}' | '\u{ffff}')
}

const fn classes() -> [u8; 256] {
    let mut classes = [DECODE; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        classes[byte as usize] = match byte {
            b'+' | b'%' => DECODE,
            b'&' => ENDS_PARAMETER,
            b'=' => ENDS_NAME | RESERVED, // in a value it stands for itself
            _ if is_unreserved(byte) => 0,
            _ => RESERVED,
        };
        byte += 1;
    }
    classes
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode;
    use proptest::prelude::*;

    use super::*;
    use crate::auth::signature::{Pair, canonical_query};

    fn pairs(raw: &[u8]) -> Vec<Pair> {
        let (parameters, _) = decode(raw, b"");
        parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn pair(name: &str, value: &str) -> Pair {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn what_cannot_be_used_names_its_parameter() {
        assert_eq!(pairs(b"&a=1&b=%20+x&&c").len(), 3);
        assert_eq!(pairs(b"a=%20+x"), [pair("a", "  x")]);
        for (raw, name) in [
            ("a=%00", "a"),
            ("b=x%0Ay", "b"),
            ("c=%FF", "c"),
            ("d%01e=1", "de"),
            ("f=%EF%BF%BF", "f"),
            ("g=1&h=\u{7f}&i=\u{1}", "h"),
        ] {
            assert_eq!(decode(raw.as_bytes(), b"").1.as_deref(), Some(name), "{raw}");
            assert_eq!(decode(b"", raw.as_bytes()).1.as_deref(), Some(name), "{raw}");
        }
    }

    #[test]
    fn signs_that_stand_for_themselves_stay() {
        assert_eq!(
            pairs(b"a=b=c%&%4=%zz&=x&=&d="),
            [pair("", "x"), pair("", ""), pair("%4", "%zz"), pair("a", "b=c%"), pair("d", ""),]
        );
        assert_eq!(pairs("é=\u{1f600}".as_bytes()), [pair("é", "\u{1f600}")]);
    }

    /// As it is written in one line, with copies of everything.
    fn decode_plainly(raw: &[u8]) -> Result<String, std::string::FromUtf8Error> {
        let blanks: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        String::from_utf8(percent_decode(&blanks).collect())
    }

    proptest! {
        #[test]
        fn encoded_parameters_decode_as_themselves(
            mut pairs in prop::collection::vec(("[A-Za-z.0-9]{1,8}", "[^\\p{Cc}\u{fffe}\u{ffff}]{0,8}"), 0..6),
        ) {
            let raw = canonical_query(&pairs.iter().collect());
            pairs.sort();
            prop_assert_eq!(decode(raw.as_bytes(), b"").1, None);
            prop_assert_eq!(super::tests::pairs(raw.as_bytes()), pairs);
        }

        #[test]
        fn a_decoded_value_is_signed_as_one_that_never_was_encoded(raw in "[a-zA-Z0-9%+=*~_./ é]{0,12}") {
            let (parameters, wrong) = decode(raw.as_bytes(), b"");
            prop_assume!(wrong.is_none());
            let pairs = pairs(raw.as_bytes());
            prop_assert_eq!(canonical_query(&parameters), canonical_query(&pairs.iter().collect()));
        }

        #[test]
        fn values_decode_as_with_a_decoder_that_copies_everything(raw in "[ -%'-~é]{0,12}") {
            let decoded = pairs(format!("a={raw}").as_bytes());
            if let Some((_, value)) = decoded.first() {
                prop_assert_eq!(Ok(value.clone()), decode_plainly(raw.as_bytes()));
            }
        }

        #[test]
        fn any_bytes_decode_to_something_that_xml_can_carry(raw in prop::collection::vec(any::<u8>(), 0..64)) {
            let (parameters, wrong) = decode(&raw, &raw);
            let texts = parameters.iter().flat_map(|(name, value)| [name, value]);
            let mut texts = texts.chain(wrong.as_deref());
            prop_assert!(texts.all(|text| text.chars().all(may_be_in_xml)));
        }
    }
}
