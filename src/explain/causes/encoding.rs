//! Mistakes in the encoding of names and values, in both versions.

use super::Cause;
use crate::explain::signer::{Encode, Signer, encoding as encode};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        code: "plus_for_blank",
        en: [
            "A blank is encoded as + and not as %20",
            "Replace + by %20 after the encoder of your language, before you sign.",
        ],
        zh: ["空格被编码为 + 而不是 %20", "请在签名前，将编码函数输出中的 + 替换为 %20。"],
        signers: |right| both(right, encode::plus),
    },
    Cause {
        code: "star_not_encoded",
        en: ["* is not encoded", "Encode * as %2A before you sign."],
        zh: ["* 没有被编码", "请在签名前将 * 编码为 %2A。"],
        signers: |right| both(right, encode::star_kept),
    },
    Cause {
        code: "tilde_encoded",
        en: ["~ is encoded", "Keep ~: replace %7E by ~ after the encoder of your language."],
        zh: ["~ 被编码了", "~ 不应编码：请将编码函数输出中的 %7E 替换为 ~。"],
        signers: |right| both(right, encode::tilde_escaped),
    },
    Cause {
        code: "form_encoding",
        en: [
            "The values are encoded as in an HTML form",
            "Replace + by %20, * by %2A and %7E by ~ after the encoder, URLEncoder or urlencode \
             for example.",
        ],
        zh: [
            "参数按 HTML 表单的方式编码",
            "请在 URLEncoder、urlencode 等函数之后，将 + 替换为 %20，* 替换为 %2A，%7E 替换为 ~。",
        ],
        signers: |right| [both(right, encode::form), both(right, encode::plus_and_tilde)].concat(),
    },
    Cause {
        code: "lower_case_hex",
        en: [
            "The escapes have lower-case hex digits",
            "Write escapes with upper-case hex digits: %3A and not %3a.",
        ],
        zh: ["百分号编码使用了小写十六进制", "百分号编码应使用大写十六进制：%3A 而不是 %3a。"],
        signers: |right| {
            let path = right.path.map(|path| if path == "%2F" { "%2f" } else { path });
            let mut wrong = both(right, encode::lower_case);
            wrong.extend(both(&Signer { path, ..right.clone() }, encode::lower_case));
            let only_query = Signer { encode_query: encode::lower_case, ..right.clone() };
            if right.is_v1() {
                wrong.push(Signer { path, ..only_query.clone() });
                wrong.push(only_query);
            }
            wrong
        },
    },
    Cause {
        code: "dotnet_encoding",
        en: [
            "The values are encoded by HttpUtility or WebUtility of .NET",
            "Use Uri.EscapeDataString, or replace + by %20 and write upper-case hex digits.",
        ],
        zh: [
            "参数使用了 .NET 的 HttpUtility 或 WebUtility 编码",
            "请使用 Uri.EscapeDataString，或将 + 替换为 %20 并使用大写十六进制。",
        ],
        signers: |right| {
            let path = right.path.map(|path| if path == "%2F" { "%2f" } else { path });
            let mut wrong = both(right, encode::dotnet);
            wrong.extend(both(&Signer { path, ..right.clone() }, encode::dotnet));
            wrong
        },
    },
    Cause {
        code: "javascript_encoding",
        en: [
            "!, ', (, ) and * are not encoded",
            "After encodeURIComponent, encode these five characters, too.",
        ],
        zh: ["!、'、(、)、* 没有被编码", "在 encodeURIComponent 之后，还需编码这五个字符。"],
        signers: |right| both(right, encode::javascript),
    },
    Cause {
        code: "encode_uri",
        en: [
            "Characters such as : / and & are not encoded in the values",
            "Use an encoder for components, encodeURIComponent for example, and not one for whole \
             URLs.",
        ],
        zh: [
            "值中的 : / & 等字符没有被编码",
            "请使用针对参数的编码函数（如 encodeURIComponent），而不是针对整个 URL 的函数。",
        ],
        signers: |right| both(right, encode::javascript_uri),
    },
    Cause {
        code: "slash_not_encoded",
        en: ["/ is not encoded", "Encode / as %2F: in Python, pass safe='~' to quote."],
        zh: ["/ 没有被编码", "请将 / 编码为 %2F：在 Python 中，quote 需传入 safe='~'。"],
        signers: |right| {
            let mut wrong = both(right, encode::slash_kept);
            wrong.extend(both(&Signer { path: Some("/"), ..right.clone() }, encode::slash_kept));
            wrong
        },
    },
    Cause {
        code: "colon_not_encoded",
        en: [": is not encoded", "Encode : as %3A, in the timestamp for example."],
        zh: [": 没有被编码", "请将 : 编码为 %3A，例如时间戳中的冒号。"],
        signers: |right| both(right, encode::colon_kept),
    },
    Cause {
        code: "double_encoding",
        en: [
            "Names and values are encoded twice",
            "Encode them once. The text that is signed must be made of the plain values.",
        ],
        zh: ["名称和值被编码了两次", "只需编码一次。待签名文本应由未编码的原始值生成。"],
        signers: |right| {
            let twice = Signer { encode: encode::twice, ..right.clone() };
            let query_twice = Signer { encode_query: encode::twice, ..right.clone() };
            let all = if right.is_v1() { vec![twice, query_twice] } else { vec![twice] };
            [all, wire(right, encode::standard)].concat()
        },
    },
    Cause {
        code: "values_not_encoded",
        en: [
            "Names and values are not encoded",
            "Percent-encode each name and each value before you join them.",
        ],
        zh: ["名称和值没有被编码", "请先对每个名称和值做百分号编码，再拼接。"],
        signers: |right| vec![Signer { encode: encode::none, ..right.clone() }],
    },
    Cause {
        code: "as_on_the_wire",
        en: [
            "The client signed the parameters with the escapes of the URL",
            "Sign the plain values, encoded by the rule of the signature. The server decodes the \
             URL before it verifies.",
        ],
        zh: [
            "客户端直接对 URL 中的编码文本签名",
            "请对原始值按签名规则编码后签名。服务端会先解码 URL 再验证。",
        ],
        signers: |right| wire(right, encode::none),
    },
    Cause {
        code: "not_utf8",
        en: [
            "Characters are not encoded as UTF-8",
            "Convert names and values to UTF-8 before you percent-encode them.",
        ],
        zh: ["字符没有按 UTF-8 编码", "请先将名称和值转换为 UTF-8，再做百分号编码。"],
        signers: |right| both(right, encode::latin1),
    },
];

/// Returns signers that use an encoder for names and values, and for the query of V1, too.
fn both<'a>(right: &Signer<'a>, encode: Encode) -> Vec<Signer<'a>> {
    let inner = Signer { encode, ..right.clone() };
    if right.is_v1() {
        vec![Signer { encode_query: encode, ..inner.clone() }, inner]
    } else {
        vec![inner]
    }
}

/// Returns a signer that encodes the texts of the request without decoding them before.
fn wire<'a>(right: &Signer<'a>, encode: Encode) -> Vec<Signer<'a>> {
    let raw = right.sent.raw.iter().filter(|raw| right.is_v1() || !raw.in_form);
    let pairs = raw.map(|raw| (raw.name.clone(), raw.value.clone().unwrap_or_default()));
    let pairs = pairs.filter(|(name, _)| !right.is_v1() || name != "Signature").collect();
    vec![Signer { pairs, encode, ..right.clone() }]
}
