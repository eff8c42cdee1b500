//! A commerce system for tests: a gRPC server that stores orders by id, as `order.proto` demands,
//! and fails in the way that a test chooses. It finishes a call that has begun even if its client
//! disconnects.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdn_activation::orders::{CommerceIdentity, CommerceSettings};
use cdn_activation::proto::order::v1::order_service_server::{OrderService, OrderServiceServer};
use cdn_activation::proto::order::v1::{
    CancelOrderRequest, CancelOrderResponse, PlaceOrderRequest, PlaceOrderResponse,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::metadata::MetadataValue;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};

use super::database::Database;
use super::eventually;
use super::scratch::Scratch;
use super::tls::Issued;

/// How `openssl` makes the certificate of a commerce system with TLS.
const CERTIFICATE: &str = "
[req]
distinguished_name = name
x509_extensions = server
prompt = no
[name]
CN = commerce system of the tests
[server]
subjectAltName = IP:127.0.0.1
basicConstraints = critical, CA:FALSE
";

/// What the commerce system does with `PlaceOrder`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Orders and answers with success.
    Accept,
    /// Answers with this status without an order.
    Refuse(Code),
    /// Orders, but answers with this status.
    OrderAndFail(Code),
    /// Waits until the mode changes, then does what the new mode says.
    HoldBeforeOrdering,
    /// Orders, and answers once the mode changes.
    HoldAfterOrdering,
}

/// What it has recorded.
#[derive(Debug, Default)]
pub struct Books {
    /// All orders that were ever made, by id.
    pub ordered: BTreeMap<String, PlaceOrderRequest>,
    /// The cancelled ids, whether or not they were ordered. They cannot be ordered again.
    pub cancelled: BTreeSet<String>,
    /// The ids of all answered `CancelOrder` calls in order, repeats included.
    pub cancellations: Vec<String>,
    /// The ids of all `PlaceOrder` calls in order, repeats included.
    pub calls: Vec<String>,
    /// The metadata `authorization` of all `PlaceOrder` calls.
    pub authorizations: Vec<Option<String>>,
    /// The metadata `traceparent` and `tracestate` of all `PlaceOrder` calls.
    pub traces: Vec<[Option<String>; 2]>,
    /// How many orders were made. If this is more than `ordered` has, an id was ordered twice.
    pub orders_made: usize,
}

/// A running commerce system. Clones share it.
#[derive(Clone)]
pub struct CommerceSystem {
    /// The address of its listener.
    pub address: SocketAddr,
    books: Arc<Mutex<Books>>,
    mode: Arc<watch::Sender<Mode>>,
    refuses_to_cancel: Arc<Mutex<bool>>,
    accepted: Arc<Mutex<Option<Vec<Vec<u8>>>>>,
}

impl CommerceSystem {
    /// Starts a commerce system that accepts orders.
    pub async fn start() -> Self {
        Self::serve(Server::builder()).await
    }

