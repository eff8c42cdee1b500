//! Damage to a signature on its way to the server, which the request itself shows.

use super::{Cause, none};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        code: "signature_missing",
        en: [
            "The request has no signature",
            "Send the parameter Signature (V1) or the header Authorization (V3).",
        ],
        zh: ["请求中没有签名", "请发送参数 Signature（V1）或请求头 Authorization（V3）。"],
        signers: none,
    },
    Cause {
        code: "signature_plus_as_blank",
        en: [
            "The + in the signature arrived as a blank",
            "Percent-encode the value of Signature in the URL: + is %2B, / is %2F and = is %3D.",
        ],
        zh: [
            "签名中的 + 到达服务端时变成了空格",
            "请对 URL 中的 Signature 值做百分号编码：+ 为 %2B，/ 为 %2F，= 为 %3D。",
        ],
        signers: none,
    },
    Cause {
        code: "signature_encoded_twice",
        en: [
            "The signature is percent-encoded twice",
            "Encode the value of Signature once. The HTTP library probably encodes parameters by \
             itself.",
        ],
        zh: ["签名被百分号编码了两次", "Signature 值只需编码一次。HTTP 库可能已经自动编码参数。"],
        signers: none,
    },
    Cause {
        code: "signature_with_line_end",
        en: [
            "The signature has a line end or blanks around it",
            "Remove them before you send the signature. Programs such as base64 and openssl print \
             a line end.",
        ],
        zh: ["签名前后带有换行或空格", "发送前请去掉它们。base64、openssl 等命令会输出换行。"],
        signers: none,
    },
    Cause {
        code: "signature_url_safe",
        en: [
            "The signature is in the URL-safe alphabet of base64",
            "Use the standard alphabet, which has + and /, and percent-encode them in the URL.",
        ],
        zh: [
            "签名使用了 URL 安全的 Base64 字母表",
            "请使用标准 Base64（含 + 和 /），并在 URL 中做百分号编码。",
        ],
        signers: none,
    },
    Cause {
        code: "signature_without_padding",
        en: [
            "The signature has no = at its end",
            "Keep the padding of base64, and write it as %3D in the URL.",
        ],
        zh: ["签名末尾缺少 =", "请保留 Base64 的填充字符，在 URL 中写为 %3D。"],
        signers: none,
    },
    Cause {
        code: "signature_upper_case",
        en: [
            "The signature has upper-case hex digits",
            "Write the signature of V3 in lower-case hex digits.",
        ],
        zh: ["签名使用了大写十六进制", "V3 的签名应使用小写十六进制。"],
        signers: none,
    },
    Cause {
        code: "signature_method_unknown",
        en: [
            "The signature method or version is not supported",
            "Send SignatureMethod=HMAC-SHA1 and SignatureVersion=1.0, or use signature V3.",
        ],
        zh: [
            "不支持该签名方法或签名版本",
            "请发送 SignatureMethod=HMAC-SHA1 和 SignatureVersion=1.0，或改用 V3 签名。",
        ],
        signers: none,
    },
];
