//! The proxies that are trusted to say who their clients are: by a PROXY header at the start of a
//! connection (`header.rs`), or by `X-Forwarded-For` in a request. What others send is not read.

mod header;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

pub(super) use self::header::read_header;
use crate::context::Peer;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The networks of the trusted proxies, and whether their connections begin with a PROXY header.
/// Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    send_headers: bool,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks. `send_headers` says whether their connections begin
    /// with a PROXY header.
    #[must_use]
    pub fn new(networks: &[IpNet], send_headers: bool) -> Self {
        Self { networks: networks.into(), send_headers }
    }

    /// Whether a connection from this address begins with a PROXY header.
    pub(super) fn sends_header(&self, address: IpAddr) -> bool {
        self.send_headers && self.trusts(address)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Returns the peer of a request: that of its connection, except if it is a trusted proxy that
    /// names its client.
    pub(super) fn peer_of(&self, peer: &Peer, headers: &HeaderMap) -> Peer {
        let mut peer = peer.clone();
        if !self.networks.is_empty() && self.trusts(peer.address) {
            peer.address = self.forwarded_for(headers).unwrap_or(peer.address);
        }
        peer
    }

    /// Returns the last address that is not a trusted proxy. Each proxy adds the address of its peer
    /// at the end, so the addresses before that one are what a client claims. If all are trusted
    /// proxies, it is the first one; nothing is read before a value that is not an address.
    fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let values = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let texts = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        let mut last = None;
        for text in texts {
            let Some(address) = parsed(text.trim()) else { break };
            last = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        last
    }
}

/// Parses an address, with or without a port.
fn parsed(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies() -> TrustedProxies {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        TrustedProxies::new(&networks, true)
    }

    /// Returns the address of a request from `peer` with these headers.
    fn address(peer: &str, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let names: Arc<[String]> = ["a".to_owned()].into();
        let peer = Peer { address: peer.parse().unwrap(), certificate_names: names, has_tls: true };
        let peer = proxies().peer_of(&peer, &headers);
        assert_eq!(peer.certificate_names[..], ["a"]);
        peer.address.to_string()
    }

    #[test]
    fn a_trusted_proxy_names_its_client_and_an_untrusted_peer_does_not() {
        for (peer, values, expected) in [
            ("10.1.2.3", &["192.0.2.1"][..], "192.0.2.1"),
            ("192.0.2.9", &["192.0.2.1"], "192.0.2.9"),
            ("10.1.2.3", &[], "10.1.2.3"),
            // What the client itself has sent is before what the proxies have added.
            ("10.1.2.3", &["198.51.100.7, 192.0.2.1"], "192.0.2.1"),
            ("10.1.2.3", &["198.51.100.7,192.0.2.1 , 10.9.9.9"], "192.0.2.1"),
            ("10.1.2.3", &["198.51.100.7", "192.0.2.1", "10.9.9.9"], "192.0.2.1"),
            ("fd00::1", &["[2001:db8::1]:443, 10.9.9.9:1234"], "2001:db8::1"),
            ("10.1.2.3", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.1.2.3", &["::ffff:192.0.2.1"], "192.0.2.1"),
            // All are proxies: the client is the first one.
            ("10.1.2.3", &["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
            ("10.1.2.3", &["192.0.2.1, unknown"], "10.1.2.3"),
            ("10.1.2.3", &["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.1.2.3", &["", "192.0.2.1, "], "10.1.2.3"),
            ("10.1.2.3", &["192.0.2.1, \u{e4}"], "10.1.2.3"),
        ] {
            assert_eq!(address(peer, values), expected, "{peer} {values:?}");
        }
    }

    #[test]
    fn only_connections_of_trusted_proxies_begin_with_a_header() {
        let [trusted, other] = ["10.0.0.1", "192.0.2.1"].map(|text| text.parse().unwrap());
        assert!(proxies().sends_header(trusted) && !proxies().sends_header(other));
        let without = TrustedProxies { send_headers: false, ..proxies() };
        assert!(!without.sends_header(trusted));
        assert!(!TrustedProxies::default().sends_header(trusted));
    }
}
