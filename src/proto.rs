//! Generated types and services, the descriptors they came from, and what they mean to the domain.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub mod codec;
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

/// The descriptors, read once. They are ours: the build made them.
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS).expect("the descriptors are those that the build made")
});

/// The encoded descriptors of what is served of `proto/`, with the API's own options.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The same with the comments of the files, for reflection.
pub const COMMENTED_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/commented.bin"));
