//! The service as its users meet it: a real server on a fresh database of a real PostgreSQL, spoken to over sockets. The
//! names of the tests are sentences of the documentation.

mod commands_call;
mod commands_demo;
mod commands_dev;
mod commands_logs;
mod commands_serve;
mod grpc_authentication;
mod grpc_deadlines;
mod grpc_errors;
mod grpc_health;
mod grpc_panics;
mod grpc_reflection;
mod open_cdn_service;
mod operator_access_keys;
mod operator_accounts;
mod operator_events;
mod operator_operation_locks;
mod ops;
mod ops_drain;
mod ops_readiness;
mod support;
mod workers;
