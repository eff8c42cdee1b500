//! The names of the services, and the paths of their methods.

use std::collections::HashSet;

use prost_reflect::MethodDescriptor;

use crate::proto::{self, POOL};

/// Returns the full names of the services.
pub(super) fn service_names() -> Vec<String> {
    POOL.services().map(|service| service.full_name().to_owned()).collect()
}

/// Returns the paths of all methods.
pub(super) fn method_paths() -> HashSet<String> {
    paths_of(|_| true)
}

/// Returns the paths of the methods that answer with a stream.
pub(super) fn streaming_paths() -> HashSet<String> {
    paths_of(MethodDescriptor::is_server_streaming)
}

/// Returns the paths of the service's own methods that fulfil a condition.
fn paths_of(fulfils: impl Fn(&MethodDescriptor) -> bool) -> HashSet<String> {
    proto::methods().filter(fulfils).map(|method| proto::path_of(&method)).collect()
}
