//! The generated types and services, their descriptors, and the conversion to domain values.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub mod convert;
pub mod event;

#[expect(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the .proto files are documented"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/activation.rs"));
}

pub use generated::activation::{billing, cdn, dcdn, event as events, operator, order};

/// The descriptors, decoded once. The build made them, so they are valid.
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS).expect("the descriptors that the build made are valid")
});

/// The encoded descriptors of the served part of `proto/`, with the API's own options.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The same descriptors with the comments of the files, for reflection.
pub const COMMENTED_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/commented.bin"));
