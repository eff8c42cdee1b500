//! A relay between the service and its database that simulates failures of the network. It cuts a
//! connection once at a chosen statement, answers the statement in the server's place, or refuses
//! all connections for a while. It parses only as much of PostgreSQL's protocol as it needs to
//! recognize statements.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::database::Database;
use super::upstream::Upstream;
use super::{Api, SEALING_KEY};

/// Where a connection is cut, or what is answered in the server's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection is cut before the statement reaches the server, so it is never run.
    BeforeTheStatement,
    /// The connection is cut after the statement is committed, before the reply reaches the
    /// service.
    BeforeTheReply,
    /// The statement is not run but answered with an error of this SQLSTATE.
    Answers(&'static str),
    /// The same, then the connection is cut.
    AnswersAndEnds(&'static str),
    /// The statement is not run but answered with bytes that are not a message.
    Garbage,
}

/// Returns an error message of `PostgreSQL` and the message that it is ready for the next
/// statement.
fn error(sqlstate: &str) -> Vec<u8> {
    let fields = format!("SERROR\0VERROR\0C{sqlstate}\0Mscripted\0\0");
    let length = u32::try_from(fields.len() + 4).expect("short").to_be_bytes();
    [b"E", &length[..], fields.as_bytes(), b"Z\0\0\0\x05I"].concat()
}

/// A fault that strikes the next statement with this text.
type Fault = (&'static str, Cut);

/// The relay. It ends when it is dropped.
pub struct Proxy {
    socket: PathBuf,
    upstream: Upstream,
    faults: Arc<Mutex<Vec<Fault>>>,
    used_again: Arc<Mutex<Vec<&'static str>>>,
    /// False while no connection is let through.
    up: watch::Sender<bool>,
    accepting: Option<JoinHandle<()>>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.up.send_replace(false);
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        std::fs::remove_dir_all(self.socket.parent().expect("our directory")).ok();
    }
}

impl Proxy {
    /// Starts a service without workers that reaches its database through a relay; the relay, and the
    /// database itself.
    pub async fn before_a_service() -> (Api, Self, Database) {
        let database = Database::fresh().await;
        let (proxy, seen_through) = Self::before(&database);
        let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
        let api = Api::start_on(seen_through, sealing_key, Clock::system(), |settings| {
            settings.workers = false;
        })
        .await;
        (api, proxy, database)
    }

    /// Starts a relay in front of a database. Returns it with the database at the address of the
    /// relay.
    pub fn before(database: &Database) -> (Self, Database) {
        let direct: PgConnectOptions = database.url.parse().expect("a URL");
        let (user, port) = (direct.get_username(), direct.get_port());
        let name = format!(".s.PGSQL.{port}");
        let ours = format!("cdn-activation-proxy-{}", cdn_activation::ids::new_id().simple());
        let ours = std::env::temp_dir().join(ours);
        std::fs::create_dir(&ours).expect("a directory of our own");
        let mut proxy = Self {
            socket: ours.join(&name),
            upstream: Upstream::of(database),
            faults: Arc::default(),
            used_again: Arc::default(),
            up: watch::Sender::new(true),
            accepting: None,
        };
        proxy.accept();
        let database_name = direct.get_database().expect("a name");
        let ours = ours.display();
        let url = format!(
            "postgres:///{database_name}?host={ours}&port={port}&user={user}&sslmode=disable"
        );
        (proxy, Database { url })
    }

    /// Cuts the next connection that runs a statement with this text. Each call adds one cut.
    pub fn cut(&self, statement: &'static str, cut: Cut) {
        self.faults.lock().expect("not poisoned").push((statement, cut));
    }

    /// Removes the cuts that have not happened.
    pub fn forget(&self) {
        self.faults.lock().expect("not poisoned").clear();
    }

    /// Returns how many cuts have not happened yet.
    pub fn left(&self) -> usize {
        self.faults.lock().expect("not poisoned").len()
    }

    /// Whether all cuts have happened.
    pub fn has_cut(&self) -> bool {
        self.faults.lock().expect("not poisoned").is_empty()
    }

    /// Returns the SQLSTATEs after which a connection ran another statement.
    pub fn used_again(&self) -> Vec<&'static str> {
        self.used_again.lock().expect("not poisoned").clone()
    }

    /// Ends every connection, and refuses new ones.
    pub fn go_down(&mut self) {
        self.up.send_replace(false);
        self.accepting.take().expect("it was up").abort();
    }

    /// Accepts connections again.
    pub fn come_up(&mut self) {
        self.up = watch::Sender::new(true);
        std::fs::remove_file(&self.socket).expect("our own");
        self.accept();
    }

    fn accept(&mut self) {
        let listener = UnixListener::bind(&self.socket).expect("our directory");
        let (upstream, faults, up) = (self.upstream.clone(), self.faults.clone(), self.up.clone());
        let used_again = Arc::clone(&self.used_again);
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let used_again = Arc::clone(&used_again);
                let relay = relay(client, upstream.clone(), faults.clone(), used_again);
                let mut up = up.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        () = relay => {}
                        _ = up.wait_for(|up| !up) => {}
                    }
                });
            }
        }));
    }
}

