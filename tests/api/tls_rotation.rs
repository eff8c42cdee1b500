//! The files of TLS change while the service runs: it uses the new certificate, key and authorities
//! without a restart and without a failed call.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::rest::{Key, query};
use crate::support::tls::{Authority, H2, HTTP_1, Issued, ServerFiles, TlsClient};
use crate::support::{Api, eventually};

const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";

/// Whether a client that trusts these authorities only can shake hands with the gRPC listener.
async fn is_trusted(api: &Api, roots: &str) -> bool {
    TlsClient::new(roots, H2).connect(api.addresses.grpc).await.is_ok()
}

/// Callers that share what they trust, and count their calls.
struct Load {
    roots: RwLock<String>,
    calls: AtomicU32,
    ends: AtomicBool,
}

impl Load {
    fn client(&self, protocol: &[u8]) -> TlsClient {
        TlsClient::new(&self.roots.read().expect("not poisoned"), protocol)
    }

    fn trust(&self, roots: String) {
        *self.roots.write().expect("not poisoned") = roots;
    }

    /// Calls over gRPC, on a connection that stays open and on new ones in turn.
    async fn call_grpc(self: Arc<Self>, api: Arc<Api>, account: String) {
        let kept = self.client(H2).grpc(api.addresses.grpc).await;
        while !self.ends.load(Relaxed) {
            let new = self.client(H2).grpc(api.addresses.grpc).await;
            for connection in [&kept, &new] {
                let reply = connection.call(DESCRIBE, &[("x-account-id", &account)], b"").await;
                assert_eq!(reply.status().code(), Code::Ok, "{reply:?}");
                self.calls.fetch_add(1, Relaxed);
            }
        }
    }

    /// Calls over REST, on a new connection each time.
    async fn call_rest(self: Arc<Self>, api: Arc<Api>, key: Key) {
        while !self.ends.load(Relaxed) {
            let parameters = api.common(&key, "Action=DescribeUserCdnStatus");
            let target = format!("/?{}", query(&api.sign(&key, "GET", parameters)));
            let request = api.request("GET", &target, &[("Connection", "close")], b"");
            let reply = self.client(HTTP_1).exchange(api.addresses.rest, &request).await;
            reply.expect("a handshake and an answer").succeeded();
            self.calls.fetch_add(1, Relaxed);
        }
    }

    /// Waits for some more calls.
    async fn go_on(&self) {
        let before = self.calls.load(Relaxed);
        eventually("more calls", async || self.calls.load(Relaxed) >= before + 40).await;
    }
}

#[tokio::test]
async fn a_new_certificate_of_a_new_authority_fails_no_call() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let mut files = ServerFiles::new(&old.issue(&[]), &old.pem());
    let plain = Api::start_without_workers().await;
    let key = plain.account().await;
    let api = Arc::new(plain.with_tls(files.tls(false)).await);
    let load = Arc::new(Load {
        roots: RwLock::new(old.pem()),
        calls: AtomicU32::new(0),
        ends: AtomicBool::new(false),
    });
    let mut callers = Vec::new();
    for _ in 0..2 {
        let account = key.account_id.to_string();
        callers.push(tokio::spawn(Arc::clone(&load).call_grpc(Arc::clone(&api), account)));
        callers.push(tokio::spawn(Arc::clone(&load).call_rest(Arc::clone(&api), key.clone())));
    }
    load.go_on().await;
    load.trust(old.pem() + &new.pem()); // first the clients, then the server
    load.go_on().await;
    files.put(&new.issue(&[]), &old.pem());
    eventually("the new certificate is used", async || is_trusted(&api, &new.pem()).await).await;
    assert!(!is_trusted(&api, &old.pem()).await, "and the old one is not");
    load.go_on().await;
    load.trust(new.pem());
    load.go_on().await;
    load.ends.store(true, Relaxed);
    for caller in callers {
        caller.await.expect("no call failed");
    }
}