    /// Starts one with TLS and a self-signed certificate, which is `certificate.pem` in the
    /// directory. It is made anew each time, so that no private key is stored.
    pub async fn start_with_tls(scratch: &Scratch) -> Self {
        let configuration = scratch.file("openssl.conf", CERTIFICATE);
        let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| scratch.0.join(name));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-days", "2", "-nodes", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-config", &configuration])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl, which comes along with PostgreSQL on Debian");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let [key, certificate] =
            [key, certificate].map(|path| std::fs::read(path).expect("openssl wrote it"));
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Self::serve(Server::builder().tls_config(tls).expect("a certificate")).await
    }

    /// Starts one with this certificate, which refuses clients without a certificate of this
    /// authority.
    pub async fn start_with_client_ca(issued: &Issued, client_ca: &str) -> Self {
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(&issued.certificate, &issued.key))
            .client_ca_root(Certificate::from_pem(client_ca));
        Self::serve(Server::builder().tls_config(tls).expect("a certificate")).await
    }

    async fn serve(mut server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let system = Self {
            address: listener.local_addr().expect("bound"),
            books: Arc::default(),
            mode: Arc::new(watch::Sender::new(Mode::Accept)),
            refuses_to_cancel: Arc::default(),
            accepted: Arc::default(),
        };
        let service = OrderServiceServer::new(system.clone());
        let serving = server.add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(async move { serving.await.expect("serves") });
        system
    }

    /// Returns settings for this system, with deadlines for tests.
    pub fn settings(&self, timeout: Duration, reconcile_after: Duration) -> CommerceSettings {
        settings(self.address, timeout, reconcile_after)
    }

    /// Sets the mode. Calls that wait continue in the new mode.
    pub fn behave(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Makes cancelling fail with UNAVAILABLE, or succeed again.
    pub fn refuse_to_cancel(&self, refuse: bool) {
        *self.refuses_to_cancel.lock().expect("not poisoned") = refuse;
    }

    /// Refuses calls without one of these tokens or client certificates, which are in DER. A new
    /// system accepts all calls.
    pub fn accept_only(&self, credentials: &[&[u8]]) {
        let credentials = credentials.iter().map(|credential| credential.to_vec()).collect();
        *self.accepted.lock().expect("not poisoned") = Some(credentials);
    }

    /// Reads what it has recorded.
    pub fn look<T>(&self, read: impl FnOnce(&Books) -> T) -> T {
        read(&self.books.lock().expect("not poisoned"))
    }

    /// Returns the ids of the orders that are neither cancelled nor refused.
    pub fn live(&self) -> BTreeSet<String> {
        self.look(|books| {
            let live = books.ordered.keys().filter(|id| !books.cancelled.contains(*id));
            live.cloned().collect()
        })
    }

    /// Waits until the recorded state fulfils a condition.
    pub async fn until(&self, what: &str, holds: impl Fn(&Books) -> bool) {
        eventually(what, async || self.look(&holds)).await;
    }

    /// Waits until every intent is settled and the live orders are exactly those of the opened
    /// instances. Returns their ids.
    pub async fn agrees_with(&self, database: &Database) -> BTreeSet<String> {
        let unsettled = "SELECT count(*) FROM order_intents
            WHERE opened_at IS NULL AND cancelled_at IS NULL";
        eventually("every intent is settled", async || database.count(unsettled).await == 0).await;
        let mut connection = database.connect().await;
        let statement = sqlx::query_scalar("SELECT order_id::text FROM instances");
        let opened: Vec<String> = statement.fetch_all(&mut connection).await.expect("reads");
        let opened = BTreeSet::from_iter(opened);
        assert_eq!(self.live(), opened, "live orders, and the orders of the instances");
        let (ordered, made) = self.look(|books| (books.ordered.len(), books.orders_made));
        assert_eq!(made, ordered, "no id ordered twice");
        let rows = "SELECT count(*) FROM orders o JOIN instances USING (account_id, order_id)";
        let rows =
            (database.count(rows).await, database.count("SELECT count(*) FROM orders").await);
        let instances = i64::try_from(opened.len()).expect("a few");
        assert_eq!(rows, (instances, instances), "an order row for each instance, and no other");
        opened
    }

    /// Refuses a call without a credential that is accepted.
    fn admit<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let token = request.metadata().get("authorization").map(MetadataValue::as_bytes);
        let token = token.and_then(|value| value.strip_prefix(b"Bearer "));
        let certificates = request.peer_certs();
        let certificate = certificates.as_ref().and_then(|chain| chain.first());
        let mut given = token.into_iter().chain(certificate.map(AsRef::as_ref));
        match &*self.accepted.lock().expect("not poisoned") {
            Some(accepted) if !given.any(|given| accepted.iter().any(|known| known == given)) => {
                Err(Status::unauthenticated("no credential that is accepted"))
            }
            _ => Ok(()),
        }
    }

    fn order(&self, order: &PlaceOrderRequest) -> Result<(), Status> {
        let mut books = self.books.lock().expect("not poisoned");
        if books.cancelled.contains(&order.order_id) {
            return Err(Status::failed_precondition("this order was cancelled"));
        }
        if books.ordered.insert(order.order_id.clone(), order.clone()).is_none() {
            books.orders_made += 1;
        }
        Ok(())
    }

    async fn handle(self, order: PlaceOrderRequest) -> Result<(), Status> {
        self.books.lock().expect("not poisoned").calls.push(order.order_id.clone());
        let mut modes = self.mode.subscribe();
        let not_held = |mode: &Mode| *mode != Mode::HoldBeforeOrdering;
        let mode = *modes.wait_for(not_held).await.expect("the test has the sender");
        match mode {
            Mode::Refuse(code) => Err(Status::new(code, "no")),
            Mode::OrderAndFail(code) => {
                self.order(&order)?;
                Err(Status::new(code, "ordered, but who knows"))
            }
            Mode::HoldAfterOrdering => {
                self.order(&order)?;
                let released = |mode: &Mode| *mode != Mode::HoldAfterOrdering;
                modes.wait_for(released).await.expect("the test has the sender");
                Ok(())
            }
            Mode::Accept | Mode::HoldBeforeOrdering => self.order(&order),
        }
    }
}

#[tonic::async_trait]
impl OrderService for CommerceSystem {
    async fn place_order(
        &self,
        request: Request<PlaceOrderRequest>,
    ) -> Result<Response<PlaceOrderResponse>, Status> {
        self.admit(&request)?;
        let text = |name| {
            let value = request.metadata().get(name);
            value.map(|value| value.to_str().expect("visible").to_owned())
        };
        let traces = ["traceparent", "tracestate"].map(text);
        let authorization = text("authorization");
        {
            let mut books = self.books.lock().expect("not poisoned");
            books.authorizations.push(authorization);
            books.traces.push(traces);
        }
        let handled = tokio::spawn(self.clone().handle(request.into_inner()));
        handled.await.expect("no panic").map(|()| Response::new(PlaceOrderResponse {}))
    }

    async fn cancel_order(
        &self,
        request: Request<CancelOrderRequest>,
    ) -> Result<Response<CancelOrderResponse>, Status> {
        self.admit(&request)?;
        if *self.refuses_to_cancel.lock().expect("not poisoned") {
            return Err(Status::unavailable("not now"));
        }
        let order_id = request.into_inner().order_id;
        let mut books = self.books.lock().expect("not poisoned");
        books.cancellations.push(order_id.clone());
        books.cancelled.insert(order_id);
        Ok(Response::new(CancelOrderResponse {}))
    }
}

/// Returns settings for an address.
pub fn settings(
    address: SocketAddr,
    timeout: Duration,
    reconcile_after: Duration,
) -> CommerceSettings {
    CommerceSettings::new(
        &format!("http://{address}"),
        &CommerceIdentity::default(),
        timeout,
        reconcile_after,
    )
    .expect("an endpoint")
}
