//! The service as its users meet it: a real server on a fresh database of a real PostgreSQL, spoken to over sockets. The
//! names of the tests are sentences of the documentation.

mod grpc_authentication;
mod grpc_deadlines;
mod grpc_errors;
mod grpc_health;
mod grpc_panics;
mod grpc_reflection;
mod open_cdn_service;
mod support;
