//! The service as its users meet it: a real server on a fresh database of a real PostgreSQL, spoken to over sockets. The
//! names of the tests are sentences of the documentation.

mod open_cdn_service;
mod orders_broken;
mod orders_killed;
mod orders_placed;
mod orders_reconciled;
mod support;
