//! `descriptors`: prints the descriptors of the API, for tools that do not support reflection.

use std::collections::HashSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::config::DescriptorsSettings;
use crate::explorer::openapi;
use crate::proto::COMMENTED_DESCRIPTORS;

/// Runs the command.
pub fn run(settings: &DescriptorsSettings) -> anyhow::Result<()> {
    if settings.openapi {
        return super::print(format_args!("{:#}", openapi::document()));
    }
    super::print_bytes(&descriptors())
}

/// Returns the descriptors of the served API, with the types of error details. If Envoy's
/// transcoder cannot read the details of an error, its response has an empty body.
#[must_use]
pub fn descriptors() -> Vec<u8> {
    let sets = [COMMENTED_DESCRIPTORS, tonic_types::pb::FILE_DESCRIPTOR_SET];
    let mut known = HashSet::new();
    let files = sets
        .into_iter()
        .flat_map(|set| FileDescriptorSet::decode(set).expect("the build made it").file);
    let file = files.filter(|file| known.insert(file.name().to_owned())).collect();
    FileDescriptorSet { file }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn the_descriptors_contain_the_api_and_the_types_of_error_details() {
        let pool = DescriptorPool::decode(descriptors().as_slice()).unwrap();
        for name in ["google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.Status"] {
            assert!(pool.get_message_by_name(name).is_some(), "{name}");
        }
        let service = pool.get_service_by_name("activation.dcdn.v1.DcdnService").unwrap();
        let options = service.parent_file().file_descriptor_proto().options.clone().unwrap();
        assert_eq!(options.java_package(), "cdnactivation.dcdn.v1");
        assert!(options.java_multiple_files() && options.go_package().ends_with(";dcdnv1"));
    }
}
