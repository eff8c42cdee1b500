//! Patterns of methods in the file of grants. They are compared with the methods of the service when
//! the file is read: a pattern that matches no method has a typing error, and is refused.

use prost_reflect::MethodDescriptor;

use crate::domain::stars::{LetterCase, matches_with_stars};
use crate::proto;

/// The package of the operator services. All other services are public actions.
const OPERATORS: &str = "activation.operator.v1";
/// The service that lists audit records. The key `audit` of the file grants it.
const AUDIT: &str = "AuditService";
/// The methods that return a secret of an account. The key `credentials` of the file grants them:
/// with such a secret, an operator can act for the account over REST even after its own token was
/// withdrawn.
const CREDENTIALS: [(&str, &str); 2] =
    [("AccessKeyService", "CreateAccessKey"), ("AccessKeyService", "IssueSecurityToken")];

/// The kinds of methods. A pattern matches methods of one kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MethodKind {
    /// The actions of the products. A pattern is matched with `OpenCdnService`.
    Action,
    /// The methods of operators, except the following. A pattern is matched with `AccountService/GetAccount`.
    Operator,
    /// The audit.
    Audit,
    /// The methods that return a secret of an account.
    Credentials,
}

impl MethodKind {
    fn of(method: &MethodDescriptor) -> Self {
        let service = method.parent_service();
        match (service.name(), method.name()) {
            _ if service.package_name() != OPERATORS => Self::Action,
            (AUDIT, _) => Self::Audit,
            names if CREDENTIALS.contains(&names) => Self::Credentials,
            _ => Self::Operator,
        }
    }

    /// Returns the paths of the methods of this kind that a pattern matches.
    pub fn paths(self, pattern: &str) -> impl Iterator<Item = String> {
        let matches = move |method: &MethodDescriptor| {
            matches_with_stars(pattern, &self.name(method), LetterCase::Counts)
        };
        proto::methods()
            .filter(move |method| Self::of(method) == self && matches(method))
            .map(|method| proto::path_of(&method))
    }

    /// Returns the text that a pattern is matched with.
    fn name(self, method: &MethodDescriptor) -> String {
        match self {
            Self::Action => method.name().to_owned(),
            Self::Operator | Self::Audit | Self::Credentials => {
                format!("{}/{}", method.parent_service().name(), method.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_one_kind_does_not_match_methods_of_another() {
        let count = |kind: MethodKind, pattern: &str| kind.paths(pattern).count();
        assert!(MethodKind::Action.paths("*").all(|path| !path.contains("operator")));
        assert!(MethodKind::Operator.paths("*").all(|path| path.contains(".operator.v1.")));
        assert!(MethodKind::Operator.paths("*").all(|path| !path.contains(AUDIT)));
        let secrets: Vec<_> = MethodKind::Credentials.paths("*").collect();
        assert_eq!(secrets.len(), CREDENTIALS.len());
        assert!(MethodKind::Operator.paths("*").all(|path| !secrets.contains(&path)));
        assert_eq!(count(MethodKind::Operator, "AccessKeyService/CreateAccessKey"), 0);
        assert_eq!(count(MethodKind::Action, "DescribeUser*"), 2);
        assert_eq!(count(MethodKind::Operator, "AccountService/GetAccount"), 1);
        assert_eq!(count(MethodKind::Operator, "GetAccount"), 0);
    }
}
