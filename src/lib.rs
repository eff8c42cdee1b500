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
//! A connection stays on the core to which it was assigned (`runtime/`). The reads that requests of
//! one core need at the same time are combined into one statement (`storage/engine/batch/mod.rs`).
//! All other code ignores both: it is written for one request on one runtime.
//!
//! The resources of a peer are limited where they are used: connections in `runtime/` and
//! `server/`, calls in `grpc/layers.rs`, the log in `logging/`, the database in
//! `storage/engine/`. `docs/limits.md` lists every limit.
//!
//! A module uses only modules below it in this list (`tests/architecture.rs` checks every path):
//!
//! ```text
//! commands    the subcommands of the program
//! server      builds the service, listens, drains
//! config      every setting
//! workers     background tasks
//! runtime     connections and cores
//! explorer    the API explorer and the error center
//! rest        the signed RPC query format
//! grpc        the actions and the operator services
//! events      the feed of followers
//! explain     why a signature does not match
//! auth        signatures, access keys, secrets, calling services
//! audit       what audit records say, and refused attempts
//! orders      the commerce system
//! quotas      how often a caller may call
//! storage     all SQL
//! client      a client of the services, for other programs (feature `client`)
//! proto       generated types, conversions
//! files       files that are read again when they change
//! metrics     what is counted
//! logging     what is logged
//! traces      spans of calls
//! context     caller, id and instants of a request
//! error       the error table
//! clock       the time
//! domain      the decisions: pure functions over facts
//! ids         new ids
//! ```

pub mod audit;
pub mod auth;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod context;
pub mod domain;
pub mod error;
pub mod events;
pub mod explain;
pub mod explorer;
pub mod files;
pub mod grpc;
pub mod ids;
pub mod logging;
pub mod metrics;
pub mod orders;
pub mod proto;
pub mod quotas;
pub mod rest;
pub mod runtime;
pub mod server;
pub mod storage;
pub mod traces;
pub mod workers;
