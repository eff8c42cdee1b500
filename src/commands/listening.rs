//! Reads the files that the settings of TLS and of the commerce system name.

use std::path::Path;

use anyhow::{Context, anyhow, bail};

use crate::auth::secret_files::read_secret;
use crate::config::{ListeningSettings, SharedSettings, named};
use crate::orders::{CommerceIdentity, CommerceSettings};
use crate::server::{Listening, Tls, TlsFiles, TrustedProxies};

/// Returns how the listeners are reached.
pub(super) fn listening(settings: &ListeningSettings) -> anyhow::Result<Listening> {
    if settings.proxy_protocol && settings.trusted_proxies.is_empty() {
        bail!(
            "{} is without effect unless {} names the proxies; set both",
            named("PROXY_PROTOCOL"),
            named("TRUSTED_PROXIES")
        );
    }
    Ok(Listening {
        tls: tls_files(settings)?.map(Tls::load).transpose()?,
        proxies: TrustedProxies::new(&settings.trusted_proxies, settings.proxy_protocol),
        insecure_plaintext: settings.insecure_plaintext,
    })
}

/// Says that one of two settings is set alone.
fn lacks(setting: &str, other: &str) -> String {
    format!("{} is set without {}; set both", named(setting), named(other))
}

fn tls_files(settings: &ListeningSettings) -> anyhow::Result<Option<TlsFiles>> {
    match (&settings.tls_cert_file, &settings.tls_key_file) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: settings.tls_client_ca_file.clone(),
        })),
        (None, None) if settings.tls_client_ca_file.is_some() => {
            let [ca, certificate, key] = ["TLS_CLIENT_CA_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE"];
            let (ca, certificate, key) = (named(ca), named(certificate), named(key));
            bail!("{ca} is set without {certificate} and {key}; set all three")
        }
        (None, None) => Ok(None),
        (Some(_), None) => bail!("{}", lacks("TLS_CERT_FILE", "TLS_KEY_FILE")),
        (None, Some(_)) => bail!("{}", lacks("TLS_KEY_FILE", "TLS_CERT_FILE")),
    }
}

/// Returns the settings of the commerce system, if there is one.
pub(super) fn orders(shared: &SharedSettings) -> anyhow::Result<Option<CommerceSettings>> {
    let Some(endpoint) = &shared.order_endpoint else { return Ok(None) };
    let (timeout, reconcile_after) = (shared.order_timeout, shared.order_reconcile_after);
    if reconcile_after <= timeout {
        bail!("{} is not longer than {}", named("ORDER_RECONCILE_AFTER"), named("ORDER_TIMEOUT"));
    }
    let identity = order_identity(shared)?;
    let settings = CommerceSettings::new(endpoint, &identity, timeout, reconcile_after);
    settings.map(Some).map_err(|sentence| anyhow!("{}: {sentence}", named("ORDER_ENDPOINT")))
}

fn order_identity(shared: &SharedSettings) -> anyhow::Result<CommerceIdentity> {
    let settings = &shared.order_identity;
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let certificate = match (&settings.order_cert_file, &settings.order_key_file) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read_secret(key)?)),
        (None, None) => None,
        (Some(_), None) => bail!("{}", lacks("ORDER_CERT_FILE", "ORDER_KEY_FILE")),
        (None, Some(_)) => bail!("{}", lacks("ORDER_KEY_FILE", "ORDER_CERT_FILE")),
    };
    Ok(CommerceIdentity {
        authorities: settings.order_ca_file.as_deref().map(read).transpose()?,
        certificate,
        token: settings.order_token_file.as_deref().map(read_secret).transpose()?,
    })
}
