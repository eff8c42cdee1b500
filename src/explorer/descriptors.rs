//! The descriptors of the API with their comments and with the API's own options.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor};

use crate::proto::COMMENTED_DESCRIPTORS;

/// The descriptors that the build made.
pub(super) struct Descriptors {
    /// The descriptors.
    pub pool: DescriptorPool,
    /// The comments by file and by path within the file, each in one line.
    comments: HashMap<(String, Vec<i32>), String>,
}

impl Descriptors {
    /// Reads the descriptors.
    pub fn read() -> Self {
        let pool = DescriptorPool::decode(COMMENTED_DESCRIPTORS);
        let pool = pool.expect("the descriptors that the build made are valid");
        let mut comments = HashMap::new();
        for file in pool.files() {
            let info = file.file_descriptor_proto().source_code_info.as_ref();
            for location in info.iter().flat_map(|info| &info.location) {
                if let Some(comment) = &location.leading_comments {
                    let words: Vec<_> = comment.split_whitespace().collect();
                    let place = (file.name().to_owned(), location.path.clone());
                    comments.insert(place, words.join(" "));
                }
            }
        }
        Self { pool, comments }
    }

    /// Returns the comment at a path of a file; empty text if there is none.
    pub fn comment(&self, file: &str, path: &[i32]) -> String {
        self.comments.get(&(file.to_owned(), path.to_vec())).cloned().unwrap_or_default()
    }

    /// Returns an option of `proto/activation/rpc/v1/options.proto`.
    pub fn option(&self, name: &str) -> ExtensionDescriptor {
        let option = self.pool.get_extension_by_name(&format!("activation.rpc.v1.{name}"));
        option.expect("an option of options.proto")
    }
}

/// Returns the texts of a repeated option.
pub(super) fn texts(options: &DynamicMessage, extension: &ExtensionDescriptor) -> Vec<String> {
    let values = options.get_extension(extension);
    let values = values.as_list().unwrap_or_default();
    values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
