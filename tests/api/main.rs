//! The service as its users meet it: a real server on a fresh database of a real PostgreSQL, spoken to over sockets. The
//! names of the tests are sentences of the documentation.

mod events_cursor;
mod events_delivery;
mod events_load;
mod events_stream;
mod open_cdn_service;
mod support;
