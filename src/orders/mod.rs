//! Where the order of an opening is placed. Embedded: it is a row of our own, written in the
//! statement that opens. Or at a commerce system of the deployment, over gRPC
//! (`proto/activation/order`): placed first, kept by an intent so that none is left over, and
//! cancelled where the opening was not written. What a product or an account is, this leaves to
//! others.

mod circuit;
mod commerce;

use std::time::Duration;

use tonic::transport::{ClientTlsConfig, Endpoint};

pub use commerce::{Admission, Commerce, Failure};

/// Where orders are placed.
#[derive(Clone, Debug)]
pub enum Orders {
    /// As rows of our own.
    Embedded,
    /// At a commerce system.
    Commerce(Commerce),
}

/// The commerce system of a deployment, and how long it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How long placing an order may take, repeats included.
    pub timeout: Duration,
    /// How old an intent is before a reconciler takes it in hand.
    pub reconcile_after: Duration,
}

impl Settings {
    /// Settings for a commerce system at `http://host:port` or `https://host:port`; the latter is
    /// trusted by the certificates of the operating system. The error is a sentence.
    pub fn new(
        endpoint: &str,
        timeout: Duration,
        reconcile_after: Duration,
    ) -> Result<Self, String> {
        let uri: http::Uri =
            endpoint.parse().map_err(|error| format!("{endpoint:?} is no URL: {error}"))?;
        let bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        if uri.host().is_none() || !bare {
            return Err(format!("{endpoint:?} is not like http://host:port or https://host:port"));
        }
        let endpoint = match uri.scheme_str() {
            Some("http") => Endpoint::from(uri),
            Some("https") => Endpoint::from(uri)
                .tls_config(ClientTlsConfig::new().with_native_roots())
                .map_err(|error| format!("TLS cannot be set up: {}", cause(&error)))?,
            _ => return Err(format!("{endpoint:?} begins with neither http:// nor https://")),
        };
        Ok(Self { endpoint: endpoint.tcp_nodelay(true), timeout, reconcile_after })
    }
}

impl Orders {
    /// Orders at the commerce system, where there is one. It is connected to when it is first
    /// needed.
    #[must_use]
    pub fn new(settings: Option<Settings>) -> Self {
        settings.map_or(Self::Embedded, |settings| Self::Commerce(Commerce::new(settings)))
    }
}

/// What lies beneath a transport error, which itself says little.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_and_an_authority() {
        let settings = |endpoint| {
            Settings::new(endpoint, Duration::from_secs(2), Duration::from_mins(1)).map(drop)
        };
        for right in ["http://orders:50052", "http://orders:50052/", "https://orders.example"] {
            assert_eq!(settings(right), Ok(()), "{right}");
        }
        for wrong in ["", "orders:50052", "orders", "ftp://orders", "http://orders/path", "http://"]
        {
            assert!(settings(wrong).is_err(), "{wrong}");
        }
    }
}
