//! HPACK as far as a load generator needs it: headers are written as clients write them, and of those
//! of an answer it is known whether they say that the call succeeded.

use std::collections::VecDeque;

/// `:method: POST`, `:scheme: http`: HPACK's own table has them.
pub const METHOD_AND_SCHEME: [u8; 2] = [0x83, 0x86];
/// The first place of the table that the other side keeps, behind HPACK's own.
pub const FIRST_PLACE: usize = 62;

/// A header's name: a place in a table, or spelled out.
#[derive(Clone, Copy)]
pub enum Name<'a> {
    Known(usize),
    New(&'a str),
}

/// How a header is written: what its first byte begins with, and how many bits of it are left for a
/// number.
pub type Form = (u8, u32);
/// Its place in a table, and nothing else.
const PLACE: Form = (0x80, 7);
/// A value that the table is to remember.
pub const REMEMBERED: Form = (0x40, 6);
/// One that it is not.
pub const FORGOTTEN: Form = (0, 4);
/// A text that is not in Huffman's code.
const PLAIN: Form = (0, 7);

/// Appends the place of a header in a table.
pub fn put_place(block: &mut Vec<u8>, place: usize) {
    integer(block, PLACE, place);
}

/// Appends a header with its value.
pub fn literal(block: &mut Vec<u8>, form: Form, name: Name<'_>, value: &str) {
    match name {
        Name::Known(place) => integer(block, form, place),
        Name::New(name) => {
            integer(block, form, 0);
            text(block, name);
        }
    }
    text(block, value);
}

fn text(block: &mut Vec<u8>, text: &str) {
    integer(block, PLAIN, text.len());
    block.extend_from_slice(text.as_bytes());
}

/// HPACK's integer.
fn integer(block: &mut Vec<u8>, (begin, bits): Form, number: usize) {
    let most = (1 << bits) - 1;
    let byte = |number: usize| u8::try_from(number).expect("less than 256");
    if number < most {
        return block.push(begin | byte(number));
    }
    block.push(begin | byte(most));
    let mut rest = number - most;
    while rest >= 128 {
        block.push(byte(rest % 128 + 128));
        rest /= 128;
    }
    block.push(byte(rest));
}

/// `grpc-status`, plain and in Huffman's code, each with its length.
const STATUS: [&[u8]; 2] =
    [b"\x0bgrpc-status", &[0x88, 0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f]];
/// `0`, plain and in Huffman's code, each with its length.
const OK: [&[u8]; 2] = [b"\x010", &[0x81, 0x07]];
/// How many headers of no length a table of the usual 4,096 bytes has room for.
const MOST: usize = 128;

/// What matters of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// `grpc-status: 0`
    Ok,
    /// Another status.
    Status,
    Other,
}

/// The table of what a server has had its client remember, the newest first. What the server itself
/// has forgotten is the oldest, and moves none of the others.
#[derive(Debug, Default)]
pub struct Table(VecDeque<Seen>);

impl Table {
    /// Reads the headers of an answer, or its trailers; whether they say that the call succeeded.
    pub fn says_ok(&mut self, block: &[u8]) -> bool {
        let mut rest = block;
        let mut is_ok = false;
        while let Some(first) = rest.first() {
            let Some(seen) = self.read(*first, &mut rest) else { return false };
            is_ok |= seen == Seen::Ok;
        }
        is_ok
    }

    /// Reads a header; `None` where it is not whole.
    fn read(&mut self, first: u8, rest: &mut &[u8]) -> Option<Seen> {
        match first {
            0x80.. => Some(self.at(read_integer(rest, PLACE)?)),
            0x40.. => {
                let seen = self.read_literal(rest, REMEMBERED)?;
                self.0.push_front(seen);
                self.0.truncate(MOST);
                Some(seen)
            }
            // The size that the table has from now on.
            0x20.. => read_integer(rest, (0x20, 5)).map(|_| Seen::Other),
            _ => self.read_literal(rest, FORGOTTEN),
        }
    }

    fn read_literal(&self, rest: &mut &[u8], form: Form) -> Option<Seen> {
        let place = read_integer(rest, form)?;
        let is_status = if place == 0 {
            STATUS.contains(&read_text(rest)?)
        } else {
            self.at(place) != Seen::Other
        };
        let value = read_text(rest)?;
        Some(match is_status {
            true if OK.contains(&value) => Seen::Ok,
            true => Seen::Status,
            false => Seen::Other,
        })
    }

    fn at(&self, place: usize) -> Seen {
        let remembered = place.checked_sub(FIRST_PLACE).and_then(|place| self.0.get(place));
        remembered.copied().unwrap_or(Seen::Other)
    }
}

/// Takes a text, with its length.
fn read_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *rest;
    let length = read_integer(rest, PLAIN)?;
    *rest = rest.get(length..)?;
    all.get(..all.len() - rest.len())
}

fn read_integer(rest: &mut &[u8], (_, bits): Form) -> Option<usize> {
    let mut next = || {
        let (first, others) = rest.split_first()?;
        *rest = others;
        Some(usize::from(*first))
    };
    let most = (1 << bits) - 1;
    let mut number = next()? & most;
    if number == most {
        for shift in [0, 7, 14] {
            let byte = next()?;
            number += (byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        return None;
    }
    Some(number)
}

/// What must hold; run by the verb `selftest`.
pub fn selftest() {
    let mut table = Table::default();
    assert!(table.says_ok(b"\x88\x00\x0bgrpc-status\x010"));
    assert!(!table.says_ok(b"\x00\x0bgrpc-status\x0212"));
    assert!(!table.says_ok(&[0x88, 0xbe]) && !table.says_ok(&[]));
    let in_code = [0x88, 0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f];
    assert!(table.says_ok(&[&[0x3f, 0xe1, 0x1f, 0x40][..], &in_code, &[0x01, b'0']].concat()));
    assert!(table.says_ok(&[0xbe]));
    // Another header is remembered, and another status with the name of the first.
    assert!(!table.says_ok(b"\x40\x01a\x01b\x7f\x00\x0212"));
    assert!(!table.says_ok(&[0xbe]) && !table.says_ok(&[0xbf]) && table.says_ok(&[0xc0]));
    // Not whole.
    assert!(!table.says_ok(&[0xc0, 0x40, 0x05]) && !table.says_ok(&[0xff]));
    let mut long = Vec::new();
    literal(&mut long, FORGOTTEN, Name::New("x"), &"y".repeat(1000));
    assert!(table.says_ok(&[&long[..], &[0xc0]].concat()));
}
