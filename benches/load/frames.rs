//! HTTP/2 as far as a load generator needs it: whole requests made ahead, and frames taken apart.
//!
//! A request is bytes made ahead with an account and a stream number put in. Its headers are written
//! as clients write them: the first request of a connection spells them out for the server to
//! remember, the others name their places in its table, and spell out the account alone.

use super::hpack::{
    FIRST_PLACE, FORGOTTEN, METHOD_AND_SCHEME, Name, REMEMBERED, literal, put_place,
};

/// Length of a frame's header.
pub const FRAME_HEADER: usize = 9;
/// Digits of an account.
const ACCOUNT_DIGITS: usize = 8;
/// What the window of a connection starts with.
pub const FIRST_WINDOW: i64 = 65_535;
/// To which the window for answers is opened.
const OUR_WINDOW: u32 = 0x7fff_ffff;

/// Frame types.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags.
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
}

/// A frame, still in the buffer it was read into.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame of `bytes`, and its length with the header; `None` where it is not all there.
    pub fn first(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (header, rest) = bytes.split_first_chunk::<FRAME_HEADER>()?;
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        let payload = rest.get(..length)?;
        Some((Self { kind, flags, stream, payload }, FRAME_HEADER + length))
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The data or the header block, without padding and priority.
    pub fn content(&self) -> &'a [u8] {
        let mut content = self.payload;
        if self.has(flag::PADDED) {
            let (padding, rest) = content.split_first().unwrap_or((&0, content));
            content = &rest[..rest.len().saturating_sub(usize::from(*padding))];
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) {
            content = content.get(5..).unwrap_or_default();
        }
        content
    }

    /// What a `WINDOW_UPDATE` says.
    pub fn increment(&self) -> u32 {
        let bytes = self.payload.first_chunk().copied().unwrap_or_default();
        u32::from_be_bytes(bytes) & 0x7fff_ffff
    }
}

/// Appends a frame.
pub fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("frames of ours are short");
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends what a client says first. A stream's window takes any answer and is never enlarged.
pub fn put_preface(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let mut settings = Vec::new();
    for (name, value) in [(2_u16, 0_u32), (4, 1 << 20)] {
        settings.extend_from_slice(&name.to_be_bytes());
        settings.extend_from_slice(&value.to_be_bytes());
    }
    put(out, kind::SETTINGS, 0, 0, &settings);
    put_window_update(out, OUR_WINDOW - 65_535);
}

/// Appends an enlargement of the connection's window.
pub fn put_window_update(out: &mut Vec<u8>, increment: u32) {
    put(out, kind::WINDOW_UPDATE, 0, 0, &increment.to_be_bytes());
}

/// A call, ready to be sent but for its stream and its account.
#[derive(Clone, Debug)]
pub struct Template {
    first: Call,
    later: Call,
    /// What a call takes of the window.
    pub window: i64,
}

impl Template {
    /// A unary call of `path` with an encoded message.
    pub fn new(authority: &str, path: &str, token: &str, message: &[u8]) -> Self {
        let bearer = format!("Bearer {token}");
        let same = [
            (Name::Known(1), authority),
            (Name::Known(4), path),
            (Name::Known(31), "application/grpc"),
            (Name::New("te"), "trailers"),
            (Name::Known(23), &bearer),
        ];
        let account = "0".repeat(ACCOUNT_DIGITS);
        let mut first = METHOD_AND_SCHEME.to_vec();
        let mut later = first.clone();
        for (place, (name, value)) in same.into_iter().enumerate() {
            literal(&mut first, REMEMBERED, name, value);
            // The newest is the first of the table; the account comes after all of these.
            put_place(&mut later, FIRST_PLACE + same.len() - place);
        }
        literal(&mut first, REMEMBERED, Name::New("x-account-id"), &account);
        literal(&mut later, FORGOTTEN, Name::Known(FIRST_PLACE), &account);
        let data = framed(message);
        let window = i64::try_from(data.len()).expect("short");
        Self { first: Call::new(&first, &data), later: Call::new(&later, &data), window }
    }

    /// Appends a call: the first of a connection, or another.
    pub fn put(&self, out: &mut Vec<u8>, is_first: bool, stream: u32, account: u64) {
        let call = if is_first { &self.first } else { &self.later };
        call.put(out, stream, account);
    }
}

/// A call's frames.
#[derive(Clone, Debug)]
struct Call {
    bytes: Vec<u8>,
    account_at: usize,
    data_at: usize,
}

impl Call {
    /// Of a header block that ends with the account.
    fn new(block: &[u8], data: &[u8]) -> Self {
        let mut bytes = Vec::new();
        put(&mut bytes, kind::HEADERS, flag::END_HEADERS, 0, block);
        let (account_at, data_at) = (bytes.len() - ACCOUNT_DIGITS, bytes.len());
        put(&mut bytes, kind::DATA, flag::END_STREAM, 0, data);
        Self { bytes, account_at, data_at }
    }

    fn put(&self, out: &mut Vec<u8>, stream: u32, account: u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let call = &mut out[start..];
        call[5..FRAME_HEADER].copy_from_slice(&stream.to_be_bytes());
        call[self.data_at + 5..][..4].copy_from_slice(&stream.to_be_bytes());
        put_digits(&mut call[self.account_at..][..ACCOUNT_DIGITS], account);
    }
}

/// Writes a number into all of `place`.
pub fn put_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("messages of ours are short");
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// What must hold; run by the verb `selftest`.
pub fn selftest() {
    let mut out = Vec::new();
    let template = Template::new("127.0.0.1:1", "/a.B/C", &"t".repeat(200), b"\x08\x01");
    template.put(&mut out, true, 0x0102_0305, 12_345_678);
    let (headers, length) = Frame::first(&out).expect("a whole frame");
    assert_eq!((headers.kind, headers.flags, headers.stream), (kind::HEADERS, 4, 0x0102_0305));
    assert!(headers.content().ends_with(b"\x40\x0cx-account-id\x0812345678"));
    assert!(headers.content().windows(4).any(|part| part == [0x57, 0x7f, 80, b'B']));
    let (data, rest) = Frame::first(&out[length..]).expect("a whole frame");
    assert_eq!((data.kind, data.flags, data.stream), (kind::DATA, 1, 0x0102_0305));
    assert_eq!((data.content(), template.window), (&b"\0\0\0\0\x02\x08\x01"[..], 7));
    assert_eq!(length + rest, out.len());
    assert_eq!(Frame::first(&out[..length - 1]), None);
    let padded = Frame { kind: kind::DATA, flags: flag::PADDED, stream: 1, payload: b"\x02ab\0\0" };
    assert_eq!(padded.content(), b"ab");
    out.clear();
    template.put(&mut out, false, 3, 12_345_679);
    let (headers, _) = Frame::first(&out).expect("a whole frame");
    // Places from 67 (authority) to 63 (authorization); 62 has the name of the account's header.
    assert_eq!(headers.content(), b"\x83\x86\xc3\xc2\xc1\xc0\xbf\x0f\x2f\x0812345679");
}
