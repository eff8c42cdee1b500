//! Reads the files that the settings of TLS and of the commerce system name.

use std::path::Path;

use anyhow::{Context, anyhow, bail};

use crate::auth::secret_files::read_secret;
use crate::config::{ListeningSettings, SharedSettings};
use crate::orders::{CommerceIdentity, CommerceSettings};
use crate::server::{Listening, Tls, TlsFiles, TrustedProxies};

/// Returns how the listeners are reached.
pub(super) fn listening(settings: &ListeningSettings) -> anyhow::Result<Listening> {
    if settings.proxy_protocol && settings.trusted_proxies.is_empty() {
        bail!(
            "PROXY_PROTOCOL=true is without effect unless TRUSTED_PROXIES names the proxies; set both"
        );
    }
    Ok(Listening {
        tls: tls_files(settings)?.map(Tls::load).transpose()?,
        proxies: TrustedProxies::new(&settings.trusted_proxies, settings.proxy_protocol),
        insecure_plaintext: settings.insecure_plaintext,
    })
}

fn tls_files(settings: &ListeningSettings) -> anyhow::Result<Option<TlsFiles>> {
    match (&settings.tls_cert_file, &settings.tls_key_file) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: settings.tls_client_ca_file.clone(),
        })),
        (None, None) if settings.tls_client_ca_file.is_some() => {
            bail!("TLS_CLIENT_CA_FILE is set without TLS_CERT_FILE and TLS_KEY_FILE; set all three")
        }
        (None, None) => Ok(None),
        (Some(_), None) => bail!("TLS_CERT_FILE is set without TLS_KEY_FILE; set both"),
        (None, Some(_)) => bail!("TLS_KEY_FILE is set without TLS_CERT_FILE; set both"),
    }
}

/// Returns the settings of the commerce system, if there is one.
pub(super) fn orders(shared: &SharedSettings) -> anyhow::Result<Option<CommerceSettings>> {
    let Some(endpoint) = &shared.order_endpoint else { return Ok(None) };
    let (timeout, reconcile_after) = (shared.order_timeout, shared.order_reconcile_after);
    if reconcile_after <= timeout {
        bail!("ORDER_RECONCILE_AFTER must be longer than ORDER_TIMEOUT");
    }
    let identity = order_identity(shared)?;
    let settings = CommerceSettings::new(endpoint, &identity, timeout, reconcile_after);
    settings.map(Some).map_err(|sentence| anyhow!("ORDER_ENDPOINT: {sentence}"))
}

fn order_identity(shared: &SharedSettings) -> anyhow::Result<CommerceIdentity> {
    let settings = &shared.order_identity;
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let certificate = match (&settings.order_cert_file, &settings.order_key_file) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read_secret(key)?)),
        (None, None) => None,
        (Some(_), None) => bail!("ORDER_CERT_FILE is set without ORDER_KEY_FILE; set both"),
        (None, Some(_)) => bail!("ORDER_KEY_FILE is set without ORDER_CERT_FILE; set both"),
    };
    Ok(CommerceIdentity {
        authorities: settings.order_ca_file.as_deref().map(read).transpose()?,
        certificate,
        token: settings.order_token_file.as_deref().map(read_secret).transpose()?,
    })
}
