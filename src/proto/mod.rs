//! The generated types and services, their descriptors, and the conversion to domain values.

use std::collections::HashSet;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::method_options::IdempotencyLevel;

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

/// The names of the methods that can change something: those without `idempotency_level =
/// NO_SIDE_EFFECTS`.
static WRITES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let methods = POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let writes = methods.filter(|method| !only_reads(method));
    writes.map(|method| method.name().to_owned()).collect()
});

fn only_reads(method: &MethodDescriptor) -> bool {
    let options = method.method_descriptor_proto().options.as_ref();
    options.is_some_and(|options| options.idempotency_level() == IdempotencyLevel::NoSideEffects)
}

/// Returns whether there is a method of this name that can change something.
#[must_use]
pub fn writes(method: &str) -> bool {
    WRITES.contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_open_change_create_or_delete_write_and_the_others_do_not() {
        let services = POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        for method in services {
            let reads = ["Get", "List", "Describe", "Watch"];
            let name = method.name();
            let expected = !reads.iter().any(|start| name.starts_with(start));
            assert_eq!(writes(name), expected, "{name} lacks its idempotency_level, or has one");
        }
        assert!(!writes("NoSuchMethod"));
    }
}
