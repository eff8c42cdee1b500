//! The service as its users meet it: a real server on a fresh database of a real PostgreSQL, spoken
//! to over sockets. The names of the tests are sentences of the documentation.

mod bill_type;
mod both_wires;
mod charge_type_changes;
mod common_parameters;
mod describe_cdn_service;
mod describe_dcdn_service;
mod failing_database;
mod modify_cdn_service;
mod modify_races;
mod open_cdn_service;
mod open_dcdn_service;
mod opening_races;
mod operator_lists;
mod operator_repeats;
mod orders_broken;
mod orders_killed;
mod orders_placed;
mod seeds;
mod support;
mod user_status;
