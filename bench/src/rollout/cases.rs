//! The clients of a rollout.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::RolloutOptions;
use super::grpc::GrpcCaller;
use super::grpcio::Grpcio;
use super::haproxy::Haproxy;
use super::rest::{Method, RestCaller};
use super::tally::{SharedTally, Tally};
use super::world::World;

/// Callers of each kind.
const CALLERS: usize = 8;
/// Pause of a caller between two calls, so that the load is steady.
const PAUSE: Duration = Duration::from_millis(8);

/// A client that makes one call after another.
pub trait Calling: Send + 'static {
    /// Makes a call.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// The running clients.
pub struct Cases {
    stop: CancellationToken,
    tallies: Vec<SharedTally>,
    callers: Vec<JoinHandle<()>>,
    grpcio: Option<Grpcio>,
}

impl Cases {
    /// Starts the clients.
    pub fn start(world: &World, proxy: &Haproxy, options: &RolloutOptions) -> anyhow::Result<Self> {
        let python = options.python.as_ref();
        let grpcio =
            python.map(|python| Grpcio::start(python, &options.service_config, world, proxy));
        let grpcio = grpcio.transpose()?;
        let (stop, tallies, callers) = (CancellationToken::new(), Vec::new(), Vec::new());
        let mut cases = Self { stop, tallies, callers, grpcio };
        let replicas: Arc<[_]> = world.addresses().map(|addresses| addresses.grpc).collect();
        for (name, targets) in [
            ("gRPC (h2), directly", replicas),
            ("gRPC (h2), through haproxy (h2)", Arc::new([proxy.grpc])),
        ] {
            cases.add(name, |number| {
                let account = world.accounts[number].0;
                GrpcCaller::new(Arc::clone(&targets), number, &world.token, account)
            });
        }
        for (mode, address) in [("tcp", proxy.rest_tcp), ("http", proxy.rest_http)] {
            for method in [Method::Get, Method::Post] {
                let name = format!("REST {method}, keep-alive, through haproxy ({mode})");
                let accounts = &world.accounts;
                cases.add(&name, |number| RestCaller::new(address, method, &accounts[number].1));
            }
        }
        Ok(cases)
    }

    /// Adds the callers of one kind. Each of them calls, pauses and calls again.
    fn add<C: Calling>(&mut self, name: &str, make: impl Fn(usize) -> C) {
        let tally = SharedTally::new(name);
        for number in 0..CALLERS {
            let (mut caller, tally, stop) = (make(number), tally.clone(), self.stop.clone());
            self.callers.push(tokio::spawn(async move {
                while !stop.is_cancelled() {
                    tally.ended(caller.call().await);
                    tokio::time::sleep(PAUSE).await;
                }
            }));
        }
        self.tallies.push(tally);
    }

    /// Ends the clients, and returns what became of their calls.
    pub async fn end(self) -> anyhow::Result<Vec<Tally>> {
        self.stop.cancel();
        for caller in self.callers {
            caller.await?;
        }
        let mut tallies: Vec<_> = self.tallies.iter().map(SharedTally::total).collect();
        if let Some(grpcio) = self.grpcio {
            tallies.extend(grpcio.end()?);
        }
        Ok(tallies)
    }
}
