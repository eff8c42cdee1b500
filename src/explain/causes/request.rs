//! Causes that the request itself shows, without the secret.

use super::{CORRECT, Cause, OPTION_NOT_READ, OWN_STRING, none};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        code: CORRECT,
        en: [
            "The signature is right",
            "If the server refuses the request, it does so for another reason: read its error \
             code.",
        ],
        zh: ["签名正确", "如果服务端仍然拒绝请求，则另有原因：请查看返回的错误码。"],
        signers: none,
    },
    Cause {
        code: OWN_STRING,
        en: [
            "The client signed its own string, which differs from that of the server",
            "The secret and the key are right. Make the string to sign equal to that of the \
             server, from the first byte that differs.",
        ],
        zh: [
            "客户端签名的字符串与服务端的不同",
            "密钥和 HMAC 计算是正确的。请从第一个不同的字节开始，使待签名字符串与服务端一致。",
        ],
        signers: none,
    },
    Cause {
        code: "string_is_right",
        en: [
            "The string to sign is right",
            "The mistake is in the secret, in the key or in how the signature is written. Compare \
             with the secret to find out which.",
        ],
        zh: [
            "待签名字符串正确",
            "问题出在 AccessKey Secret、HMAC 密钥或签名结果的编码上。提供 Secret 后即可判断是哪一\
             个。",
        ],
        signers: none,
    },
    Cause {
        code: "not_recognised",
        en: [
            "The text is not a request or a string to sign",
            "Paste the signed URL, the curl command, the raw HTTP request, the string to sign, or \
             the error message of the server.",
        ],
        zh: [
            "无法识别该文本",
            "请粘贴已签名的 URL、curl 命令、HTTP 原始请求、待签名字符串，或服务端返回的错误信息。",
        ],
        signers: none,
    },
    Cause {
        code: "too_long",
        en: ["The text is longer than 64 KiB", "Paste one request or one string only."],
        zh: ["文本超过 64 KiB", "请只粘贴一个请求或一个字符串。"],
        signers: none,
    },
    Cause {
        code: "too_many_parameters",
        en: [
            "The request has more than 500 parameters or 200 headers",
            "Paste one request only, with the parameters and headers that the server knows.",
        ],
        zh: [
            "请求的参数超过 500 个，或请求头超过 200 个",
            "请只粘贴一个请求，且只保留服务端支持的参数和请求头。",
        ],
        signers: none,
    },
    Cause {
        code: OPTION_NOT_READ,
        en: [
            "The option {} names a file that cannot be read here",
            "Paste its content: give the data itself in the command, or the raw HTTP request.",
        ],
        zh: [
            "选项 {} 引用了文件，此处无法读取",
            "请粘贴文件内容：在命令中直接写出数据，或粘贴 HTTP 原始请求。",
        ],
        signers: none,
    },
    Cause {
        code: "only_a_hash",
        en: [
            "This string to sign of V3 contains only a hash",
            "Paste the canonical request, of which the hash is made, or the request itself.",
        ],
        zh: [
            "V3 的待签名字符串只包含一个哈希值",
            "请粘贴计算该哈希所用的规范化请求（CanonicalRequest），或请求本身。",
        ],
        signers: none,
    },
    Cause {
        code: "server_string_is_cut",
        en: [
            "The server has cut the string in its message",
            "Paste the request itself: the message shows the first 8 KiB only.",
        ],
        zh: ["服务端的错误信息被截断", "错误信息只显示前 8 KiB，请粘贴请求本身。"],
        signers: none,
    },
    Cause {
        code: "url_not_quoted",
        en: [
            "The URL in the command is not quoted",
            "Put the URL between quotes. Without them the shell ends the command at the first &, \
             and the rest of the parameters is not sent.",
        ],
        zh: [
            "命令中的 URL 没有加引号",
            "请用引号括住 URL。否则 shell 会在第一个 & 处截断命令，其余参数不会被发送。",
        ],
        signers: none,
    },
    Cause {
        code: "html_escaped",
        en: [
            "The separators of the URL are written as &amp;",
            "Send & between the parameters. The URL was escaped for an HTML or XML page.",
        ],
        zh: ["URL 中的分隔符被写成 &amp;", "参数之间应使用 &。该 URL 被当作 HTML 或 XML 转义了。"],
        signers: none,
    },
    Cause {
        code: "parameter_twice",
        en: [
            "The parameter {} is sent twice",
            "Send each parameter once, in the query or in the form.",
        ],
        zh: ["参数 {} 被发送了两次", "每个参数只能发送一次，放在查询串或表单中。"],
        signers: none,
    },
    Cause {
        code: "path_not_root",
        en: [
            "The path of the URL is {} and not /",
            "Send the request to the path /. The action is a parameter.",
        ],
        zh: ["URL 的路径是 {} 而不是 /", "请将请求发送到路径 /。操作名称通过参数指定。"],
        signers: none,
    },
    Cause {
        code: "body_not_a_form",
        en: [
            "The body is not a form",
            "Send parameters in the query, or in a body of the type \
             application/x-www-form-urlencoded.",
        ],
        zh: [
            "请求体不是表单",
            "请将参数放在查询串中，或使用类型为 application/x-www-form-urlencoded 的请求体。",
        ],
        signers: none,
    },
    Cause {
        code: "payload_hash_of_another_body",
        en: [
            "x-acs-content-sha256 is not the hash of the body that is sent",
            "Compute the SHA-256 of exactly the bytes of the body, in lower-case hex digits. \
             UNSIGNED-PAYLOAD is not accepted.",
        ],
        zh: [
            "x-acs-content-sha256 不是所发送请求体的哈希",
            "请对请求体的原始字节计算 SHA-256，使用小写十六进制。不接受 UNSIGNED-PAYLOAD。",
        ],
        signers: none,
    },
    Cause {
        code: "payload_hash_missing",
        en: [
            "The header x-acs-content-sha256 is missing",
            "Send and sign the SHA-256 of the body. Without a body it is the hash of the empty \
             text.",
        ],
        zh: [
            "缺少请求头 x-acs-content-sha256",
            "请发送请求体的 SHA-256 并参与签名。没有请求体时为空字符串的哈希。",
        ],
        signers: none,
    },
    Cause {
        code: "header_not_signed",
        en: [
            "The header {} is sent and not signed",
            "Put every header that begins with x-acs- into SignedHeaders, in lower case.",
        ],
        zh: [
            "请求头 {} 已发送但未参与签名",
            "所有以 x-acs- 开头的请求头都必须以小写形式列入 SignedHeaders。",
        ],
        signers: none,
    },
    Cause {
        code: "signed_header_not_sent",
        en: [
            "SignedHeaders names the header {}, which is not in the request",
            "Send the header with the value that you signed. The server takes an absent header as \
             empty.",
        ],
        zh: [
            "SignedHeaders 中的请求头 {} 不在请求里",
            "请以参与签名的值发送该请求头。服务端将缺失的请求头视为空值。",
        ],
        signers: none,
    },
    Cause {
        code: "authorization_unreadable",
        en: [
            "The header Authorization cannot be read",
            "Send: ACS3-HMAC-SHA256 Credential=ID,SignedHeaders=a;b;c,Signature=HEX",
        ],
        zh: [
            "无法解析请求头 Authorization",
            "格式应为：ACS3-HMAC-SHA256 Credential=ID,SignedHeaders=a;b;c,Signature=HEX",
        ],
        signers: none,
    },
    Cause {
        code: "empty_secret",
        en: [
            "The client signed with an empty secret",
            "The variable or the file of the secret is empty or not read. Check where the client \
             takes it from.",
        ],
        zh: [
            "客户端使用了空的 Secret 签名",
            "Secret 的环境变量或文件为空，或未被读取。请检查客户端从哪里获取 Secret。",
        ],
        signers: none,
    },
    Cause {
        code: "key_id_as_secret",
        en: [
            "The client signed with the access key id instead of the secret",
            "Use the access key secret in the key of the MAC.",
        ],
        zh: ["客户端把 AccessKey ID 当作 Secret 签名", "HMAC 的密钥应使用 AccessKey Secret。"],
        signers: none,
    },
    Cause {
        code: "parameter_not_sent",
        en: [
            "The parameter {} is signed and not sent",
            "Send every parameter that you sign. A library may drop empty values.",
        ],
        zh: ["参数 {} 参与了签名但没有发送", "参与签名的参数都必须发送。某些库会丢弃空值。"],
        signers: none,
    },
    Cause {
        code: "value_differs",
        en: [
            "The parameter {} is sent with another value than the one signed",
            "Sign and send the same value. Create nonce and timestamp once for each request.",
        ],
        zh: [
            "参数 {} 发送的值与签名的值不同",
            "签名和发送必须使用相同的值。每个请求只生成一次随机数和时间戳。",
        ],
        signers: none,
    },
    Cause {
        code: "header_differs",
        en: [
            "The header {} is sent with another value than the one signed",
            "Sign the value that is sent. A library or a proxy may have changed it.",
        ],
        zh: [
            "请求头 {} 发送的值与签名的值不同",
            "请对实际发送的值签名。HTTP 库或代理可能修改了它。",
        ],
        signers: none,
    },
];
