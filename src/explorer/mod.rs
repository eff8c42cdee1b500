//! The API explorer: what it shows of the API.

pub mod openapi;
