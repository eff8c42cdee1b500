//! The services that call over gRPC: their tokens, and what each service is granted. Tokens and
//! grants are files, which are read again when they change.

mod directory;
mod files;
mod grants;
mod patterns;
mod token;
mod token_file;

pub use self::directory::ServiceDirectory;
pub use self::files::{ServiceFileError, ServiceFiles};
pub use self::token::ServiceToken;
pub use self::token_file::is_service_name;
