//! The names of the services, and the paths of their methods.

use std::collections::{HashMap, HashSet};

use prost_reflect::MethodDescriptor;

use crate::metrics::CallType;
use crate::proto::{self, POOL};

/// The methods of the services that other crates define.
const INFRASTRUCTURE: [(&str, CallType); 4] = [
    ("/grpc.health.v1.Health/Check", CallType::Unary),
    ("/grpc.health.v1.Health/Watch", CallType::ServerStream),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", CallType::BidiStream),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", CallType::BidiStream),
];

/// Returns the full names of the services.
pub(super) fn service_names() -> Vec<String> {
    POOL.services().map(|service| service.full_name().to_owned()).collect()
}

/// Returns the methods whose calls are counted under their names, by path.
pub(super) fn counted_methods() -> HashMap<String, CallType> {
    let own = proto::methods().map(|method| (proto::path_of(&method), call_type(&method)));
    own.chain(INFRASTRUCTURE.map(|(path, call_type)| (path.to_owned(), call_type))).collect()
}

/// Returns the type of a method of the service. None of them reads a stream.
fn call_type(method: &MethodDescriptor) -> CallType {
    if method.is_server_streaming() { CallType::ServerStream } else { CallType::Unary }
}

/// Returns the paths of the methods that answer with a stream.
pub(super) fn streaming_paths() -> HashSet<String> {
    paths_of(MethodDescriptor::is_server_streaming)
}

/// Returns the paths of the service's own methods that fulfil a condition.
fn paths_of(fulfils: impl Fn(&MethodDescriptor) -> bool) -> HashSet<String> {
    proto::methods().filter(fulfils).map(|method| proto::path_of(&method)).collect()
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn no_method_of_the_service_reads_a_stream() {
        assert!(proto::methods().all(|method| !method.is_client_streaming()));
    }

    #[test]
    fn the_methods_of_the_infrastructure_are_those_of_its_descriptors() {
        let sets = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut described = HashMap::new();
        for set in sets {
            let pool = DescriptorPool::decode(set).unwrap();
            for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>())
            {
                let call_type = match (method.is_client_streaming(), method.is_server_streaming()) {
                    (false, false) => CallType::Unary,
                    (false, true) => CallType::ServerStream,
                    _ => CallType::BidiStream,
                };
                described.insert(proto::path_of(&method), call_type);
            }
        }
        let listed = INFRASTRUCTURE.map(|(path, call_type)| (path.to_owned(), call_type));
        assert_eq!(described, HashMap::from(listed));
    }
}
