//! Form-decoding of a query and of a form body: `+` is a blank, `%XX` a byte, the result UTF-8
//! without control characters, which no XML can carry. Names and values stay where they came, in one
//! copy of it all; what needs decoding is put behind.

use crate::auth::signature::percent::is_unreserved;
use crate::auth::signature::{Parameter, Parameters, Place};

/// How many parameters there is room for at first; typical requests have fewer.
const TYPICAL_NUMBER: usize = 16;

/// What decoding has to know of each byte.
const CLASSES: [u8; 256] = classes();
/// Encoding it for a signature changes it.
const RESERVED: u8 = 1;
/// As it came it stands for something else, or is one of [`DOUBTFUL`].
const DECODE: u8 = 2;
/// It ends a name.
const ENDS_NAME: u8 = 4;
/// It ends a parameter.
const ENDS_PARAMETER: u8 = 8;
/// Decoded it is a control character, or not ASCII.
const DOUBTFUL: u8 = 16;

/// The value of each hex digit; of every other byte, more than a digit has.
const DIGITS: [u8; 256] = digits();

/// The parameters of a query and of a form body, decoded; and, where one cannot be used, what can be
/// shown of the name of the first.
#[must_use]
pub fn decode(query: &[u8], form: &[u8]) -> (Parameters, Option<String>) {
    let mut text = Decoded::with_room_for(query.len() + form.len());
    let mut parameters = Vec::with_capacity(TYPICAL_NUMBER);
    let mut wrong = None;
    for (raw, in_form) in [(query, false), (form, true)] {
        let mut raw = Raw { bytes: raw, copied_to: text.put_raw(raw), at: 0 };
        while let Some((name, value)) = raw.next_parameter() {
            // Nearly all of them: no result to take apart.
            if let (Some(name), Some(value)) = (raw.as_it_came(name), raw.as_it_came(value)) {
                parameters.push(Parameter { name, value, in_form });
                continue;
            }
            match text.put_both(&raw, name, value) {
                Ok((name, value)) => parameters.push(Parameter { name, value, in_form }),
                Err(name) => wrong = wrong.or(Some(name)),
            }
        }
    }
    (Parameters::new(text.into_string(), parameters), wrong)
}

/// Parameters as they came, read up to a place.
struct Raw<'a> {
    bytes: &'a [u8],
    /// Where the copy of it is.
    copied_to: Option<usize>,
    at: usize,
}

/// The place of a name or a value, and the classes of its bytes.
#[derive(Clone, Copy)]
struct Side {
    start: usize,
    end: usize,
    seen: u8,
}

impl Raw<'_> {
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

    /// The place of a text that needs no decoding.
    fn as_it_came(&self, side: Side) -> Option<Place> {
        let at = self.copied_to.filter(|_| side.seen & DECODE == 0)?;
        let unreserved = side.seen & RESERVED == 0;
        Some(Place { start: at + side.start, end: at + side.end, unreserved })
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
}

/// The text that parameters have their places in. Every part of it is UTF-8.
struct Decoded(Vec<u8>);

impl Decoded {
    /// No text is longer decoded than as it came.
    fn with_room_for(length: usize) -> Self {
        Self(Vec::with_capacity(2 * length))
    }

    /// Puts in all that came, where it is ASCII, and says where it is.
    fn put_raw(&mut self, raw: &[u8]) -> Option<usize> {
        let at = self.0.len();
        raw.is_ascii().then(|| {
            self.0.extend_from_slice(raw);
            at
        })
    }

    /// The places of a name and a value, or, where they cannot be used, what can be shown of the name.
    fn put_both(
        &mut self,
        raw: &Raw<'_>,
        name: Side,
        value: Side,
    ) -> Result<(Place, Place), String> {
        let name = self.put(raw, name)?;
        match self.put(raw, value) {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(String::from_utf8_lossy(&self.0[name.start..name.end]).into_owned()),
        }
    }

    /// The place of a text, or, where it cannot be used, what can be shown of it.
    fn put(&mut self, raw: &Raw<'_>, side: Side) -> Result<Place, String> {
        if let Some(place) = raw.as_it_came(side) {
            return Ok(place);
        }
        let start = self.0.len();
        let seen = self.put_decoded(&raw.bytes[side.start..side.end]);
        if seen & DOUBTFUL != 0
            && let Err(shown) = check(&self.0[start..])
        {
            self.0.truncate(start);
            return Err(shown);
        }
        Ok(Place { start, end: self.0.len(), unreserved: seen == 0 })
    }

    /// Decodes, and says of what classes the bytes are. A `%` that no two hex digits follow stands for
    /// itself.
    fn put_decoded(&mut self, raw: &[u8]) -> u8 {
        let (mut rest, mut seen) = (raw, 0);
        while let [byte, after @ ..] = rest {
            rest = after;
            let byte = match (byte, after) {
                (b'+', _) => b' ',
                (b'%', [high, low, after @ ..]) if (digit(*high) | digit(*low)) < 16 => {
                    rest = after;
                    digit(*high) << 4 | digit(*low)
                }
                _ => *byte,
            };
            seen |= class(byte);
            self.0.push(byte);
        }
        seen
    }

    fn into_string(self) -> String {
        String::from_utf8(self.0).expect("each part was looked at when it was put in")
    }
}

const fn class(byte: u8) -> u8 {
    CLASSES[byte as usize]
}

/// Whether a decoded text can be used; where not, what of it can be shown.
fn check(decoded: &[u8]) -> Result<(), String> {
    match std::str::from_utf8(decoded) {
        Ok(text) if text.chars().all(may_be_in_xml) => Ok(()),
        _ => {
            let text = String::from_utf8_lossy(decoded);
            Err(text.chars().filter(|c| may_be_in_xml(*c)).collect())
        }
    }
}

const fn digit(byte: u8) -> u8 {
    DIGITS[byte as usize]
}

fn may_be_in_xml(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{fffe}' | '\u{ffff}')
}

const fn classes() -> [u8; 256] {
    let mut classes = [DECODE | DOUBTFUL; 256];
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

const fn digits() -> [u8; 256] {
    let mut digits = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
}

#[cfg(test)]
mod tests;
