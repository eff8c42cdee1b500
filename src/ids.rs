//! Ids. No other code generates one.

use std::sync::Arc;

use uuid::Uuid;

/// The id of one request in its reply, the log and errors: a UUID in upper case, as in the vendor's
/// documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Returns a new random id.
    #[must_use]
    pub fn random() -> Self {
        Self::from(random_uuid())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for RequestId {
    fn from(id: Uuid) -> Self {
        Self(Arc::from(&*id.hyphenated().encode_upper(&mut Uuid::encode_buffer())))
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Returns random bits. Those of a UUID (version 4) that are fixed are not random.
#[must_use]
pub fn random_uuid() -> Uuid {
    #[expect(clippy::disallowed_methods, reason = "this is where ids are made")]
    let id = Uuid::new_v4();
    id
}

/// Returns a new id (UUID version 7). Ids are ordered by time.
#[must_use]
pub fn new_id() -> Uuid {
    #[expect(clippy::disallowed_methods, reason = "this is where ids are made")]
    let id = Uuid::now_v7();
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_upper_case_uuids() {
        let id = RequestId::from(Uuid::from_u128(0xabcd));
        assert_eq!(id.as_str(), "00000000-0000-0000-0000-00000000ABCD");
    }
}
