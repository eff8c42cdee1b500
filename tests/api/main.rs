//! The service as its users meet it: a real server on a fresh database of a real PostgreSQL, spoken to over sockets. The
//! names of the tests are sentences of the documentation.

mod captures;
mod common_parameters;
mod open_cdn_service;
mod rpc_format;
mod support;
