//! HTTP/2 as far as a load generator needs it: whole requests made ahead, frames taken apart, and
//! the one header of an answer that matters.
//!
//! Headers are written as literals that no table remembers, so that a request is bytes with an
//! account and a stream number put in. The server is told to keep no table either
//! (`SETTINGS_HEADER_TABLE_SIZE` 0): the status of a call then stands in its trailers in one of
//! four spellings, and whatever else stands there is no success.

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
    for (name, value) in [(1_u16, 0_u32), (2, 0), (4, 1 << 20)] {
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
    bytes: Vec<u8>,
    account_at: usize,
    data_at: usize,
    /// What it takes of the window.
    pub window: i64,
}

impl Template {
    /// A unary call of `path` with an encoded message.
    pub fn new(authority: &str, path: &str, token: &str, message: &[u8]) -> Self {
        let mut block = vec![0x83, 0x86]; // :method POST, :scheme http
        literal(&mut block, Name::Known(1), authority);
        literal(&mut block, Name::Known(4), path);
        literal(&mut block, Name::Known(31), "application/grpc");
        literal(&mut block, Name::New("te"), "trailers");
        literal(&mut block, Name::Known(23), &format!("Bearer {token}"));
        literal(&mut block, Name::New("x-account-id"), &"0".repeat(ACCOUNT_DIGITS));
        let mut bytes = Vec::new();
        put(&mut bytes, kind::HEADERS, flag::END_HEADERS, 0, &block);
        let (account_at, data_at) = (bytes.len() - ACCOUNT_DIGITS, bytes.len());
        put(&mut bytes, kind::DATA, flag::END_STREAM, 0, &framed(message));
        let window = i64::try_from(bytes.len() - data_at - FRAME_HEADER).expect("short");
        Self { bytes, account_at, data_at, window }
    }

    /// Appends the call.
    pub fn put(&self, out: &mut Vec<u8>, stream: u32, account: u64) {
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

/// A header's name: a place in HPACK's own table, or spelled out.
#[derive(Clone, Copy)]
enum Name<'a> {
    Known(u8),
    New(&'a str),
}

/// Appends a header that no table remembers.
fn literal(block: &mut Vec<u8>, name: Name<'_>, value: &str) {
    let number = if let Name::Known(number) = name { number } else { 0 };
    integer(block, 4, number.into());
    if let Name::New(name) = name {
        text(block, name);
    }
    text(block, value);
}

fn text(block: &mut Vec<u8>, text: &str) {
    integer(block, 7, text.len());
    block.extend_from_slice(text.as_bytes());
}

/// HPACK's integer, of which the first byte has `bits` bits. The bits above stay 0.
fn integer(block: &mut Vec<u8>, bits: u32, number: usize) {
    let most = (1 << bits) - 1;
    let byte = |number: usize| u8::try_from(number).expect("less than 256");
    if number < most {
        return block.push(byte(number));
    }
    block.push(byte(most));
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

/// Whether trailers say that the call succeeded.
pub fn says_ok(trailers: &[u8]) -> bool {
    STATUS.iter().any(|name| {
        let at = trailers.windows(name.len()).position(|part| part == *name);
        at.is_some_and(|at| OK.iter().any(|ok| trailers[at + name.len()..].starts_with(ok)))
    })
}

/// What must hold; run by the verb `selftest`.
pub fn selftest() {
    let mut out = Vec::new();
    let template = Template::new("127.0.0.1:1", "/a.B/C", &"t".repeat(200), b"\x08\x01");
    template.put(&mut out, 0x0102_0305, 12_345_678);
    let (headers, length) = Frame::first(&out).expect("a whole frame");
    assert_eq!((headers.kind, headers.flags, headers.stream), (kind::HEADERS, 4, 0x0102_0305));
    assert!(headers.content().ends_with(b"\x0cx-account-id\x0812345678"));
    assert!(headers.content().windows(4).any(|part| part == [0x0f, 23 - 15, 0x7f, 207 - 127]));
    let (data, rest) = Frame::first(&out[length..]).expect("a whole frame");
    assert_eq!((data.kind, data.flags, data.stream), (kind::DATA, 1, 0x0102_0305));
    assert_eq!((data.content(), template.window), (&b"\0\0\0\0\x02\x08\x01"[..], 7));
    assert_eq!(length + rest, out.len());
    assert_eq!(Frame::first(&out[..length - 1]), None);
    let padded = Frame { kind: kind::DATA, flags: flag::PADDED, stream: 1, payload: b"\x02ab\0\0" };
    assert_eq!(padded.content(), b"ab");
    assert!(says_ok(b"\x00\x0bgrpc-status\x010") && !says_ok(b"\x00\x0bgrpc-status\x0212"));
    assert!(says_ok(&[0x40, 0x88, 0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f, 0x01, b'0']));
    assert!(!says_ok(&[0xbe]) && !says_ok(&[]));
}
