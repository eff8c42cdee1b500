//! The settings of how the service authenticates to the commerce system.

use std::path::PathBuf;

use clap::Args;

/// Settings of how the service authenticates to the commerce system at `ORDER_ENDPOINT`.
#[derive(Args, Clone, Debug)]
pub struct OrderIdentitySettings {
    /// File with the authorities that verify the commerce system at an https ORDER_ENDPOINT, in PEM.
    /// Without it, they are those of the operating system, or of SSL_CERT_FILE. The files of this
    /// and the next three settings are read at the start.
    #[arg(long, env = "ORDER_CA_FILE")]
    pub order_ca_file: Option<PathBuf>,
    /// File with the client certificate that is shown to an https ORDER_ENDPOINT, in PEM.
    #[arg(long, env = "ORDER_CERT_FILE")]
    pub order_cert_file: Option<PathBuf>,
    /// File with the private key of the client certificate, in PEM.
    #[arg(long, env = "ORDER_KEY_FILE")]
    pub order_key_file: Option<PathBuf>,
    /// File with the token that is sent to an https ORDER_ENDPOINT as "authorization: Bearer …".
    #[arg(long, env = "ORDER_TOKEN_FILE")]
    pub order_token_file: Option<PathBuf>,
}
