//! What the descriptors say about the actions of the RPC query format, with the comments of the
//! files.

use prost_reflect::{EnumDescriptor, FieldDescriptor, FileDescriptor, MethodDescriptor};

use crate::explorer::descriptors::{Descriptors, texts};

/// The form of a time in a comment. A text with such a comment is a time.
const TIME: &str = "yyyy-MM-ddTHH:mm:ssZ";

/// The descriptors, read for this description.
pub(super) struct Api(Descriptors);

/// A product: the actions of one service.
pub(super) struct Product {
    /// Its name in permission policies, for example "cdn".
    pub name: String,
    /// The comment of the service.
    pub comment: String,
    /// Its actions, in each of their API versions.
    pub actions: Vec<Action>,
}

/// An action in one API version.
pub(super) struct Action {
    /// The API version.
    pub version: String,
    /// The rpc.
    pub method: MethodDescriptor,
    /// The comment of the rpc.
    pub comment: String,
}

impl Api {
    /// Reads the descriptors that the build made.
    pub fn read() -> Self {
        Self(Descriptors::read())
    }

    /// Returns the products, in the order of the files. Services without an API version are not
    /// reachable in the RPC query format.
    pub fn products(&self) -> Vec<Product> {
        let (versions, method_versions) =
            (self.0.option("versions"), self.0.option("method_versions"));
        let product = self.0.option("product");
        let mut products = Vec::new();
        for service in self.0.pool.services() {
            let of_service = texts(&service.options(), &versions);
            let mut actions = Vec::new();
            for method in service.methods() {
                let of_method = texts(&method.options(), &method_versions);
                let in_versions = if of_method.is_empty() { &of_service } else { &of_method };
                let comment = self.comment(&method.parent_file(), method.path());
                actions.extend(in_versions.iter().map(|version| Action {
                    version: version.clone(),
                    method: method.clone(),
                    comment: comment.clone(),
                }));
            }
            if !of_service.is_empty() {
                let name = service.options().get_extension(&product).into_owned();
                let comment = self.comment(&service.parent_file(), service.path());
                let name = name.as_str().unwrap_or_default().to_owned();
                products.push(Product { name, comment, actions });
            }
        }
        products
    }

    /// Returns the comment at a path of a file, in one line; empty text if there is none.
    pub fn comment(&self, file: &FileDescriptor, path: &[i32]) -> String {
        self.0.comment(file.name(), path)
    }

    /// Returns the comment of a field.
    pub fn comment_of(&self, field: &FieldDescriptor) -> String {
        self.comment(&field.parent_message().parent_file(), field.path())
    }

    /// Returns whether the field must be set.
    pub fn is_required(&self, field: &FieldDescriptor) -> bool {
        let options = field.options();
        options.get_extension(&self.0.option("required")).as_bool() == Some(true)
    }

    /// Returns whether a text field is a time.
    pub fn is_time(&self, field: &FieldDescriptor) -> bool {
        self.comment_of(field).contains(TIME)
    }

    /// Returns whether a reply shows the field as empty text if it is absent.
    pub fn is_empty_when_absent(&self, field: &FieldDescriptor) -> bool {
        let options = field.options();
        options.get_extension(&self.0.option("empty_when_absent")).as_bool() == Some(true)
    }

    /// Returns the spelling and the comment of each value that has a spelling.
    pub fn spellings(&self, values: &EnumDescriptor) -> Vec<(String, String)> {
        let option = self.0.option("spelling");
        let file = values.parent_file();
        let spelled = values.values().filter_map(|value| {
            let options = value.options();
            let spelling =
                options.has_extension(&option).then(|| options.get_extension(&option))?;
            Some((spelling.as_str()?.to_owned(), self.comment(&file, value.path())))
        });
        spelled.collect()
    }
}
