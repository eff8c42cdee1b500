//! Decodes a query and a form body: `+` is a blank, `%XX` is a byte, and the result is UTF-8
//! without control characters, which XML cannot contain. Both are copied as they are. Names and
//! values that need no decoding have their places in this copy; the others are decoded and appended
//! to it.

use crate::auth::signature::percent::is_unreserved;
use crate::auth::signature::{Parameter, Parameters, Place};

/// Initial capacity for parameters. Typical requests have fewer.
const TYPICAL_NUMBER: usize = 16;

/// The classes of each byte, one bit for each class.
const CLASSES: [u8; 256] = classes();
/// The byte is escaped when it is encoded for a signature.
const RESERVED: u8 = 1;
/// The byte stands for another one in an encoded text, or is [`DOUBTFUL`].
const DECODE: u8 = 2;
/// The byte ends a name.
const ENDS_NAME: u8 = 4;
/// The byte ends a parameter.
const ENDS_PARAMETER: u8 = 8;
/// The byte is a control character or not ASCII.
const DOUBTFUL: u8 = 16;

/// The value of each hex digit. Every other byte has a value above 15.
const DIGITS: [u8; 256] = digits();

/// Decodes the parameters of a query and of a form body. If parameters cannot be used, the second
/// value is the name of the first of them, without the characters that cannot be shown.
#[must_use]
pub fn decode(query: &[u8], form: &[u8]) -> (Parameters, Option<String>) {
    let mut text = Decoded::with_room_for(query.len() + form.len());
    let mut parameters = Vec::with_capacity(TYPICAL_NUMBER);
    let mut wrong = None;
    for (raw, in_form) in [(query, false), (form, true)] {
        let mut raw = Raw { bytes: raw, copied_to: text.put_raw(raw), at: 0 };
        while let Some((name, value)) = raw.next_parameter() {
            // Nearly all parameters need no decoding.
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

/// Encoded parameters, read up to an index.
struct Raw<'a> {
    bytes: &'a [u8],
    /// Where the copy of the bytes begins; `None` if they were not copied.
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
    /// Returns the next name and value. Parts without either are skipped, as between `&&`.
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

    /// Returns the place of a text that needs no decoding.
    fn as_it_came(&self, side: Side) -> Option<Place> {
        let at = self.copied_to.filter(|_| side.seen & DECODE == 0)?;
        let unreserved = side.seen & RESERVED == 0;
        Some(Place { start: at + side.start, end: at + side.end, unreserved })
    }

    fn next_side(&mut self, until: u8) -> Side {
        let start = self.at;
        let (mut rest, mut seen) = (&self.bytes[start..], 0);
        // Four bytes per step: a check for the end after each byte would double the time.
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

/// The text in which parameters have their places. Every part of it is UTF-8.
struct Decoded(Vec<u8>);

impl Decoded {
    /// Reserves room for the encoded text and the decoded one, which is never longer.
    fn with_room_for(length: usize) -> Self {
        Self(Vec::with_capacity(2 * length))
    }

    /// Appends the encoded text if it is ASCII, and returns where it begins.
    fn put_raw(&mut self, raw: &[u8]) -> Option<usize> {
        let at = self.0.len();
        raw.is_ascii().then(|| {
            self.0.extend_from_slice(raw);
            at
        })
    }

    /// Returns the places of a name and a value. If one of them cannot be used, the error is the
    /// name, without the characters that cannot be shown.
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

    /// Returns the place of a text. If it cannot be used, the error is the text, without the
    /// characters that cannot be shown.
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

    /// Appends a text, decoded, and returns the classes of its bytes. A `%` that is not followed by
    /// two hex digits stands for itself.
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
        String::from_utf8(self.0).expect("each part was checked when it was appended")
    }
}

const fn class(byte: u8) -> u8 {
    CLASSES[byte as usize]
}

/// Checks whether a decoded text can be used. If not, the error is the text, without the characters
/// that cannot be shown.
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
