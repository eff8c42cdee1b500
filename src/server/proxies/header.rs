//! The header of the PROXY protocol, version 2, with which a proxy begins a connection. Exactly its
//! bytes are read, because what follows may be TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Length of the part that every header has.
const FIXED: usize = 16;
/// Largest length of the other part: addresses, and what proxies add about their connection.
const LONGEST: u16 = 2048;

/// The version and the commands, in one byte.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// The families of addresses and the protocol TCP, in one byte.
const TCP_4: u8 = 0x11;
const TCP_6: u8 = 0x21;
/// What a proxy sends that does not know the addresses, or does not want to say them.
const UNSPECIFIED: u8 = 0x00;

/// Reads a header. Returns the address of the proxy's client, or `None` if the proxy speaks for
/// itself or does not say the address. An error means that there is no valid header.
pub(in crate::server) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<IpAddr>> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut fixed = [0; FIXED];
    stream.read_exact(&mut fixed).await?;
    let [signature @ .., command, family, high, low] = fixed;
    if &signature != SIGNATURE {
        return Err(invalid("it does not begin with a PROXY header of version 2"));
    }
    let length = u16::from_be_bytes([high, low]);
    if length > LONGEST {
        return Err(invalid("its PROXY header is too long"));
    }
    let mut rest = vec![0; usize::from(length)];
    stream.read_exact(&mut rest).await?;
    match (command, family) {
        (LOCAL, _) | (PROXY, UNSPECIFIED) => Ok(None),
        (PROXY, TCP_4) => source::<4>(&rest, 12).map(|bytes| Some(Ipv4Addr::from(bytes).into())),
        (PROXY, TCP_6) => {
            source::<16>(&rest, 36).map(|bytes| Some(Ipv6Addr::from(bytes).to_canonical()))
        }
        _ => Err(invalid("its PROXY header is not of a TCP connection")),
    }
}

/// Returns the address of the client, with which the addresses and ports begin. They have a fixed
/// length together.
fn source<const N: usize>(rest: &[u8], all: usize) -> io::Result<[u8; N]> {
    let source = rest.first_chunk().filter(|_| rest.len() >= all);
    source
        .copied()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its PROXY header is too short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap();
        [&SIGNATURE[..], &[command, family], &length.to_be_bytes(), rest].concat()
    }

    async fn read(bytes: &[u8]) -> Result<(Option<String>, usize), String> {
        let mut left = bytes;
        let read = read_header(&mut left).await;
        let address = read.map_err(|error| error.to_string())?;
        Ok((address.map(|address| address.to_string()), left.len()))
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb];

    #[tokio::test]
    async fn the_address_of_the_client_is_read_and_nothing_behind_the_header() {
        let bytes = [header(PROXY, TCP_4, &V4), b"GET".to_vec()].concat();
        assert_eq!(read(&bytes).await, Ok((Some("192.0.2.1".to_owned()), 3)));
        let with_more = [&V4[..], &[0x04, 0, 2, 0, 0]].concat();
        assert_eq!(
            read(&header(PROXY, TCP_4, &with_more)).await,
            Ok((Some("192.0.2.1".to_owned()), 0))
        );
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        v6[15] = 1;
        assert_eq!(read(&header(PROXY, TCP_6, &v6)).await, Ok((Some("2001:db8::1".to_owned()), 0)));
    }

    #[tokio::test]
    async fn a_local_connection_has_the_address_of_the_proxy() {
        assert_eq!(read(&header(LOCAL, 0, &[])).await, Ok((None, 0)));
        assert_eq!(read(&header(LOCAL, TCP_4, &V4)).await, Ok((None, 0)));
    }

    #[tokio::test]
    async fn a_connection_of_unspecified_family_has_the_address_of_the_proxy() {
        let bytes = [header(PROXY, UNSPECIFIED, &V4), b"GET".to_vec()].concat();
        assert_eq!(read(&bytes).await, Ok((None, 3)));
        assert_eq!(read(&header(PROXY, UNSPECIFIED, &[])).await, Ok((None, 0)));
    }

    #[tokio::test]
    async fn what_is_not_a_header_of_version_2_is_refused() {
        let long = vec![0; usize::from(LONGEST) + 1];
        for (bytes, error) in [
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "does not begin with"),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(), "does not begin with"),
            (header(0x11, TCP_4, &V4), "not of a TCP connection"),
            (header(PROXY, 0x12, &V4), "not of a TCP connection"), // UDP
            (header(PROXY, 0x31, &[0; 216]), "not of a TCP connection"), // Unix
            (header(PROXY, TCP_4, &V4[..11]), "too short"),
            (header(PROXY, TCP_6, &V4), "too short"),
            (header(PROXY, TCP_4, &long), "too long"),
            (SIGNATURE.to_vec(), "early eof"),
        ] {
            let refused = read(&bytes).await.unwrap_err();
            assert!(refused.contains(error), "{refused}");
        }
    }
}
