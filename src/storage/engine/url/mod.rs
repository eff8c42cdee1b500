//! `DATABASE_URL`, in the form of psql's URLs, which may name several hosts. The driver takes one
//! host, so it is given one URL for each host.

mod errors;
mod verification;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sqlx::postgres::PgConnectOptions;

pub use self::errors::UrlError;
use self::verification::verifying;

/// The address of the database: one host, or several of which one accepts writes. It contains a
/// password, so `Debug` shows the hosts only.
///
/// Clones share their content: the user and the password can be replaced while connections are
/// opened.
#[derive(Clone)]
pub struct DatabaseUrl {
    hosts: Arc<RwLock<Arc<[PgConnectOptions]>>>,
}

/// Parameters that the driver takes as they are.
const PASSED_ON: [&str; 8] =
    ["user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey", "options"];
/// Parameters about timeouts and names. The service has its own limits and names.
const WITHOUT_EFFECT: [&str; 9] = [
    "application_name",
    "connect_timeout",
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "tcp_user_timeout",
];
/// Parameters that are accepted with the values that request what the service does anyway.
const VALUES: [(&str, &[&str], &str); 5] = [
    ("target_session_attrs", &["read-write", "primary", "any"], "read-write"),
    ("client_encoding", &["UTF8", "utf8", "UTF-8", "utf-8"], "UTF8"),
    ("gssencmode", &["disable", "prefer"], "disable"),
    ("channel_binding", &["disable", "prefer"], "prefer"),
    ("sslnegotiation", &["postgres"], "postgres"),
];
const SSL_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];
const SSL_MODES_SAID: &str = "disable, prefer, require, verify-ca or verify-full";

/// The decoded parts of a URL.
#[derive(Default)]
struct Parts {
    /// Hosts, each with its port if it has one. If there are none, the driver uses its default.
    hosts: Vec<(String, Option<String>)>,
    /// The hosts and ports of the query, which take precedence.
    query_hosts: Option<String>,
    query_ports: Option<String>,
    /// Names and values for the driver.
    parameters: Vec<(String, String)>,
}

/// A host and a port, if the URL has them.
type HostAndPort = (Option<String>, Option<u16>);

impl DatabaseUrl {
    /// Returns the driver's options for each host. There is at least one.
    pub(in crate::storage) fn hosts(&self) -> Arc<[PgConnectOptions]> {
        Arc::clone(&self.hosts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns an error if another URL cannot take the place of this one while connections are open.
    /// Open connections stay with the earlier database: the process would write to both. The options
    /// of a session are compared, too, because `search_path` leads to other tables.
    pub fn require_same_database(&self, other: &Self) -> Result<(), UrlError> {
        // Without a database in the URL, PostgreSQL takes that with the name of the user.
        let database = |host: &PgConnectOptions| {
            host.get_database().unwrap_or_else(|| host.get_username()).to_owned()
        };
        let options = |host: &PgConnectOptions| host.get_options().map(str::to_owned);
        let of = |host: &PgConnectOptions| (place(host), database(host), options(host));
        if !self.hosts().iter().map(of).eq(other.hosts().iter().map(of)) {
            return Err(UrlError::OtherDatabase);
        }
        Ok(())
    }

    /// Uses another URL of the same database, with another user for example, for new connections.
    pub fn replace(&self, by: &Self) -> Result<(), UrlError> {
        self.require_same_database(by)?;
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = by.hosts();
        Ok(())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.hosts().iter().map(place)).finish()
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or(UrlError::Scheme)?;
        let mut parts = Parts::default();
        let rest = parts.take_credentials(rest)?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        if address.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (hosts, database) = address.split_once('/').unwrap_or((address, ""));
        parts.take_hosts(hosts)?;
        parts.take("dbname", database)?;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            parts.take_parameter(parameter)?;
        }
        let hosts = parts.places()?.into_iter();
        let hosts = hosts.map(|(host, port)| parts.options(host, port));
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { hosts: Arc::new(RwLock::new(hosts.into())) })
    }
}

