//! `cdn-activation`: whether an account has opened CDN and DCDN, how each is charged now and from
//! when otherwise, and what locks it. Over gRPC, and over the signed RPC query format of existing
//! SDKs.
//!
//! ```text
//! wire ──► authenticate ──► action ──► facts ──► decision ──► one statement ──► reply
//! rest/     auth/           grpc/      storage/  domain/      storage/           grpc/ → rest/
//! ```
//!
//! Events leave the same statements through the outbox (`storage/`), get their numbers
//! (`workers/numbering.rs`), and reach their followers through the feed (`events/`), from which the
//! operator service `grpc/operator/event.rs` serves them.
//!
//! A connection stays on the core that it was handed to (`runtime.rs`), and what requests of one core
//! ask of the database at the same time is one statement (`storage/batch.rs`). Nothing else knows of
//! either: everything is written for one request on one runtime.
//!
//! What a peer may hold is bounded where it is met: connections in `runtime/` and `server/`, calls in
//! `grpc/layers.rs`, the log in `logging/`, the database in `storage/connections.rs` and
//! `storage/writing.rs`. `docs/limits.md` lists every limit.
//!
//! Who may call whom: `main → commands → server → rest → auth → storage → domain → error`; `rest`
//! reaches `grpc` only by an in-process gRPC call; `grpc` uses `domain`, `storage`, `events`, `orders`,
//! `proto`, `context`, `error`. `tests/architecture.rs` holds it.

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
