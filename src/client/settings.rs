//! The settings of a client.

use std::path::PathBuf;
use std::time::Duration;

/// Longest time that the service lets a call run, and so a watch.
const LONGEST_CALL: Duration = Duration::from_secs(30);
/// Time that the service gives a call without a deadline.
const DEADLINE: Duration = Duration::from_secs(10);

/// Whom a client calls, and how. Debug output shows paths and not what is in the files.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The addresses of the service, for example `https://cdn-activation.example:50051`. Calls take
    /// turns, and pass over an endpoint that has just failed.
    pub endpoints: Vec<String>,
    /// The file of the token of the calling service. It is read again when it changes. Without it,
    /// the client certificate is the identity.
    pub token_file: Option<PathBuf>,
    /// TLS of `https` endpoints.
    pub tls: ClientTls,
    /// How long a call may take, repetitions included. The service allows at most 30 s.
    pub deadline: Duration,
    /// How long one watch of a follower lasts before it is opened again, at most 30 s.
    pub watch_deadline: Duration,
}

/// The files of TLS. They are read again when they change.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    /// The authorities of the service, in PEM. Without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// The certificate chain of this client and its key, in PEM.
    pub certificate_and_key: Option<(PathBuf, PathBuf)>,
}

impl ClientSettings {
    /// Returns settings with defaults for everything except the addresses: no token, the authorities
    /// of the system, and a deadline of 10 s.
    #[must_use]
    pub fn to(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            token_file: None,
            tls: ClientTls::default(),
            deadline: DEADLINE,
            watch_deadline: LONGEST_CALL,
        }
    }
}
