//! Where the order of an opening is placed. An embedded order is a row of the service, written in
//! the statement that opens the product. Otherwise the order is placed at a commerce system over
//! gRPC (`proto/activation/order`): first an intent is written, so that no order is forgotten, then
//! the order is placed, and it is cancelled if the opening was not written. This module does not
//! know what a product or an account is.

mod circuit;
mod commerce;

use std::time::Duration;

use tonic::transport::{ClientTlsConfig, Endpoint};

pub use commerce::{Admission, Commerce, Failure};

/// Where orders are placed.
#[derive(Clone, Debug)]
pub enum Orders {
    /// As rows of the service.
    Embedded,
    /// At a commerce system.
    Commerce(Commerce),
}

/// The commerce system of a deployment, and how long it may take.
#[derive(Clone, Debug)]
pub struct CommerceSettings {
    /// The address of the commerce system.
    pub endpoint: Endpoint,
    /// How long placing an order may take, retries included.
    pub timeout: Duration,
    /// How old an intent is before a reconciler takes it.
    pub reconcile_after: Duration,
}

impl CommerceSettings {
    /// Returns settings for a commerce system at `http://host:port` or `https://host:port`. With
    /// `https`, its certificate is verified with the certificate authorities of the operating
    /// system. The error is a sentence.
    pub fn new(
        endpoint: &str,
        timeout: Duration,
        reconcile_after: Duration,
    ) -> Result<Self, String> {
        let uri: http::Uri =
            endpoint.parse().map_err(|error| format!("{endpoint:?} is not a URL: {error}"))?;
        let bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        if uri.host().is_none() || !bare {
            return Err(format!(
                "{endpoint:?} is not an endpoint; expected http://host:port or https://host:port"
            ));
        }
        let endpoint = match uri.scheme_str() {
            Some("http") => Endpoint::from(uri),
            Some("https") => Endpoint::from(uri)
                .tls_config(ClientTlsConfig::new().with_native_roots())
                .map_err(|error| format!("TLS cannot be set up: {}", cause(&error)))?,
            _ => return Err(format!("{endpoint:?} does not begin with http:// or https://")),
        };
        Ok(Self { endpoint: endpoint.tcp_nodelay(true), timeout, reconcile_after })
    }
}

impl Orders {
    /// Orders at the commerce system if `settings` is given. The client connects when it is first
    /// used.
    #[must_use]
    pub fn new(settings: Option<CommerceSettings>) -> Self {
        settings.map_or(Self::Embedded, |settings| Self::Commerce(Commerce::new(settings)))
    }
}

/// Returns the source of a transport error, because the error itself says little.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_and_an_authority() {
        let settings = |endpoint| {
            CommerceSettings::new(endpoint, Duration::from_secs(2), Duration::from_mins(1))
                .map(drop)
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
