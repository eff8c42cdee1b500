//! Whether the certificate of a database is verified.

use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Completes `sslmode` of a host, given the parameters of its URL. If the URL does not say how a
/// database on another host is verified, its certificate and its name are verified.
pub(super) fn verifying(
    options: PgConnectOptions,
    parameters: &[(String, String)],
) -> PgConnectOptions {
    let value = |name| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    match value("sslmode").map(String::as_str) {
        None if !is_local(&options) => options.ssl_mode(PgSslMode::VerifyFull),
        // libpq verifies the server in this case; the driver would not.
        Some("require") if value("sslrootcert").is_some() => options.ssl_mode(PgSslMode::VerifyCa),
        _ => options,
    }
}

/// Whether the database is on this host: behind a Unix socket or a loopback address.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    options.get_socket().is_some()
        || host.eq_ignore_ascii_case("localhost")
        || host.starts_with('/')
        || host.trim_matches(['[', ']']).parse().is_ok_and(is_loopback)
}
