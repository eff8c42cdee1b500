//! Patterns of methods in the file of grants. They are compared with the methods that the service
//! really has, so that a pattern with a typing error is not silently without effect.

use prost_reflect::MethodDescriptor;

use crate::proto::POOL;

/// The package of the operator services. All other services are public actions.
const OPERATORS: &str = "activation.operator.v1";
/// The service that shows who did what. It is granted by a key of its own.
const AUDIT: &str = "AuditService";
/// The methods that return a secret. With it, one can act for an account over REST also when the
/// token of the operator is not valid any more, so they are granted by a key of their own.
const CREDENTIALS: [(&str, &str); 2] =
    [("AccessKeyService", "CreateAccessKey"), ("AccessKeyService", "IssueSecurityToken")];

/// A kind of methods that are granted together.
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
        let methods = POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        methods
            .filter(move |method| Self::of(method) == self && matches(pattern, &self.name(method)))
            .map(|method| path(&method))
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

/// Returns the path of a method.
fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Returns whether a name has the form of a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place is the best one: it leaves the most for the parts that follow.
        let Some(found) = left.find(part) else { return false };
        left = &left[found + part.len()..];
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, yes, no) in [
            ("*", "OpenCdnService", "-"),
            ("Describe*", "DescribeCdnService", "OpenCdnService"),
            ("*/Get*", "AccountService/GetAccount", "AccountService/ListAccounts"),
            ("AccountService/*", "AccountService/GetAccount", "AccessKeyService/GetAccount"),
            ("Open*Service", "OpenCdnService", "OpenCdnServices"),
            ("a*b*b", "abab", "ab"),
            ("OpenCdnService", "OpenCdnService", "OpenCdnServices"),
            ("", "", "a"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(no == "-" || !matches(pattern, no), "{pattern} {no}");
        }
    }

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
