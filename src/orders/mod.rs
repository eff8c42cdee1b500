//! Where the order of an opening is placed. An embedded order is a row of the service, written in
//! the statement that opens the product. Otherwise the order is placed at a commerce system over
//! gRPC (`proto/activation/order`): first an intent is written, so that no order is forgotten, then
//! the order is placed, and it is cancelled if the opening was not written. This module does not
//! know what a product or an account is.

mod circuit;
mod commerce;

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

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
    /// The metadata `authorization` of each call, if the service sends a token.
    authorization: Option<MetadataValue<Ascii>>,
    /// How long placing an order may take, retries included.
    pub timeout: Duration,
    /// How old an intent is before a reconciler takes it.
    pub reconcile_after: Duration,
}

/// How the service and the commerce system know each other. All of it needs `https`.
#[derive(Default)]
pub struct CommerceIdentity {
    /// The authorities that verify the commerce system, in PEM. Without them, they are those of the
    /// operating system.
    pub authorities: Option<Vec<u8>>,
    /// The certificate of the service and its key, in PEM.
    pub certificate: Option<(Vec<u8>, Zeroizing<String>)>,
    /// The token that the service sends.
    pub token: Option<Zeroizing<String>>,
}

impl CommerceIdentity {
    fn is_empty(&self) -> bool {
        self.authorities.is_none() && self.certificate.is_none() && self.token.is_none()
    }

    fn tls(&self) -> ClientTlsConfig {
        let tls = match &self.authorities {
            Some(authorities) => {
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match &self.certificate {
            Some((certificate, key)) => {
                tls.identity(Identity::from_pem(certificate, key.as_bytes()))
            }
            None => tls,
        }
    }

    /// Returns the value of the metadata `authorization`. Its `Debug` does not show it.
    fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, String> {
        let Some(token) = &self.token else { return Ok(None) };
        let text = Zeroizing::new(format!("Bearer {}", token.trim()));
        let value = MetadataValue::try_from(text.as_str()).ok();
        let mut value = value
            .filter(|_| !token.trim().is_empty())
            .ok_or("the file of ORDER_TOKEN_FILE does not contain a token of visible characters")?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl CommerceSettings {
    /// Returns settings for a commerce system at `http://host:port` or `https://host:port`. The
    /// error is a sentence.
    pub fn new(
        endpoint: &str,
        identity: &CommerceIdentity,
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
            Some("http") if identity.is_empty() => Endpoint::from(uri),
            Some("http") => {
                return Err(format!(
                    "{endpoint:?} does not begin with https://, which ORDER_CA_FILE, \
                     ORDER_CERT_FILE and ORDER_TOKEN_FILE need"
                ));
            }
            Some("https") => Endpoint::from(uri)
                .tls_config(identity.tls())
                .map_err(|error| format!("TLS cannot be set up: {}", cause(&error)))?,
            _ => return Err(format!("{endpoint:?} does not begin with http:// or https://")),
        };
        let authorization = identity.authorization()?;
        let endpoint = endpoint.tcp_nodelay(true);
        Ok(Self { endpoint, authorization, timeout, reconcile_after })
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

    const TIMEOUT: Duration = Duration::from_secs(2);

    #[test]
    fn a_token_needs_https_and_visible_characters_and_is_never_shown() {
        let settings = |endpoint, token: &str| {
            let token = Some(Zeroizing::new(token.to_owned()));
            let identity = CommerceIdentity { token, ..CommerceIdentity::default() };
            CommerceSettings::new(endpoint, &identity, TIMEOUT, Duration::from_mins(1))
        };
        let shown = format!("{:?}", settings("https://orders", "the-token\n").unwrap());
        assert!(!shown.contains("the-token"), "{shown}");
        let plain = settings("http://orders", "the-token").unwrap_err();
        assert!(plain.contains("does not begin with https://"), "{plain}");
        for wrong in ["", "\n", "two\nlines"] {
            let refused = settings("https://orders", wrong).unwrap_err();
            assert!(refused.contains("does not contain a token"), "{refused}");
        }
    }

    #[test]
    fn an_endpoint_is_a_scheme_and_an_authority() {
        let settings = |endpoint| {
            let identity = CommerceIdentity::default();
            CommerceSettings::new(endpoint, &identity, TIMEOUT, Duration::from_mins(1)).map(drop)
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
