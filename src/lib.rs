//! `cdn-activation` knows whether an account has opened CDN and DCDN, how each is charged now and
//! after the next change, and which locks it has. It is served over gRPC, and over the signed RPC
//! query format of existing SDKs.
//!
//! ```text
//! wire ──► authenticate ──► action ──► facts ──► decision ──► one statement ──► reply
//! rest/     auth/           grpc/      storage/  domain/      storage/           grpc/ → rest/
//! ```
//!
//! The statement that changes the state also writes the event to the outbox (`storage/`). Events
//! get their positions there (`workers/numbering.rs`) and reach followers through the feed
//! (`events/`), which the operator service `grpc/operator/event.rs` serves.
//!
//! A connection stays on the core to which it was assigned (`runtime.rs`). The questions that
//! requests of one core ask the database at the same time are one statement (`storage/engine/batch.rs`).
//! No other code depends on either: it is written for one request on one runtime.
//!
//! The resources of a peer are limited where they are used: connections in `runtime/` and
//! `server/`, calls in `grpc/layers.rs`, the log in `logging/`, the database in
//! `storage/engine/`. `docs/limits.md` lists every limit.
//!
//! The modules may call each other in this order: `main → commands → server → rest → auth → storage
//! → domain → error`. `rest` reaches `grpc` only by an in-process gRPC call. `grpc` uses `domain`,
//! `storage`, `events`, `orders`, `proto`, `context`, `error`. `tests/architecture.rs` checks this.

pub mod auth;
pub mod commands;
pub mod config;
pub mod context;
pub mod domain;
pub mod error;
pub mod events;
pub mod grpc;
pub mod logging;
pub mod metrics;
pub mod orders;
pub mod proto;
pub mod rest;
pub mod runtime;
pub mod server;
pub mod storage;
pub mod workers;
