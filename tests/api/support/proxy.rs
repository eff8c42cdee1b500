//! A proxy in front of a server. A test can make it hold back replies, cut connections, or refuse
//! new ones.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::upstream::Upstream;

/// A running proxy.
#[derive(Clone)]
pub struct Proxy {
    /// The address of its listener.
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    upstream: Upstream,
    turns_away: AtomicBool,
    connections: AtomicUsize,
    holds_replies: watch::Sender<bool>,
    cut: Mutex<CancellationToken>,
    frozen: Mutex<CancellationToken>,
}

impl Proxy {
    /// Starts a proxy in front of a TCP server.
    pub async fn before(upstream: SocketAddr) -> Self {
        Self::start(Upstream::Tcp(upstream)).await
    }

    /// Starts a proxy in front of a database. Returns the URL of the database through it, too.
    pub async fn before_database(database: &Database) -> (Self, String) {
        let options: PgConnectOptions = database.url.parse().expect("a URL");
        let proxy = Self::start(Upstream::of(database)).await;
        let (user, name) = (options.get_username(), options.get_database().expect("a name"));
        let url = format!("postgres://{user}@{}/{name}?sslmode=disable", proxy.address);
        (proxy, url)
    }

    async fn start(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let inner = Arc::new(Inner {
            upstream,
            turns_away: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            holds_replies: watch::Sender::new(false),
            cut: Mutex::default(),
            frozen: Mutex::default(),
        });
        let accepting = Arc::clone(&inner);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("accepts");
                accepting.connections.fetch_add(1, Ordering::Relaxed);
                if !accepting.turns_away.load(Ordering::Relaxed) {
                    tokio::spawn(Arc::clone(&accepting).serve(client));
                }
            }
        });
        Self { address, inner }
    }

    /// Returns how many connections were opened to it so far, including refused ones.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::Relaxed)
    }

    /// Makes it close new connections at once, or accept them again.
    pub fn turn_away(&self, turn_away: bool) {
        self.inner.turns_away.store(turn_away, Ordering::Relaxed);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        let mut cut = self.inner.cut.lock().expect("not poisoned");
        cut.cancel();
        *cut = CancellationToken::new();
    }

    /// Stops passing bytes on the connections that are open without ending them, so that each side
    /// finds the other silent. New connections work.
    pub fn freeze(&self) {
        let mut frozen = self.inner.frozen.lock().expect("not poisoned");
        frozen.cancel();
        *frozen = CancellationToken::new();
    }

    /// Holds back the server's replies, or releases them. Requests pass.
    pub fn hold_replies(&self, hold: bool) {
        self.inner.holds_replies.send_replace(hold);
    }
}

impl Inner {
    async fn serve(self: Arc<Self>, client: TcpStream) {
        let cut = self.cut.lock().expect("not poisoned").clone();
        let frozen = self.frozen.lock().expect("not poisoned").clone();
        client.set_nodelay(true).ok();
        let (from_client, to_client) = client.into_split();
        let held = self.holds_replies.subscribe();
        let relaying = async {
            let Ok(server) = self.upstream.connect().await else { return };
            let (from_server, to_server) = tokio::io::split(server);
            relay(from_client, to_server, from_server, to_client, held).await;
        };
        let mut relaying = std::pin::pin!(relaying); // frozen, it is neither polled nor dropped
        tokio::select! {
            biased; // what is let go after the cut does not come through
            () = cut.cancelled() => {}
            () = frozen.cancelled() => cut.cancelled().await,
            () = &mut relaying => {}
        }
    }
}

async fn relay(
    mut from_client: impl AsyncRead + Unpin,
    mut to_server: impl AsyncWrite + Unpin,
    mut from_server: impl AsyncRead + Unpin,
    mut to_client: impl AsyncWrite + Unpin,
    mut held: watch::Receiver<bool>,
) {
    let requests = tokio::io::copy(&mut from_client, &mut to_server);
    let replies = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            held.wait_for(|held| !held).await.expect("the proxy has the sender");
            if to_client.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = requests => {}
        () = replies => {}
    }
}