/// Passes bytes in both directions until one end closes or the connection is cut.
async fn relay(
    client: UnixStream,
    upstream: Upstream,
    faults: Arc<Mutex<Vec<Fault>>>,
    used_again: Arc<Mutex<Vec<&'static str>>>,
) {
    let Ok(server) = upstream.connect().await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), tokio::io::split(server));
    let (mut asked, mut answered) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut statements = Statements::default();
    let mut swallow = false;
    let mut struck = None;
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                let runs_before = statements.runs;
                let fault = statements.fault(&asked[..count], &faults);
                if let Some(sqlstate) = struck.take_if(|_| statements.runs > runs_before) {
                    used_again.lock().expect("not poisoned").push(sqlstate);
                }
                match fault {
                    Some(Cut::BeforeTheStatement) => return,
                    Some(Cut::BeforeTheReply) => swallow = true,
                    Some(Cut::Answers(sqlstate)) => {
                        struck = Some(sqlstate);
                        if to_client.write_all(&error(sqlstate)).await.is_err() { return }
                        continue;
                    }
                    Some(Cut::AnswersAndEnds(sqlstate)) => {
                        to_client.write_all(&error(sqlstate)).await.ok();
                        return;
                    }
                    Some(Cut::Garbage) => {
                        to_client.write_all(b"?\0\0\0\x05?HTTP/1.1 400\r\n\r\n").await.ok();
                        return;
                    }
                    None => {}
                }
                if to_server.write_all(&asked[..count]).await.is_err() { return }
            }
            read = from_server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                // ReadyForQuery ends the server's reply to a statement, so the statement is
                // committed.
                if swallow && answered[..count].ends_with(b"Z\0\0\0\x05I") { return }
                if !swallow && to_client.write_all(&answered[..count]).await.is_err() { return }
            }
        }
    }
}

/// The prepared statements of a client, recognized in what it sends.
#[derive(Default)]
struct Statements {
    unread: Vec<u8>,
    started: bool,
    /// How many statements were run.
    runs: usize,
    prepared: HashMap<Vec<u8>, String>,
}

impl Statements {
    /// Returns the fault that strikes a statement that is run by these bytes.
    fn fault(&mut self, bytes: &[u8], faults: &Mutex<Vec<Fault>>) -> Option<Cut> {
        self.unread.extend_from_slice(bytes);
        let mut found = None;
        while let Some((kind, body)) = self.next_message() {
            let mut texts = body.split(|byte| *byte == 0);
            let (first, second) = (texts.next().unwrap_or(&[]), texts.next().unwrap_or(&[]));
            match kind {
                b'P' => {
                    let text = String::from_utf8_lossy(second).into_owned();
                    self.prepared.insert(first.to_vec(), text);
                }
                b'B' => {
                    self.runs += 1;
                    let text = self.prepared.get(second).map(String::as_str).unwrap_or_default();
                    let mut faults = faults.lock().expect("not poisoned");
                    let struck = faults.iter().position(|(part, _)| text.contains(part));
                    found = struck.map(|index| faults.remove(index).1).or(found);
                }
                _ => {}
            }
        }
        found
    }

    /// Returns the type and the body of the next complete message. The first message of a
    /// connection has no type.
    fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let at = usize::from(self.started);
        let length = self.unread.get(at..at + 4)?.try_into().expect("four bytes");
        let end = at + u32::from_be_bytes(length) as usize;
        if self.unread.len() < end {
            return None;
        }
        let message: Vec<u8> = self.unread.drain(..end).collect();
        let kind = if self.started { message[0] } else { 0 };
        self.started = true;
        Some((kind, message[at + 4..].to_vec()))
    }
}