impl Parts {
    /// Takes user and password, and returns what follows them.
    fn take_credentials<'a>(&mut self, rest: &'a str) -> Result<&'a str, UrlError> {
        let Some(end) = rest.find(['@', '/']).filter(|end| rest[*end..].starts_with('@')) else {
            return Ok(rest);
        };
        let (user, password) = rest[..end].split_once(':').unwrap_or((&rest[..end], ""));
        self.take("user", user)?;
        self.take("password", password)?;
        Ok(&rest[end + 1..])
    }

    fn take(&mut self, name: &str, encoded: &str) -> Result<(), UrlError> {
        if !encoded.is_empty() {
            self.parameters.push((name.to_owned(), decoded(encoded)?));
        }
        Ok(())
    }

    fn take_hosts(&mut self, hosts: &str) -> Result<(), UrlError> {
        for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
            let (name, port) = match host.strip_prefix('[') {
                Some(bracketed) => bracketed.split_once(']').ok_or(UrlError::Host)?,
                None => host.find(':').map_or((host, ""), |colon| host.split_at(colon)),
            };
            let port = match port.strip_prefix(':') {
                None if !port.is_empty() => return Err(UrlError::Host),
                port => port.filter(|port| !port.is_empty()).map(str::to_owned),
            };
            self.hosts.push((decoded(name)?, port));
        }
        Ok(())
    }

    fn take_parameter(&mut self, parameter: &str) -> Result<(), UrlError> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = decoded(name)?;
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            return Err(UrlError::Credentials); // it may be part of a password
        }
        if value.is_empty() {
            return Err(UrlError::NoValue(name));
        }
        let value = decoded(value)?;
        let unfit = |value, use_instead| UrlError::Value { name: name.clone(), value, use_instead };
        if let Some((_, fit, use_instead)) = VALUES.iter().find(|(known, ..)| *known == name) {
            return if fit.contains(&&*value) { Ok(()) } else { Err(unfit(value, use_instead)) };
        }
        match name.as_str() {
            "host" => self.query_hosts = Some(value),
            "port" => self.query_ports = Some(value),
            "sslmode" if !SSL_MODES.contains(&&*value) => {
                return Err(unfit(value, SSL_MODES_SAID));
            }
            "sslrootcert" if value == "system" => {
                return Err(unfit(value, "sslmode=verify-full alone, which trusts the system's"));
            }
            known if PASSED_ON.contains(&known) => self.parameters.push((name, value)),
            known if WITHOUT_EFFECT.contains(&known) => {}
            _ => return Err(UrlError::Unsupported(name)),
        }
        Ok(())
    }

    /// Returns the hosts with their ports. Those of the query take precedence.
    fn places(&self) -> Result<Vec<HostAndPort>, UrlError> {
        let listed = |list: &str| list.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut hosts = self.hosts.clone();
        if let Some(list) = &self.query_hosts {
            let ports: Vec<_> = hosts.iter().filter_map(|(_, port)| port.clone()).collect();
            hosts = listed(list).into_iter().map(|host| (host, None)).collect();
            if !ports.is_empty() && self.query_ports.is_none() {
                return Self::with_ports(hosts, &ports);
            }
        }
        if hosts.is_empty() {
            hosts.push((String::new(), None)); // the driver's default
        }
        if let Some(list) = &self.query_ports {
            return Self::with_ports(hosts, &listed(list));
        }
        Self::parsed(hosts)
    }

    /// Gives each host its port. A single port is used for all hosts.
    fn with_ports(
        mut hosts: Vec<(String, Option<String>)>,
        ports: &[String],
    ) -> Result<Vec<HostAndPort>, UrlError> {
        if ports.len() != 1 && ports.len() != hosts.len() {
            return Err(UrlError::Ports { hosts: hosts.len(), ports: ports.len() });
        }
        for (host, port) in hosts.iter_mut().zip(ports.iter().cycle()) {
            host.1 = Some(port.clone());
        }
        Self::parsed(hosts)
    }

    fn parsed(hosts: Vec<(String, Option<String>)>) -> Result<Vec<HostAndPort>, UrlError> {
        let place = |(host, port): (String, Option<String>)| {
            let port = port.map(|port| parsed_port(&port)).transpose()?;
            Ok((Some(host).filter(|host| !host.is_empty()), port))
        };
        hosts.into_iter().map(place).collect()
    }

    /// Returns the driver's options for one host.
    fn options(
        &self,
        host: Option<String>,
        port: Option<u16>,
    ) -> Result<PgConnectOptions, UrlError> {
        let host = host.map(|host| ("host".to_owned(), host));
        let port = port.map(|port| ("port".to_owned(), port.to_string()));
        let parameters = self.parameters.iter().cloned().chain(host).chain(port);
        let parameters = parameters.map(|(name, value)| {
            format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC))
        });
        let url = format!("postgres:///?{}", parameters.collect::<Vec<_>>().join("&"));
        let options: Result<PgConnectOptions, sqlx::Error> = url.parse();
        let options = options.map_err(|error| UrlError::Driver(error.to_string()))?;
        Ok(verifying(options, &self.parameters))
    }
}

fn decoded(encoded: &str) -> Result<String, UrlError> {
    let text = percent_decode_str(encoded).decode_utf8().map_err(|_| UrlError::Encoding)?;
    if text.contains('\0') { Err(UrlError::Encoding) } else { Ok(text.into()) }
}

fn parsed_port(text: &str) -> Result<u16, UrlError> {
    text.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)
}

/// Returns a host as text: with its port, or the path of its socket.
pub(in crate::storage) fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests;
