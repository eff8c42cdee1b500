//! Compares decoding with a decoder that looks at one byte after the other, and decodes what cannot
//! be used.

use proptest::prelude::*;

use super::*;
use crate::auth::signature::{Pair, canonical_query};

fn decoded(raw: &[u8]) -> Vec<Pair> {
    let (parameters, _) = decode(raw, b"");
    parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn pair(name: &str, value: &str) -> Pair {
    (name.to_owned(), value.to_owned())
}

#[test]
fn the_error_names_the_parameter_that_cannot_be_used() {
    assert_eq!(decoded(b"&a=1&b=%20+x&&c").len(), 3);
    assert_eq!(decoded(b"a=%20+x"), [pair("a", "  x")]);
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
fn characters_that_stand_for_themselves_are_kept() {
    assert_eq!(
        decoded(b"a=b=c%&%4=%zz&=x&=&d="),
        [pair("", "x"), pair("", ""), pair("%4", "%zz"), pair("a", "b=c%"), pair("d", ""),]
    );
    assert_eq!(decoded("é=\u{1f600}&a=1".as_bytes()), [pair("a", "1"), pair("é", "\u{1f600}")]);
}

#[test]
fn query_and_form_are_decoded_into_one_list() {
    let expected = [("a", "1"), ("b", "x y"), ("c", "é"), ("d", "2")];
    for (query, form) in [
        ("d=2&b=x%20y", "c=%C3%A9&a=1"),
        ("d=2&c=é", "b=x+y&a=1"),
        ("a=1&b=x+y", "c=é&d=2"),
        ("", "d=2&c=é&b=x+y&a=1"),
    ] {
        let (parameters, wrong) = decode(query.as_bytes(), form.as_bytes());
        assert_eq!(parameters.iter().collect::<Vec<_>>(), expected, "{query} {form}");
        assert_eq!(wrong, None);
    }
}

/// Decodes a value byte by byte.
fn decode_plainly(raw: &[u8]) -> Result<String, std::string::FromUtf8Error> {
    let digit = |at| raw.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(16 * high + low).unwrap());
                at += 2;
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
        at += 1;
    }
    String::from_utf8(decoded)
}

proptest! {
    #[test]
    fn encoded_parameters_decode_to_themselves(
        mut pairs in prop::collection::vec(("[A-Za-z.0-9]{1,8}", "[^\\p{Cc}\u{fffe}\u{ffff}]{0,8}"), 0..6),
    ) {
        let raw = canonical_query(&pairs.iter().collect());
        pairs.sort();
        prop_assert_eq!(decode(raw.as_bytes(), b"").1, None);
        prop_assert_eq!(decoded(raw.as_bytes()), pairs);
    }

    #[test]
    fn a_decoded_value_is_signed_like_one_that_was_not_encoded(raw in "[a-zA-Z0-9%+=*~_./ é]{0,12}") {
        let (parameters, wrong) = decode(raw.as_bytes(), b"");
        prop_assume!(wrong.is_none());
        let pairs = decoded(raw.as_bytes());
        prop_assert_eq!(canonical_query(&parameters), canonical_query(&pairs.iter().collect()));
    }

    #[test]
    fn values_are_decoded_as_byte_by_byte(raw in "([ -%'-~é]|%[2-7][0-9a-eA-E]){0,12}") {
        let pairs = decoded(format!("a={raw}").as_bytes());
        if let Some((_, value)) = pairs.first() {
            prop_assert_eq!(Ok(value.clone()), decode_plainly(raw.as_bytes()));
        }
    }

    #[test]
    fn any_bytes_decode_to_text_that_xml_can_contain(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        let (parameters, wrong) = decode(&raw, &raw);
        let texts = parameters.iter().flat_map(|(name, value)| [name, value]);
        let mut texts = texts.chain(wrong.as_deref());
        prop_assert!(texts.all(|text| text.chars().all(may_be_in_xml)));
    }
}
