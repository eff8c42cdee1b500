//! The errors of requests, signatures and access keys (docs/protocol.md, "Error codes of the
//! gateway").

use std::time::Duration;

use super::By::{GrpcCalls, SignedActions};
use super::{By, Entry, Text};
use crate::error::{Denial, Error, FlowLimit, Shown};

const SIGNED: &[By] = &[SignedActions];
const BOTH_WIRES: &[By] = &[SignedActions, GrpcCalls];

fn shown(name: &str) -> Shown {
    Shown::from(name.to_owned())
}

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        error: || Error::RequestTooLarge,
        answered_by: BOTH_WIRES,
        meaning: Text {
            en: "The address, the headers or the body of the request, or a gRPC message, is \
                 larger than its limit.",
            zh: "请求的地址、请求头或请求体，或 gRPC 消息，超过了大小限制。",
        },
        what_to_do: Text { en: "Send a smaller request.", zh: "请缩小请求后重试。" },
    },
    Entry {
        error: || Error::MalformedRequest,
        answered_by: SIGNED,
        meaning: Text {
            en: "The server cannot read the head of the request, or the chunks of its body, as \
                 HTTP.",
            zh: "服务器无法按 HTTP 解析请求头，或无法解析分块传输的请求体。",
        },
        what_to_do: Text {
            en: "Send HTTP/1.1. The server cannot read the head, or the chunks of the body.",
            zh: "请使用 HTTP/1.1 发送格式正确的请求头和分块请求体。",
        },
    },
    Entry {
        error: || Error::RequestTimeout,
        answered_by: SIGNED,
        meaning: Text {
            en: "The server did not receive the complete request in time.",
            zh: "服务器未能在规定时间内收到完整的请求。",
        },
        what_to_do: Text {
            en: "Send the complete request within 10 s.",
            zh: "请在 10 秒内发送完整的请求。",
        },
    },
    Entry {
        error: || Error::ActionNotFound,
        answered_by: BOTH_WIRES,
        meaning: Text {
            en: "There is no such action in the API version, no such path, or no such gRPC method.",
            zh: "该 API 版本中没有此操作，或者路径、gRPC 方法不存在。",
        },
        what_to_do: Text {
            en: "Correct the action, the method or the path. The API version does not have this \
                 action.",
            zh: "请检查操作名、请求方法和路径，并确认该 API 版本包含此操作。",
        },
    },
    Entry {
        error: || Error::InvalidVersion,
        answered_by: SIGNED,
        meaning: Text { en: "There is no such API version.", zh: "该 API 版本不存在。" },
        what_to_do: Text {
            en: "Send an API version that exists.", zh: "请传入存在的 API 版本。"
        },
    },
    Entry {
        error: || Error::UnsupportedHttpMethod,
        answered_by: SIGNED,
        meaning: Text {
            en: "The HTTP method is neither GET nor POST.",
            zh: "HTTP 请求方法既不是 GET 也不是 POST。",
        },
        what_to_do: Text { en: "Use GET or POST.", zh: "请使用 GET 或 POST。" },
    },
    Entry {
        error: || Error::InvalidFormat,
        answered_by: SIGNED,
        meaning: Text {
            en: "The parameter `Format` is neither JSON nor XML.",
            zh: "参数 `Format` 的值既不是 JSON 也不是 XML。",
        },
        what_to_do: Text {
            en: "Set `Format` to JSON or XML.",
            zh: "请将 `Format` 设为 JSON 或 XML。",
        },
    },
    Entry {
        error: || Error::ContentMd5NotMatched,
        answered_by: SIGNED,
        meaning: Text {
            en: "The header `Content-MD5` is not the MD5 of the body.",
            zh: "请求头 `Content-MD5` 与请求体的 MD5 不一致。",
        },
        what_to_do: Text {
            en: "Compute `Content-MD5` from the body that is sent.",
            zh: "请用实际发送的请求体计算 `Content-MD5`。",
        },
    },
    Entry {
        error: || Error::AccessKeyNotFound,
        answered_by: SIGNED,
        meaning: Text {
            en: "There is no access key with this id, or it was deleted.",
            zh: "该 AccessKey ID 不存在，或已被删除。",
        },
        what_to_do: Text {
            en: "Use an access key that exists.", zh: "请使用存在的 AccessKey。"
        },
    },
    Entry {
        error: || Error::AccessKeyInactive,
        answered_by: SIGNED,
        meaning: Text { en: "The access key is disabled.", zh: "该 AccessKey 已被禁用。" },
        what_to_do: Text {
            en: "Use an enabled access key.", zh: "请使用已启用的 AccessKey。"
        },
    },
    Entry {
        error: || Error::SecurityTokenMismatch,
        answered_by: SIGNED,
        meaning: Text {
            en: "The security token belongs to another temporary credential, or the request is \
                 signed with an access key, which has no token.",
            zh: "安全令牌（SecurityToken）属于另一个临时凭证，或者请求是用没有令牌的长期 AccessKey 签名的。",
        },
        what_to_do: Text {
            en: "Send the token that was issued with the id that signs. Omit the token if an \
                 access key signs.",
            zh: "请传入与签名所用 ID 一同签发的令牌；使用长期 AccessKey 签名时请不要传入令牌。",
        },
    },
    Entry {
        error: || Error::SecurityTokenMalformed,
        answered_by: SIGNED,
        meaning: Text {
            en: "The security token was not issued by this service, was changed or cut off on its \
                 way, or was issued with a sealing key that is no longer in use.",
            zh: "安全令牌（SecurityToken）不是由本服务签发的，或在传输中被改动或截断，或签发它的加密密钥已停用。",
        },
        what_to_do: Text {
            en: "Send the token as it was issued, byte for byte, or get a new credential.",
            zh: "请原样传入签发时的令牌，或重新获取临时凭证。",
        },
    },
    Entry {
        error: || Error::SecurityTokenExpired,
        answered_by: SIGNED,
        meaning: Text {
            en: "The temporary credential has expired.", zh: "该临时凭证已过期。"
        },
        what_to_do: Text { en: "Get a new credential.", zh: "请重新获取临时凭证。" },
    },
    Entry {
        error: || Error::TimestampFormat,
        answered_by: SIGNED,
        meaning: Text {
            en: "The signed timestamp or date has a wrong format.",
            zh: "签名所用的时间戳或日期格式不正确。",
        },
        what_to_do: Text {
            en: "Format the timestamp as `yyyy-MM-ddTHH:mm:ssZ`.",
            zh: "请按 `yyyy-MM-ddTHH:mm:ssZ` 格式传入时间戳。",
        },
    },
    Entry {
        error: || Error::TimestampExpired,
        answered_by: SIGNED,
        meaning: Text {
            en: "The signed timestamp is too far from the clock of the server.",
            zh: "签名所用的时间戳与服务器时间相差过大。",
        },
        what_to_do: Text {
            en: "Correct the clock of the client, and sign the request again.",
            zh: "请校准客户端的时钟，并重新签名。",
        },
    },
    Entry {
        error: || Error::InvalidSignatureMethod,
        answered_by: SIGNED,
        meaning: Text {
            en: "The signature method, its version or its type is not supported.",
            zh: "不支持该签名方法、签名版本或签名类型。",
        },
        what_to_do: Text {
            en: "Use `HMAC-SHA1` (V1) or `ACS3-HMAC-SHA256` (V3).",
            zh: "请使用 `HMAC-SHA1`（V1）或 `ACS3-HMAC-SHA256`（V3）。",
        },
    },
    Entry {
        error: || Error::IncompleteSignature,
        answered_by: SIGNED,
        meaning: Text {
            en: "The signature cannot be read, or does not cover everything that must be signed.",
            zh: "无法解析签名，或签名未涵盖所有必须签名的内容。",
        },
        what_to_do: Text {
            en: "Correct the form of the signature, or sign the parameters and headers that it \
                 must cover.",
            zh: "请修正签名的格式，或将必须签名的参数和请求头纳入签名。",
        },
    },
    Entry {
        error: || Error::SignatureV1Mismatch(shown("{string_to_sign}")),
        answered_by: SIGNED,
        meaning: Text {
            en: "The V1 signature does not match. The secret is wrong, or the client signs \
                 another string than the server, which the message shows.",
            zh: "V1 签名不匹配：密钥不正确，或客户端签名的字符串与服务器的不同（错误信息中给出了\
                 后者）。",
        },
        what_to_do: Text {
            en: "Compare the string with the one that the client signs (V1).",
            zh: "请将该字符串与客户端签名的字符串逐字比较（V1）。",
        },
    },
    Entry {
        error: || Error::SignatureV3Mismatch {
            string_to_sign: shown("{string_to_sign}"),
            canonical_request: shown("{canonical_request}"),
        },
        answered_by: SIGNED,
        meaning: Text {
            en: "The V3 signature does not match. The secret is wrong, or the client signs other \
                 texts than the server, which the message shows.",
            zh: "V3 签名不匹配：密钥不正确，或客户端签名的内容与服务器的不同（错误信息中给出了后\
                 者）。",
        },
        what_to_do: Text {
            en: "Compare both texts with those of the client (V3).",
            zh: "请将这两段文本与客户端的逐字比较（V3）。",
        },
    },
    Entry {
        error: || Error::NonceUsed,
        answered_by: SIGNED,
        meaning: Text {
            en: "Another request of this access key has used the nonce already.",
            zh: "该 AccessKey 的另一次请求已使用过此随机数（SignatureNonce）。",
        },
        what_to_do: Text {
            en: "Sign the request again with a new nonce.",
            zh: "请使用新的随机数重新签名。",
        },
    },
    Entry {
        error: || Error::ForbiddenByPolicy(Box::new(Denial::example())),
        answered_by: SIGNED,
        meaning: Text {
            en: "The policy of the access key does not allow the action.",
            zh: "该 AccessKey 的权限策略不允许此操作。",
        },
        what_to_do: Text {
            en: "Use an access key with a policy that allows the action.",
            zh: "请使用权限策略允许此操作的 AccessKey。",
        },
    },
    Entry {
        error: || Error::ThrottledUser(FlowLimit::new(Duration::ZERO, "", "")),
        answered_by: BOTH_WIRES,
        meaning: Text {
            en: "The account calls the action more often than its quota allows, the calling \
                 service calls more often than its limit, or too many requests of the same caller \
                 run at the same time.",
            zh: "该账号调用此操作的频率超过了配额，或调用方服务的调用频率超过了限制，或同一调用方\
                 同时处理中的请求过多。",
        },
        what_to_do: Text {
            en: "Send the request again after the time that the answer gives, and call less often.",
            zh: "请在应答给出的时间之后重试，并降低调用频率。",
        },
    },
    Entry {
        error: || Error::Throttled(FlowLimit::new(Duration::ZERO, "", "")),
        answered_by: SIGNED,
        meaning: Text {
            en: "The address of the client sent too many requests with access keys that do not \
                 exist.",
            zh: "该客户端地址发送了过多使用不存在的 AccessKey 的请求。",
        },
        what_to_do: Text {
            en: "Check the access key, and send the request again after the time that the answer \
                 gives.",
            zh: "请检查 AccessKey，并在应答给出的时间之后重试。",
        },
    },
];
