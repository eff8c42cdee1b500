//! The service as its users meet it: a real server on a fresh database of a real PostgreSQL, spoken
//! to over sockets. The names of the tests are sentences of the documentation.

mod charge_type_changes;
mod common_parameters;
mod open_cdn_service;
mod operator_lists;
mod operator_repeats;
mod orders_broken;
mod orders_killed;
mod orders_placed;
mod support;
