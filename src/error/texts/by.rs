//! Which calls answer with an error.

use super::Language;

/// A call, or a group of calls, that answers with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The action of this name, on both wires.
    Action(&'static str),
    /// The method of this service over gRPC, `AccountService.GetAccount` for example.
    Method(&'static str),
    /// Every action of the RPC query format.
    SignedActions,
    /// Every action over gRPC.
    GrpcActions,
    /// Every method for operators.
    OperatorMethods,
    /// Every call over gRPC.
    GrpcCalls,
}

impl By {
    /// Returns the name of the call, or what the group is.
    #[must_use]
    pub fn text(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Action(name) | Self::Method(name) => (name, name),
            Self::SignedActions => ("every signed action", "所有签名调用的操作"),
            Self::GrpcActions => ("every action over gRPC", "所有通过 gRPC 调用的操作"),
            Self::OperatorMethods => ("every operator method", "所有运维接口的方法"),
            Self::GrpcCalls => ("every gRPC call", "所有 gRPC 调用"),
        };
        match language {
            Language::English => en,
            Language::Chinese => zh,
        }
    }

    /// Returns whether this is a name and not a group.
    #[must_use]
    pub fn is_name(self) -> bool {
        matches!(self, Self::Action(_) | Self::Method(_))
    }

    pub(super) fn is_action(self, name: &str) -> bool {
        matches!(self, Self::Action(action) if action == name)
    }
}
