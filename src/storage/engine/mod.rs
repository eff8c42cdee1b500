//! How statements reach the database: its address, the connections, batches of questions, writes
//! that wait for rows, and the meaning of errors. Nothing here depends on a table.

pub(super) mod batch;
pub(super) mod connect;
pub(super) mod connections;
mod detected;
mod executor;
pub(super) mod failure;
pub(super) mod hosts;
pub(super) mod observed;
mod url;
mod watched;
pub(super) mod writing;

pub use connect::{StoreOptions, create_database, try_to_connect};
pub(super) use detected::Detected;
pub use detected::Engine;
pub use url::{DatabaseUrl, UrlError};
