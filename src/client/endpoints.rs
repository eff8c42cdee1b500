//! The connections of a client: one for each endpoint. Calls take turns. An endpoint that has just
//! failed is passed over while another one has not, and a connection without answers is replaced.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use super::failure::ClientSettingsError;
use super::settings::{ClientSettings, ClientTls};
use super::token::LOOK;

/// How long an endpoint is passed over after a failure.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// Longest time for opening a connection, so that another endpoint is tried soon.
const CONNECTING: Duration = Duration::from_secs(2);
/// Interval of pings on a connection with calls, and the longest wait for the answer. Servers and
/// proxies refuse more frequent ones.
const PINGS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// The endpoints of a client.
#[derive(Debug)]
pub(super) struct Endpoints {
    addresses: Vec<String>,
    tls: ClientTls,
    next: AtomicUsize,
    state: Mutex<EndpointsState>,
}

#[derive(Debug)]
struct EndpointsState {
    targets: Vec<Target>,
    files: TlsContents,
    looked: Instant,
}

#[derive(Debug)]
struct Target {
    endpoint: Endpoint,
    channel: Channel,
    answered: Option<Instant>,
    failed: Option<Instant>,
}

/// The contents of the files of TLS, which are kept to notice a change.
#[derive(Clone, Default, PartialEq, Eq)]
struct TlsContents {
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl std::fmt::Debug for TlsContents {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TlsContents(…)")
    }
}

/// The connection of one attempt, and what the attempt reports.
pub(super) struct Picked {
    /// The connection.
    pub channel: Channel,
    index: usize,
    at: Instant,
}

impl Endpoints {
    /// Reads the files. Connections are opened when they are first used.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientSettingsError> {
        let files = TlsContents::read(&settings.tls).map_err(ClientSettingsError)?;
        let targets = targets(&settings.endpoints, &files).map_err(ClientSettingsError)?;
        if targets.is_empty() {
            return Err(ClientSettingsError("a client needs an endpoint".to_owned()));
        }
        let state = EndpointsState { targets, files, looked: Instant::now() };
        Ok(Self {
            addresses: settings.endpoints.clone(),
            tls: settings.tls.clone(),
            next: AtomicUsize::new(0),
            state: Mutex::new(state),
        })
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// Returns the connection for the next attempt.
    pub async fn pick(&self) -> Picked {
        self.look_at_files().await;
        let state = self.state();
        let count = state.targets.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let turns = (0..count).map(|turn| first.wrapping_add(turn) % count);
        let fit = |index: &usize| state.targets[*index].may_be_used();
        let index = turns.clone().find(fit).unwrap_or(first % count);
        Picked { channel: state.targets[index].channel.clone(), index, at: Instant::now() }
    }

    /// Notes that the service answered an attempt.
    pub fn answered(&self, picked: &Picked) {
        let target = &mut self.state().targets[picked.index];
        (target.answered, target.failed) = (Some(Instant::now()), None);
    }

    /// Notes that an attempt had no answer. If the connection had none at all since the attempt
    /// began, it may be half open and is replaced. Calls that run on it are not disturbed.
    pub fn failed(&self, picked: &Picked, timed_out: bool) {
        let target = &mut self.state().targets[picked.index];
        target.failed = Some(Instant::now());
        if timed_out && target.answered.is_none_or(|answered| answered < picked.at) {
            target.channel = target.endpoint.connect_lazy();
        }
    }

    /// Reads the files of TLS again if they were read some seconds ago, and opens new connections if
    /// they have changed. Files that cannot be used change nothing.
    async fn look_at_files(&self) {
        {
            let mut state = self.state();
            if self.tls.is_empty() || state.looked.elapsed() < LOOK {
                return;
            }
            state.looked = Instant::now();
        }
        let tls = self.tls.clone();
        let Ok(Ok(files)) = spawn_blocking(move || TlsContents::read(&tls)).await else { return };
        if self.state().files == files {
            return;
        }
        if let Ok(targets) = targets(&self.addresses, &files) {
            let mut state = self.state();
            (state.targets, state.files) = (targets, files);
        }
    }

    fn state(&self) -> MutexGuard<'_, EndpointsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    fn may_be_used(&self) -> bool {
        self.failed.is_none_or(|failed| failed.elapsed() >= PASSED_OVER)
    }
}

impl ClientTls {
    fn is_empty(&self) -> bool {
        self.ca_file.is_none() && self.certificate_and_key.is_none()
    }
}

impl TlsContents {
    fn read(tls: &ClientTls) -> Result<Self, String> {
        let ca = tls.ca_file.as_deref().map(read).transpose()?;
        let files = tls.certificate_and_key.as_ref();
        let identity = files.map(|(chain, key)| Ok((read(chain)?, Zeroizing::new(read(key)?))));
        Ok(Self { ca, identity: identity.transpose().map_err(|error: String| error)? })
    }

    fn config(&self) -> ClientTlsConfig {
        let mut config = match &self.ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((chain, key)) = &self.identity {
            config = config.identity(Identity::from_pem(chain, key));
        }
        config
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn targets(addresses: &[String], files: &TlsContents) -> Result<Vec<Target>, String> {
    addresses.iter().map(|address| target(address, files)).collect()
}

fn target(address: &str, files: &TlsContents) -> Result<Target, String> {
    let wrong = |error: tonic::transport::Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        format!("{address:?} cannot be called: {error}{}", cause.unwrap_or_default())
    };
    let mut endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(wrong)?
        .connect_timeout(CONNECTING)
        .http2_keep_alive_interval(PINGS.0)
        .keep_alive_timeout(PINGS.1);
    match endpoint.uri().scheme_str() {
        Some("https") => endpoint = endpoint.tls_config(files.config()).map_err(wrong)?,
        Some("http") => {}
        _ => return Err(format!("{address:?} is not an address; expected https://HOST:PORT")),
    }
    let channel = endpoint.connect_lazy();
    Ok(Target { endpoint, channel, answered: None, failed: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Endpoints {
        let settings = ClientSettings::to(["http://127.0.0.1:1", "http://127.0.0.1:2"]);
        Endpoints::new(&settings).expect("two endpoints")
    }

    #[tokio::test]
    async fn calls_take_turns_and_pass_over_an_endpoint_that_has_just_failed() {
        let endpoints = two();
        let (first, second) = (endpoints.pick().await, endpoints.pick().await);
        assert_ne!(first.index, second.index);
        endpoints.failed(&first, false);
        for _ in 0..3 {
            assert_eq!(endpoints.pick().await.index, second.index);
        }
        endpoints.failed(&second, false);
        assert_ne!(endpoints.pick().await.index, endpoints.pick().await.index, "both have failed");
        endpoints.answered(&first);
        for _ in 0..3 {
            assert_eq!(endpoints.pick().await.index, first.index);
        }
    }

    #[test]
    fn an_address_that_is_not_one_is_refused_with_the_address() {
        for address in ["127.0.0.1:50051", "ftp://a.example", "a b", ""] {
            let error = Endpoints::new(&ClientSettings::to([address])).expect_err("refused");
            assert!(error.to_string().contains(&format!("{address:?}")), "{error}");
        }
        let none = Endpoints::new(&ClientSettings::to([""; 0])).expect_err("refused");
        assert_eq!(none.to_string(), "a client needs an endpoint");
    }

    #[test]
    fn debug_output_does_not_show_a_key() {
        let identity = Some((b"chain".to_vec(), b"secret".to_vec().into()));
        let shown = format!("{:?}", TlsContents { ca: None, identity });
        assert_eq!(shown, "TlsContents(…)");
    }
}
