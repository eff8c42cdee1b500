//! Denials by a policy, as a whole reply in either format (docs/protocol.md, "Denials").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Api;
use super::refusals::{FORBIDDEN, Format};
use super::rest::{Key, Reply};

/// Whether a statement denies the action, or none allows it.
#[derive(Clone, Copy, Debug)]
pub enum Deny {
    /// A statement denies it.
    Explicit,
    /// No statement allows it.
    Implicit,
}

impl Reply {
    /// Checks that the policy of a key denies an action: the whole reply with
    /// `AccessDeniedDetail`.
    pub fn is_denied(&self, api: &Api, format: Format, key: &Key, action: &str, deny: Deny) {
        let types = ("SubUser", "AccountLevelIdentityBasedPolicy");
        self.is_denied_to(types, api, format, key, action, deny);
    }

    /// The same for a principal and a policy of these types.
    pub fn is_denied_to(
        &self,
        (principal_type, policy_type): (&str, &str),
        api: &Api,
        format: Format,
        key: &Key,
        action: &str,
        deny: Deny,
    ) {
        let (before, after) = match format {
            Format::Json => ("\"EncodedDiagnosticMessage\":\"", "\""),
            Format::Xml => ("<EncodedDiagnosticMessage>", "<"),
        };
        let message = self.body.split_once(before).and_then(|(_, rest)| rest.split_once(after));
        let (message, _) = message.unwrap_or_else(|| panic!("no diagnostic message: {self:?}"));
        self.check_message(api, &STANDARD.decode(message).expect("standard base64"));
        let owner = key.account_id.to_string();
        let members = [
            ("PolicyType", policy_type),
            ("AuthPrincipalOwnerId", &owner),
            ("EncodedDiagnosticMessage", message),
            ("AuthPrincipalType", principal_type),
            ("AuthPrincipalDisplayName", &key.id),
            ("NoPermissionType", &format!("{deny:?}Deny")),
            ("AuthAction", action),
        ];
        let detail = match format {
            Format::Json => {
                let members = members.map(|(name, value)| format!("{name:?}:{value:?}"));
                format!(r#","AccessDeniedDetail":{{{}}}}}"#, members.join(","))
            }
            Format::Xml => {
                let members = members.map(|(name, value)| format!("<{name}>{value}</{name}>"));
                let members = members.concat();
                format!("<AccessDeniedDetail>{members}</AccessDeniedDetail></Error>")
            }
        };
        let body = FORBIDDEN.body(format, "127.0.0.1");
        let body = body.strip_suffix("</Error>").or(body.strip_suffix('}')).expect("an error");
        assert_eq!((self.status, self.body_without_request_id()), (403, body.to_owned() + &detail));
        assert_eq!(self.headers["content-type"], format.content_type());
    }

    fn check_message(&self, api: &Api, message: &[u8]) {
        let (header, rest) = message.split_at(6);
        let (time, request_id) = rest.split_at(4);
        assert_eq!(header, [1, 1, 0, 0, 0, 0]);
        let age = api.clock.wire_now().timestamp()
            - i64::from(u32::from_be_bytes(time.try_into().expect("four bytes")));
        assert!((0..60).contains(&age), "{age}");
        assert_eq!(request_id, self.headers["x-acs-request-id"].as_bytes());
    }
}
