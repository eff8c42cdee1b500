//! Everything that a server starts, and the order in which it ends: the listeners of callers and the
//! calls that run, the background, and last the ops listener, so that probes and scrapers are
//! answered during the whole drain.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::core::{CLOSING, CoreSetup};
use super::readiness::Readiness;
use super::shared::Shared;
use super::{Addresses, background, core, ops};
use crate::runtime::places::Places;
use crate::runtime::{Connections, Core, hand_out};
use crate::storage::Store;

/// How long the background tasks may take to end after the cores have ended, if `AFTER_DRAIN` allows
/// it. Some of them write once more.
const BACKGROUND_END: Duration = Duration::from_secs(1);
/// How much longer than the drain of the cores the end of everything but the ops listener may take.
const AFTER_DRAIN: Duration = Duration::from_millis(100);
/// How long the ops listener may take to end after that.
const OPS_END: Duration = Duration::from_millis(100);

/// What was started.
pub(super) struct Started {
    cores: Vec<Core>,
    background: Vec<JoinHandle<()>>,
    ops: Vec<JoinHandle<()>>,
    /// The places of the listeners that speak HTTP/1.
    http_1: [Arc<Places>; 2],
    audit_writer: JoinHandle<()>,
    cores_ended: CancellationToken,
}

impl Started {
    /// Starts the cores, the background and the listeners. `store` is that of the background.
    pub fn start(
        listeners: Addresses<TcpListener>,
        shared: &Shared,
        store: &Store,
        readiness: &Readiness,
    ) -> std::io::Result<Self> {
        let Shared { settings, metrics, audit, shutdown, ops_shutdown, pulses, .. } = shared;
        let counted = store.clone();
        metrics.add_pool("background", move || counted.pool_state());
        let cores_ended = CancellationToken::new();
        let audit_writer = tokio::spawn(audit.clone().run(store.clone(), cores_ended.clone()));
        let setup = CoreSetup::new(shared, readiness);
        let (mut cores, mut grpc, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..settings.cores() {
            let (to_grpc, grpc_connections) = Connections::handed_over();
            let (to_rest, rest_connections) = Connections::handed_over();
            let (setup, store) = (setup.clone(), store.clone());
            cores.push(core::start(index, setup, store, grpc_connections, rest_connections)?);
            grpc.push(to_grpc);
            rest.push(to_rest);
        }
        let (to_ops, ops_connections) = Connections::handed_over();
        let places = settings.bounds.places(metrics, settings.listening.tls.is_some());
        let http_1 = [places.rest.clone(), places.ops.clone()];
        let mut background = background::start(shared, store, readiness);
        background.extend([
            tokio::spawn(places.grpc.clone().look_after(shutdown.clone())),
            tokio::spawn(places.rest.clone().look_after(shutdown.clone())),
            tokio::spawn(hand_out(listeners.grpc, places.grpc, grpc, shutdown.clone())),
            tokio::spawn(hand_out(listeners.rest, places.rest, rest, shutdown.clone())),
        ]);
        let until = || ops_shutdown.clone();
        let ops = vec![
            tokio::spawn(places.ops.clone().look_after(until())),
            tokio::spawn(hand_out(listeners.ops, places.ops, vec![to_ops], until())),
            tokio::spawn(ops::serve(ops_connections, readiness.clone(), shared)),
        ];
        tokio::spawn(pulses.clone().watch());
        Ok(Self { cores, background, ops, http_1, audit_writer, cores_ended })
    }

    /// Makes each answer over HTTP/1 the last one of its connection.
    pub fn retire(&self) {
        for places in &self.http_1 {
            places.retire();
        }
    }

    /// Waits until everything has ended, but at most `drain_timeout` and half a second. The listeners
    /// of callers close before.
    pub async fn drain(self, shared: &Shared, store: &Store) {
        let Self { cores, background, ops, audit_writer, cores_ended, .. } = self;
        let ended = async {
            for core in cores {
                core.ended().await; // each drains for at most `drain_timeout`
            }
            cores_ended.cancel();
            audit_writer.await.ok();
            let background_ended = async {
                join_all(background).await;
                store.close().await; // waits for writes that run
            };
            let background_ended = timeout(BACKGROUND_END, background_ended);
            let traces_ended = shared.settings.traces.end(BACKGROUND_END);
            if tokio::join!(background_ended, traces_ended).0.is_err() {
                tracing::warn!(limit = ?BACKGROUND_END, "cut off the background tasks");
            }
        };
        let limit = shared.settings.drain_timeout + CLOSING + AFTER_DRAIN;
        if timeout(limit, ended).await.is_err() {
            tracing::warn!(?limit, "cut off the shutdown");
        }
        shared.ops_shutdown.cancel();
        timeout(OPS_END, join_all(ops)).await.ok();
    }
}
