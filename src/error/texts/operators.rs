//! The errors of gRPC callers and operators (docs/behaviour.md, "Operator services").

use super::By::{GrpcActions, GrpcCalls, Method, OperatorMethods};
use super::{By, Entry, Text};
use crate::domain::Refusal;
use crate::error::{Error, FieldViolation};

const KEY_WRITES: &[By] = &[
    Method("AccessKeyService.DisableAccessKey"),
    Method("AccessKeyService.EnableAccessKey"),
    Method("AccessKeyService.DeleteAccessKey"),
];
const CANCEL: &[By] = &[Method("ChargeTypeChangeService.CancelChargeTypeChange")];

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        error: || Error::ServiceUnauthenticated,
        answered_by: &[GrpcCalls],
        meaning: Text {
            en: "The token of the calling service is absent or wrong, or occurs twice.",
            zh: "调用方服务的令牌缺失、不正确或重复出现。",
        },
        what_to_do: Text {
            en: "Send `authorization: Bearer TOKEN`.",
            zh: "请在元数据中传入 `authorization: Bearer TOKEN`。",
        },
    },
    Entry {
        error: || Error::ServiceForbidden,
        answered_by: &[GrpcCalls],
        meaning: Text {
            en: "The identity of the calling service is not granted this method.",
            zh: "调用方服务的身份未被授予该方法的调用权限。",
        },
        what_to_do: Text {
            en: "Ask the operator of the server to grant the method in its file of grants.",
            zh: "请联系服务器的运维人员，在授权文件中授予该方法。",
        },
    },
    Entry {
        error: || Error::AccountNotGranted,
        answered_by: &[GrpcActions, OperatorMethods],
        meaning: Text {
            en: "The calling service is granted some accounts only. The request is about another \
                 account, about an account or access key that does not exist, or about all accounts.",
            zh: "调用方服务只被授予部分账号。请求涉及其他账号、不存在的账号或 AccessKey，或涉及全部账号。",
        },
        what_to_do: Text {
            en: "Name an account that the service is granted.",
            zh: "请指定该服务被授予的账号。",
        },
    },
    Entry {
        error: || Error::MissingAccountId,
        answered_by: &[GrpcActions],
        meaning: Text {
            en: "The metadata names no account for which the action is called.",
            zh: "元数据中没有指明为哪个账号调用该操作。",
        },
        what_to_do: Text {
            en: "Send `x-account-id`.", zh: "请在元数据中传入 `x-account-id`。"
        },
    },
    Entry {
        error: || Error::InvalidAccountId(Vec::new()),
        answered_by: &[GrpcActions, OperatorMethods],
        meaning: Text {
            en: "The account id, in the metadata or in a field, is not a positive 64-bit number.",
            zh: "元数据或字段中的账号 ID 不是正的 64 位整数。",
        },
        what_to_do: Text {
            en: "Send a positive 64-bit number.", zh: "请传入正的 64 位整数。"
        },
    },
    Entry {
        error: || Error::AccountNotFound,
        answered_by: &[
            GrpcActions,
            Method("AccountService.GetAccount"),
            Method("AccountService.UpdateAccount"),
            Method("AccessKeyService.CreateAccessKey"),
            Method("AccessKeyService.ListAccessKeys"),
            Method("InstanceService.GetInstance"),
            Method("ChargeTypeChangeService.ScheduleChargeTypeChange"),
            Method("ChargeTypeChangeService.ListChargeTypeChanges"),
            Method("OperationLockService.Lock"),
            Method("OperationLockService.Unlock"),
            Method("OperationLockService.ListOperationLocks"),
        ],
        meaning: Text { en: "There is no account with this id.", zh: "该账号 ID 不存在。" },
        what_to_do: Text { en: "Name an account that exists.", zh: "请指定存在的账号。" },
    },
    Entry {
        error: || Error::AccountAlreadyExists,
        answered_by: &[Method("AccountService.CreateAccount")],
        meaning: Text {
            en: "There is an account with this id already.",
            zh: "该账号 ID 已被使用。",
        },
        what_to_do: Text {
            en: "Read the account, or choose another id.",
            zh: "请读取该账号，或换用其他 ID。",
        },
    },
    Entry {
        error: || Error::UnknownAccessKey,
        answered_by: KEY_WRITES,
        meaning: Text {
            en: "There is no access key with this id, or it was deleted.",
            zh: "该 AccessKey ID 不存在，或已被删除。",
        },
        what_to_do: Text {
            en: "Name an access key that exists.", zh: "请指定存在的 AccessKey。"
        },
    },
    Entry {
        error: || Error::TooManyAccessKeys,
        answered_by: &[Method("AccessKeyService.CreateAccessKey")],
        meaning: Text {
            en: "The account has the largest number of access keys, 10.",
            zh: "该账号的 AccessKey 数量已达到上限（10 个）。",
        },
        what_to_do: Text {
            en: "Delete a key that is not used any more, and create the key again.",
            zh: "请先删除不再使用的 AccessKey，再重新创建。",
        },
    },
    Entry {
        error: || Error::ChangeNotFound,
        answered_by: CANCEL,
        meaning: Text {
            en: "The account has no charge-type change with this id.",
            zh: "该账号没有此 ID 的计费类型变更。",
        },
        what_to_do: Text { en: "Name a change that exists.", zh: "请指定存在的变更。" },
    },
    Entry {
        error: || Error::ChangeInForce,
        answered_by: CANCEL,
        meaning: Text {
            en: "The charge-type change has taken effect and cannot be cancelled.",
            zh: "该计费类型变更已生效，无法取消。",
        },
        what_to_do: Text { en: "Schedule another change.", zh: "请另行安排一次变更。" },
    },
    Entry {
        error: || Error::Refused(Refusal::TooManyLocks),
        answered_by: &[Method("OperationLockService.Lock")],
        meaning: Text {
            en: "The largest number of operation locks, 100, holds on the instance.",
            zh: "该实例上的操作锁已达到上限（100 个）。",
        },
        what_to_do: Text {
            en: "Lift a lock that is not needed any more, and set the lock again.",
            zh: "请先解除不再需要的操作锁，再重新加锁。",
        },
    },
    Entry {
        error: || Error::EtagMismatch,
        answered_by: &[
            Method("AccountService.UpdateAccount"),
            Method("AccessKeyService.DisableAccessKey"),
            Method("AccessKeyService.EnableAccessKey"),
            Method("AccessKeyService.DeleteAccessKey"),
        ],
        meaning: Text {
            en: "The resource has changed since the caller read it: the etag is not the current \
                 one.",
            zh: "资源在读取之后已被修改：传入的 etag 不是当前值。",
        },
        what_to_do: Text {
            en: "Read the resource again, and repeat the update with its new etag.",
            zh: "请重新读取该资源，并用新的 etag 再次更新。",
        },
    },
    Entry {
        error: || Error::InvalidFields(vec![FieldViolation::new("{field}", "{description}")]),
        answered_by: &[OperatorMethods],
        meaning: Text {
            en: "Fields of the request are wrong. The message names them and says what is wrong \
                 with each.",
            zh: "请求中有字段不正确。错误信息列出了这些字段以及各自的问题。",
        },
        what_to_do: Text {
            en: "Correct the fields that `BadRequest` names.",
            zh: "请修正 `BadRequest` 中列出的字段。",
        },
    },
    Entry {
        error: || Error::MalformedMessage,
        answered_by: &[GrpcCalls],
        meaning: Text {
            en: "The bytes of the request are not a message of the method.",
            zh: "请求的内容不是该方法的消息。",
        },
        what_to_do: Text {
            en: "Encode the request as the message of the method.",
            zh: "请按该方法的消息类型编码请求。",
        },
    },
    Entry {
        error: || Error::UnsupportedEncoding,
        answered_by: &[GrpcCalls],
        meaning: Text {
            en: "The message is compressed in a way that the server does not know.",
            zh: "服务器不支持该消息的压缩方式。",
        },
        what_to_do: Text {
            en: "Compress messages with gzip, or send them uncompressed.",
            zh: "请使用 gzip 压缩消息，或不压缩。",
        },
    },
    Entry {
        error: || Error::ServiceNotFound,
        answered_by: &[Method("Health.Check")],
        meaning: Text {
            en: "The server does not serve a service of this name.",
            zh: "服务器不提供此名称的服务。",
        },
        what_to_do: Text {
            en: "Ask for the health of a service that exists.",
            zh: "请查询存在的服务的健康状态。",
        },
    },
    Entry {
        error: || Error::TooManyStreams,
        answered_by: &[Method("Health.Check"), Method("Health.Watch")],
        meaning: Text {
            en: "The largest number of streams without a token is open.",
            zh: "未携带令牌的流已达到上限。",
        },
        what_to_do: Text {
            en: "Close some streams without a token (health watches, for example), or try again \
                 later.",
            zh: "请关闭部分未携带令牌的流（例如健康状态监听），或稍后重试。",
        },
    },
    Entry {
        error: || Error::CursorExpired,
        answered_by: &[Method("EventService.ListEvents"), Method("EventService.WatchEvents")],
        meaning: Text {
            en: "Events after the cursor are no longer kept, or the cursor belongs to another log.",
            zh: "游标之后的事件已不再保留，或该游标属于另一份日志。",
        },
        what_to_do: Text {
            en: "Read the current state again, and follow the events from an empty cursor.",
            zh: "请重新读取当前状态，并从空游标开始接收事件。",
        },
    },
];
