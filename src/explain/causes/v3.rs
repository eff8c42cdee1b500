//! Mistakes in the canonical request of V3 and in its hash.

use super::Cause;
use crate::auth::signature::v3;
use crate::explain::signer::{Encode, Signer, encoding as encode};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        code: "canonical_request_not_hashed",
        en: [
            "The canonical request is signed directly",
            "Sign ACS3-HMAC-SHA256, a line feed, and the SHA-256 of the canonical request in hex.",
        ],
        zh: [
            "直接对规范化请求签名",
            "应签名：ACS3-HMAC-SHA256、换行、规范化请求的 SHA-256（十六进制）。",
        ],
        signers: |right| {
            to_sign(right, &[encode::none, |text| format!("{}\n{text}", v3::ALGORITHM)])
        },
    },
    Cause {
        code: "algorithm_line_missing",
        en: [
            "The line ACS3-HMAC-SHA256 is missing in the string to sign",
            "Begin the string to sign with ACS3-HMAC-SHA256 and a line feed.",
        ],
        zh: [
            "待签名字符串缺少 ACS3-HMAC-SHA256 一行",
            "待签名字符串应以 ACS3-HMAC-SHA256 和换行开头。",
        ],
        signers: |right| to_sign(right, &[|text| v3::hash(text.as_bytes())]),
    },
    Cause {
        code: "hash_in_capitals",
        en: [
            "The hash of the canonical request is in upper-case hex digits",
            "Write hashes in lower-case hex digits.",
        ],
        zh: ["规范化请求的哈希使用了大写十六进制", "哈希应使用小写十六进制。"],
        signers: |right| {
            let upper: Encode = |text| {
                format!("{}\n{}", v3::ALGORITHM, v3::hash(text.as_bytes()).to_ascii_uppercase())
            };
            to_sign(right, &[upper])
        },
    },
    Cause {
        code: "blank_line_missing",
        en: [
            "The blank line between the headers and their names is missing",
            "End each header with a line feed, and put another one before the names of the signed \
             headers.",
        ],
        zh: [
            "请求头与已签名请求头名称之间缺少空行",
            "每个请求头以换行结束，在已签名请求头名称之前再加一个换行。",
        ],
        signers: |right| gaps(right, &["", "\n\n"]),
    },
    Cause {
        code: "payload_hash_signed_differs",
        en: [
            "Another hash of the body is signed than the one in x-acs-content-sha256",
            "Put the value of the header x-acs-content-sha256 into the last line of the canonical \
             request.",
        ],
        zh: [
            "签名时的请求体哈希与 x-acs-content-sha256 不同",
            "规范化请求的最后一行应为请求头 x-acs-content-sha256 的值。",
        ],
        signers: |right| {
            let body = &right.sent.body;
            let upper = right.payload_hash.to_ascii_uppercase();
            let hashes =
                [v3::hash(b""), v3::hash(body.as_bytes()), upper, body.clone(), String::new()];
            if right.is_v1() { vec![] } else { hashes.map(|hash| with_hash(right, hash)).to_vec() }
        },
    },
    Cause {
        code: "unsigned_payload",
        en: [
            "UNSIGNED-PAYLOAD is signed instead of the hash of the body",
            "Sign the SHA-256 of the body, as in the header x-acs-content-sha256.",
        ],
        zh: [
            "签名时使用了 UNSIGNED-PAYLOAD 而不是请求体哈希",
            "请使用请求体的 SHA-256，与请求头 x-acs-content-sha256 一致。",
        ],
        signers: |right| only_v3(right, vec![with_hash(right, "UNSIGNED-PAYLOAD".to_owned())]),
    },
    Cause {
        code: "query_missing",
        en: [
            "The canonical query is empty",
            "Put the parameters of the URL into the third line of the canonical request.",
        ],
        zh: ["规范化查询串为空", "请将 URL 中的参数放入规范化请求的第三行。"],
        signers: |right| only_v3(right, vec![Signer { pairs: Vec::new(), ..right.clone() }]),
    },
    Cause {
        code: "query_encoded_twice",
        en: [
            "The canonical query is encoded twice",
            "Signature V3 encodes names and values once. Only V1 encodes the whole query again.",
        ],
        zh: [
            "规范化查询串被编码了两次",
            "V3 签名只对名称和值编码一次，只有 V1 会对整个查询串再次编码。",
        ],
        signers: |right| {
            only_v3(right, vec![Signer { encode_query: encode::standard, ..right.clone() }])
        },
    },
    Cause {
        code: "crlf",
        en: [
            "The lines end with carriage return and line feed",
            "Join the lines by a line feed alone.",
        ],
        zh: ["各行以回车换行结尾", "各行之间只用换行符连接。"],
        signers: |right| to_sign(right, &[|text| v3::string_to_sign(&text.replace('\n', "\r\n"))]),
    },
    Cause {
        code: "line_end_after_request",
        en: [
            "The canonical request ends with a line end",
            "End the canonical request with the hash of the body.",
        ],
        zh: ["规范化请求末尾带有换行", "规范化请求应以请求体哈希结尾。"],
        signers: |right| to_sign(right, &[|text| v3::string_to_sign(&format!("{text}\n"))]),
    },
];

pub(super) fn only_v3<'a>(right: &Signer<'a>, wrong: Vec<Signer<'a>>) -> Vec<Signer<'a>> {
    if right.is_v1() { Vec::new() } else { wrong }
}

fn to_sign<'a>(right: &Signer<'a>, ways: &[Encode]) -> Vec<Signer<'a>> {
    only_v3(
        right,
        ways.iter().map(|to_sign| Signer { to_sign: *to_sign, ..right.clone() }).collect(),
    )
}

fn gaps<'a>(right: &Signer<'a>, gaps: &[&'static str]) -> Vec<Signer<'a>> {
    only_v3(right, gaps.iter().map(|gap| Signer { gap, ..right.clone() }).collect())
}

fn with_hash<'a>(right: &Signer<'a>, payload_hash: String) -> Signer<'a> {
    Signer { payload_hash, ..right.clone() }
}
