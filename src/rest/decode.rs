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
        let mut rest = raw;
        while !rest.is_empty() {
            let (name, value) = split_parameter(&mut rest);
            if name.raw.is_empty() && value.is_none() {
                continue; // an empty part, as between `&&`
            }
            let place = parameters.len();
            match (name.decode(), value.unwrap_or_default().decode()) {
                (Ok(name), Ok(value)) => {
                    parameters.push(Parameter { name, value, in_form, place });
                }
                (name, _) => {
                    wrong.get_or_insert(
                        name.map_or_else(|shown| shown, |name| name.as_str().to_owned()),
                    );
                }
            }
        }
    }
    (Parameters::new(parameters), wrong)
}

/// A name or a value as it came, and what of the classes of its bytes there is in it.
#[derive(Clone, Copy, Default)]
struct Side<'a> {
    raw: &'a [u8],
    seen: u8,
}

/// Takes the next parameter off: its name, and its value where there is a `=`.
fn split_parameter<'a>(rest: &mut &'a [u8]) -> (Side<'a>, Option<Side<'a>>) {
    let name = Side::until(ENDS_NAME | ENDS_PARAMETER, rest);
    let value = if let [b'=', after @ ..] = *rest {
        *rest = after;
        Some(Side::until(ENDS_PARAMETER, rest))
    } else {
        None
    };
    *rest = rest.get(1..).unwrap_or_default(); // past the `&`
    (name, value)
}

impl<'a> Side<'a> {
    fn until(end: u8, rest: &mut &'a [u8]) -> Self {
        let mut seen = 0;
        let mut length = rest.len();
        for (at, byte) in rest.iter().enumerate() {
            let class = CLASSES[usize::from(*byte)];
            if class & end != 0 {
                length = at;
                break;
            }
            seen |= class;
        }
        let (raw, after) = rest.split_at(length);
        *rest = after;
        Self { raw, seen }
    }

    /// The text, or, where it cannot be used, what of it can be shown.
    fn decode(self) -> Result<Text<'a>, String> {
        if self.seen & DECODE == 0
            && let Ok(text) = std::str::from_utf8(self.raw)
        {
            let is_unreserved = self.seen & RESERVED == 0;
            return Ok(if is_unreserved { Text::unreserved(text) } else { Text::new(text) });
        }
        decode_text(self.raw).map(Text::new)
    }
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
