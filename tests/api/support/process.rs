//! Runs the program as its users do, and checks its two outputs, how it ends, and what it leaves
//! behind.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::server::Addresses;
use private_postgres::misleading_variables;

use super::database::{Database, pg_bin};
use super::{Api, eventually};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_cdn-activation");

/// Every variable that is a setting, or from which a client takes a key. They are removed from the
/// environment of a program under test.
const VARIABLES: [&str; 46] = [
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "CONNECTION_AGE",
    "CORES",
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "DATA_DIR",
    "DB_ADMIN_URL",
    "DB_ADMIN_URL_FILE",
    "DB_CONNECTIONS",
    "DRAIN_DELAY",
    "DRAIN_TIMEOUT",
    "ENGINE",
    "GRANTS_FILE",
    "GRPC_ADDR",
    "GRPC_CONNECTIONS",
    "GRPC_KEEPALIVE_INTERVAL",
    "GRPC_KEEPALIVE_TIMEOUT",
    "GRPC_STREAMS",
    "INSECURE_PLAINTEXT",
    "LOG",
    "LOG_ONE_IN",
    "MINIMUM_BALANCE",
    "OPS_ADDR",
    "ORDER_CA_FILE",
    "ORDER_CERT_FILE",
    "ORDER_ENDPOINT",
    "ORDER_KEY_FILE",
    "ORDER_TOKEN_FILE",
    "OVERDUE_GRACE",
    "PG_BIN",
    "PROXY_PROTOCOL",
    "REFLECTION",
    "REST_ADDR",
    "REST_CONNECTIONS",
    "RUST_BACKTRACE",
    "SEALING_KEY_FILE",
    "SERVICE_TOKEN_FILE",
    "SSL_CERT_FILE",
    "TERMINATION_GRACE_PERIOD",
    "TIMESTAMP_WINDOW",
    "TLS_CERT_FILE",
    "TLS_CLIENT_CA_FILE",
    "TLS_KEY_FILE",
    "TRUSTED_PROXIES",
];

/// Arguments that choose any free port for each listener.
pub const ANY_PORTS: [&str; 6] =
    ["--grpc-addr", "127.0.0.1:0", "--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"];

/// Returns the arguments of `dev` with a directory and the PostgreSQL that the tests are to use.
pub fn dev_on(data_dir: &str) -> impl Iterator<Item = &str> {
    let pg_bin = pg_bin().map(|directory| ["--pg-bin", directory]);
    ["dev", "--data-dir", data_dir].into_iter().chain(pg_bin.into_iter().flatten()).chain(ANY_PORTS)
}

/// The outputs and status of a program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Returns a command line of the program with these variables.
pub fn command<A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
    variables: &[(&str, &str)],
) -> Command {
    prepared(Command::new(PROGRAM), arguments, variables)
}

/// The same with this limit on file descriptors, which the program cannot raise.
fn limited_command<A: AsRef<OsStr>>(
    descriptors: u32,
    arguments: impl IntoIterator<Item = A>,
    variables: &[(&str, &str)],
) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &descriptors.to_string(), PROGRAM]);
    prepared(shell, arguments, variables)
}

/// Returns a command line of another program that runs this program as its argument.
pub fn command_through<A: AsRef<OsStr>>(
    through: impl IntoIterator<Item = impl AsRef<OsStr>>,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut through = through.into_iter();
    let mut command = Command::new(through.next().expect("a program"));
    command.args(through).arg(PROGRAM);
    prepared(command, arguments, &[])
}

fn prepared<A: AsRef<OsStr>>(
    mut command: Command,
    arguments: impl IntoIterator<Item = A>,
    variables: &[(&str, &str)],
) -> Command {
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    // The standard variables of OpenTelemetry are settings of traces.
    let is_of_traces = |name: &OsString| name.to_string_lossy().starts_with("OTEL_");
    for variable in std::env::vars_os().map(|(name, _)| name).filter(is_of_traces) {
        command.env_remove(variable);
    }
    for variable in misleading_variables() {
        command.env_remove(variable);
    }
    command.env("DRAIN_DELAY", "0s"); // no proxy has to notice that a test stops its program
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command line to its end.
pub async fn run<A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
    variables: &[(&str, &str)],
) -> Ended {
    Program::start(arguments, variables).end().await
}

/// A running program. Dropping it kills the program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
}

