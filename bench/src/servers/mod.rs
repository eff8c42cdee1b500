//! Servers that the benchmark compares ours with, in the same language and on the same libraries, so
//! that the design is the difference: [`echo`] is gRPC alone, [`textbook`] runs one query per request
//! through a pool. Both run on tokio's multi-thread runtime with its defaults.
//!
//! Each `serve` blocks its caller: it prints `ready ADDRESS` on standard output when it listens and
//! serves until the process is killed. They have no logs, metrics and layers, to their advantage.
//! Services in other languages are in `bench/peers/`.

pub mod collector;
pub mod echo;
pub mod textbook;

use std::future::Future;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tonic::Status;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use uuid::Uuid;

/// Serves what `router` adds to a server until the process is killed.
fn serve_until_killed<F>(address: SocketAddr, router: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(Server) -> anyhow::Result<Router>,
{
    on_runtime(async {
        let router = router(Server::builder()).await?;
        let listener = TcpListener::bind(address).await?;
        println!("ready {}", listener.local_addr()?);
        // Without it, an answer may wait 40 ms for the client's delayed acknowledgement.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        router.serve_with_incoming(incoming).await?;
        Ok(())
    })
}

fn on_runtime(serving: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serving)
}

/// Returns a new id for a reply, in the documented format.
fn request_id() -> String {
    new_id().as_hyphenated().encode_upper(&mut Uuid::encode_buffer()).to_owned()
}

fn new_id() -> Uuid {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server of its own, without the service's context"
    )]
    let id = Uuid::new_v4();
    id
}

/// Refuses an action that is not compared.
fn not_compared<T>() -> Result<T, Status> {
    Err(Status::unimplemented("not part of the comparison"))
}
