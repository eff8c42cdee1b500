//! The settings of how the gRPC and the REST listener are reached: TLS, proxies.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

/// Settings of how the listeners are reached.
#[derive(Args, Clone, Debug)]
pub struct ListeningSettings {
    /// File with the certificate of the gRPC and the REST listener and those of its authorities, in
    /// PEM. With it, both listeners accept only TLS. The files of TLS are read again every 3 s, and
    /// new contents are used without a restart.
    #[arg(long, env = "TLS_CERT_FILE")]
    pub tls_cert_file: Option<PathBuf>,
    /// File with the private key of the certificate, in PEM.
    #[arg(long, env = "TLS_KEY_FILE")]
    pub tls_key_file: Option<PathBuf>,
    /// File with the authorities that verify the certificates of gRPC clients, in PEM. A client may
    /// have a certificate, a token or both. Without it, clients are not asked for a certificate.
    #[arg(long, env = "TLS_CLIENT_CA_FILE")]
    pub tls_client_ca_file: Option<PathBuf>,
    /// Allows GRPC_ADDR and REST_ADDR to be reachable from other hosts without TLS, for a mesh or a
    /// proxy that terminates TLS.
    #[arg(long, env = "INSECURE_PLAINTEXT")]
    pub insecure_plaintext: bool,
    /// Addresses or networks of trusted proxies, separated by commas, for example
    /// 10.0.0.0/8,fd00::1. The header X-Forwarded-For of their requests names the client.
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',', value_parser = parse_network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the connections of trusted proxies to the gRPC and the REST listener begin with a
    /// header of the PROXY protocol, version 2. Such a connection without a valid header is closed.
    /// Requires TRUSTED_PROXIES.
    #[arg(long, env = "PROXY_PROTOCOL")]
    pub proxy_protocol: bool,
}

/// Parses a network, or an address, which is a network of one address.
fn parse_network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| {
        format!("{text:?} is not an address or a network; expected a value such as 10.0.0.0/8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_may_be_one_address() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 10.1.2.3", "10.1.2.3/32"),
            ("fd00::1", "fd00::1/128"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(
                parse_network(text).map(|network| network.to_string()).as_deref(),
                Ok(network)
            );
        }
        for wrong in ["", "10.0.0.0/33", "example.com", "10.0.0"] {
            assert!(parse_network(wrong).is_err(), "{wrong}");
        }
    }
}
