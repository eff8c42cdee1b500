//! Why the URL of a database cannot be used.

/// Why a URL cannot be used. The text continues a sentence that begins with the name of the
/// setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is not `postgres` or `postgresql`.
    #[error("is not a postgres:// URL")]
    Scheme,
    /// There is an `@` after the one that ends user and password.
    #[error(
        "has an @, a / or a ? in its user or password that is not percent-encoded (%40, %2F, %3F)"
    )]
    Credentials,
    /// A part is not text.
    #[error("has a part that is not UTF-8 in percent encoding, or has a zero byte")]
    Encoding,
    /// An IPv6 address has no closing bracket.
    #[error("has a host that is not a name, an address, or an IPv6 address in brackets")]
    Host,
    /// A port is not valid. It is not repeated, because it may be part of a password.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// The number of ports in the query does not match the number of hosts.
    #[error("has {ports} ports for {hosts} hosts")]
    Ports {
        /// Number of hosts in the URL.
        hosts: usize,
        /// Number of ports in the URL.
        ports: usize,
    },
    /// A part of the query is not of the form `name=value`.
    #[error("has a parameter without a value: {0:?}")]
    NoValue(String),
    /// A parameter that is not supported; psql may know it.
    #[error("has a parameter that is not supported: {0:?}")]
    Unsupported(String),
    /// A parameter has a value that requests something that the service does not do.
    #[error("has {name}={value}, which is not supported: use {use_instead}")]
    Value {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// What is supported.
        use_instead: &'static str,
    },
    /// A URL that was read later leads to another database.
    #[error(
        "names other hosts, another database or other options than at the start: restart the process \
         to use it"
    )]
    OtherDatabase,
    /// The driver refused the URL.
    #[error("cannot be read: {0}")]
    Driver(String),
}