/// Whether the gRPC listener serves a client with this certificate.
async fn is_served(api: &Api, roots: &str, issued: &Issued) -> bool {
    let client = TlsClient::with(roots, Some(issued), H2);
    let Ok(mut stream) = client.connect(api.addresses.grpc).await else { return false };
    // A server of HTTP/2 speaks only after the client's preface; a refusal comes at once.
    tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn the_authorities_of_clients_are_replaced_without_an_outage() {
    let (server, old, new) =
        (Authority::new("server"), Authority::new("old"), Authority::new("new"));
    let (issued, roots) = (server.issue(&[]), server.pem());
    let (of_old, of_new) = (old.issue(&["orders"]), new.issue(&["orders"]));
    let mut files = ServerFiles::new(&issued, &old.pem());
    let plain = Api::start_without_workers().await;
    let key = plain.account().await;
    let api = plain.with_tls(files.tls(true)).await;
    assert!(is_served(&api, &roots, &of_old).await);
    assert!(!is_served(&api, &roots, &of_new).await);
    let kept = TlsClient::with(&roots, Some(&of_old), H2).grpc(api.addresses.grpc).await;

    files.put(&issued, &(old.pem() + &new.pem()));
    eventually("both are served", async || is_served(&api, &roots, &of_new).await).await;
    assert!(is_served(&api, &roots, &of_old).await);

    files.put(&issued, &new.pem());
    eventually("only the new one", async || !is_served(&api, &roots, &of_old).await).await;
    assert!(is_served(&api, &roots, &of_new).await);
    let account = key.account_id.to_string();
    let reply = kept.call(DESCRIBE, &[("x-account-id", &account)], b"").await;
    assert_eq!(reply.status().code(), Code::Ok, "a connection that exists goes on");
}

/// Clients that show the same certificate and call all the time.
struct Clients {
    calling: Arc<Calling>,
    running: JoinSet<()>,
}

struct Calling {
    api: Arc<Api>,
    client: TlsClient,
    account: String,
    calls: AtomicU32,
    ends: AtomicBool,
}

impl Calling {
    /// Calls on a connection that stays open and on new ones in turn.
    async fn call(self: Arc<Self>) {
        let address = self.api.addresses.grpc;
        let kept = self.client.grpc(address).await;
        while !self.ends.load(Relaxed) {
            let new = self.client.grpc(address).await;
            for connection in [&kept, &new] {
                let metadata = [("x-account-id", self.account.as_str())];
                let reply = connection.call(DESCRIBE, &metadata, b"").await;
                assert_eq!(reply.status().code(), Code::Ok, "{reply:?}");
                self.calls.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Clients {
    fn start(api: &Arc<Api>, roots: &str, account: &str, with: &Issued) -> Self {
        let calling = Arc::new(Calling {
            api: Arc::clone(api),
            client: TlsClient::with(roots, Some(with), H2),
            account: account.to_owned(),
            calls: AtomicU32::new(0),
            ends: AtomicBool::new(false),
        });
        let running = (0..3).map(|_| Arc::clone(&calling).call()).collect();
        Self { calling, running }
    }

    /// Waits for some more calls.
    async fn go_on(&self) {
        let calls = || self.calling.calls.load(Relaxed);
        let before = calls();
        eventually("more calls", async || calls() >= before + 30).await;
    }

    /// Ends the clients. None of their calls may have failed.
    async fn end(mut self) {
        self.calling.ends.store(true, Relaxed);
        while let Some(ended) = self.running.join_next().await {
            ended.expect("no call failed");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authorities_of_clients_are_replaced_under_load_without_a_failed_call() {
    let (server, old, new) =
        (Authority::new("server"), Authority::new("old"), Authority::new("new"));
    let (issued, roots) = (server.issue(&[]), server.pem());
    let (of_old, of_new) = (old.issue(&["orders"]), new.issue(&["orders"]));
    let mut files = ServerFiles::new(&issued, &old.pem());
    let plain = Api::start_without_workers().await;
    let account = plain.account().await.account_id.to_string();
    let api = Arc::new(plain.with_tls(files.tls(true)).await);
    let start = |with| Clients::start(&api, &roots, &account, with);

    let with_old = start(&of_old);
    with_old.go_on().await;
    files.put(&issued, &(old.pem() + &new.pem())); // first the server, then the clients
    eventually("both are served", async || is_served(&api, &roots, &of_new).await).await;
    let with_new = start(&of_new);
    for clients in [&with_old, &with_new, &with_old] {
        clients.go_on().await;
    }
    with_old.end().await;
    let replaced = start(&of_new); // those that had an old certificate
    replaced.go_on().await;
    files.put(&issued, &new.pem());
    eventually("only the new one", async || !is_served(&api, &roots, &of_old).await).await;
    for clients in [with_new, replaced] {
        clients.go_on().await;
        clients.end().await;
    }
}

#[tokio::test]
async fn files_that_do_not_fit_keep_the_certificate_that_is_in_use() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (of_old, of_new) = (old.issue(&[]), new.issue(&[]));
    let mut files = ServerFiles::new(&of_old, &old.pem());
    let plain = Api::start_without_workers().await;
    let api = plain.with_tls(files.tls(true)).await;
    let mixed = Issued { certificate: of_new.certificate.clone(), key: of_old.key.clone() };
    let empty = Issued { certificate: String::new(), key: of_new.key.clone() };
    let no_key = Issued { key: "no key".to_owned(), ..of_new.clone() };
    for (broken, client_ca) in [
        (&mixed, old.pem()),
        (&empty, old.pem()),
        (&no_key, old.pem()),
        (&of_new, "no authority".to_owned()),
    ] {
        files.put(broken, &client_ca);
        tokio::time::sleep(Duration::from_millis(200)).await; // four readings
        assert!(is_trusted(&api, &old.pem()).await);
    }
    std::fs::remove_file(files.path("tls.key")).expect("it is there");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(is_trusted(&api, &old.pem()).await);
    files.put(&of_new, &old.pem());
    eventually("files that fit are used", async || is_trusted(&api, &new.pem()).await).await;
}