/// Collects the lines that a program writes.
fn collect(output: impl Read + Send + 'static) -> (Arc<Mutex<String>>, thread::JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&text);
    let reader = thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            shared.lock().expect("nobody panics with it").push_str(&line);
            line.clear();
        }
    });
    (text, reader)
}

impl Program {
    /// Starts a command line.
    pub fn start<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        variables: &[(&str, &str)],
    ) -> Self {
        Self::spawn(command(arguments, variables))
    }

    /// Starts a command line whose outputs can be something else than pipes that are read.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("it was built");
        let (stdout, out_reader) = child.stdout.take().map(collect).unzip();
        let (stderr, error_reader) = child.stderr.take().map(collect).unzip();
        let readers = out_reader.into_iter().chain(error_reader).collect();
        let (stdout, stderr) = (stdout.unwrap_or_default(), stderr.unwrap_or_default());
        Self { child, stdout, stderr, readers }
    }

    /// Starts a command line with this limit on file descriptors.
    pub fn start_limited<A: AsRef<OsStr>>(
        descriptors: u32,
        arguments: impl IntoIterator<Item = A>,
        variables: &[(&str, &str)],
    ) -> Self {
        Self::spawn(limited_command(descriptors, arguments, variables))
    }

    /// Starts `dev` with a directory and any free ports, and waits until it is ready.
    pub async fn dev(data_dir: &str, arguments: &[&str]) -> (Self, Api) {
        let mut program = Self::start(dev_on(data_dir).chain(arguments.iter().copied()), &[]);
        let api = program.ready().await;
        (program, api)
    }

    /// Returns its standard output up to now.
    pub fn stdout(&self) -> String {
        self.stdout.lock().expect("nobody panics with it").clone()
    }

    /// Returns its standard error up to now.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("nobody panics with it").clone()
    }

    /// Whether it is running.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Waits for its ready line, and returns a client of the addresses in it.
    pub async fn ready(&mut self) -> Api {
        eventually("ready", async || {
            assert!(self.runs(), "it ended: {}{}", self.stdout(), self.stderr());
            self.stdout().contains('\n')
        })
        .await;
        let said = self.stdout();
        Api::of_ready_line(said.lines().next().expect("a line"))
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the path of one of its files in `/proc`.
    pub fn proc_file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }

    /// Returns its largest memory use so far, in kilobytes.
    pub fn peak_kilobytes(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc_file("status"));
        let status = status.expect("it runs, on Linux");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    /// Sends a signal, for example `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.expect("kill is everywhere").success());
    }

    /// Waits until it has ended.
    pub async fn end(mut self) -> Ended {
        eventually("ended", async || !self.runs()).await;
        let status: ExitStatus = self.child.wait().expect("it is ours");
        for reader in self.readers.drain(..) {
            reader.join().expect("it reads to the end");
        }
        Ended { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Asks it to stop as a service manager does, and waits until it has ended.
    pub async fn stop(self) -> Ended {
        self.signal("TERM");
        self.end().await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Checks that it ended with this status after one sentence on standard error, and returns the
    /// sentence.
    pub fn sentence(&self, code: i32) -> &str {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        let sentence = self
            .stderr
            .strip_prefix("cdn-activation: ")
            .and_then(|sentence| sentence.strip_suffix('\n'));
        let sentence = sentence.unwrap_or_else(|| panic!("no sentence: {self:?}"));
        assert!(!sentence.contains('\n'), "more than one line: {self:?}");
        sentence
    }
}

impl Api {
    /// Returns a client of the addresses in the ready line of a program.
    pub fn of_ready_line(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let ["ready", grpc, rest, ops] = words[..] else { panic!("no ready line: {line}") };
        let address = |word: &str, name: &str| -> SocketAddr {
            let address = word.strip_prefix(name).unwrap_or_else(|| panic!("no {name}: {line}"));
            address.parse().expect("an address")
        };
        let (grpc, rest) = (address(grpc, "grpc="), address(rest, "rest="));
        Self::at_addresses(Addresses { grpc, rest, ops: address(ops, "ops=") })
    }

    /// Returns a client of a service that another process runs. Its database and keys are not known
    /// here.
    pub fn at_addresses(addresses: Addresses<SocketAddr>) -> Self {
        let sealing_key = SealingKey::generate().expect("random bytes");
        Self {
            addresses,
            clock: Clock::system(),
            database: Database { url: String::new() },
            sealing_key: SealingKey::parse(&sealing_key).expect("a key"),
            workers: true,
            stop: None,
            serving: None,
        }
    }
}
