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

/// The paths of all methods.
static PATHS: LazyLock<HashSet<String>> =
    LazyLock::new(|| methods().map(|method| path_of(&method)).collect());

/// The names of the methods that can change something: those without `idempotency_level =
/// NO_SIDE_EFFECTS`.
static WRITES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let writes = methods().filter(|method| !only_reads(method));
    writes.map(|method| method.name().to_owned()).collect()
});

fn only_reads(method: &MethodDescriptor) -> bool {
    let options = method.method_descriptor_proto().options.as_ref();
    options.is_some_and(|options| options.idempotency_level() == IdempotencyLevel::NoSideEffects)
}

/// Returns the methods of all services.
pub fn methods() -> impl Iterator<Item = MethodDescriptor> {
    POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// Returns the path of a method in HTTP/2, for example `/activation.cdn.v1.CdnService/OpenCdnService`.
#[must_use]
pub fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Returns whether a path is that of a method of the service.
#[must_use]
pub fn is_method(path: &str) -> bool {
    PATHS.contains(path)
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
        for method in methods() {
            let reads = ["Get", "List", "Describe", "Watch"];
            let name = method.name();
            let expected = !reads.iter().any(|start| name.starts_with(start));
            assert_eq!(writes(name), expected, "{name} lacks its idempotency_level, or has one");
        }
        assert!(!writes("NoSuchMethod"));
    }

    #[test]
    fn only_the_exact_path_of_a_method_is_one() {
        assert!(methods().count() > 20 && methods().all(|method| is_method(&path_of(&method))));
        for path in [
            "",
            "/",
            "/activation.cdn.v1.CdnService",
            "/activation.cdn.v1.CdnService/",
            "/activation.cdn.v1.CdnService/opencdnservice",
            "/activation.cdn.v1.CdnService/OpenCdnService/",
            "activation.cdn.v1.CdnService/OpenCdnService",
            "/activation.dcdn.v1.DcdnService/OpenCdnService",
        ] {
            assert!(!is_method(path), "{path}");
        }
    }
}
