//! Mistakes in the form of the string to sign of V1, and those that both versions have in common.

use super::Cause;
use crate::explain::signer::{Signer, encoding as encode};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        code: "wrong_method",
        en: [
            "The client signed another method: {}",
            "Sign the method that is sent. A library may change it, for example when it sends a \
             body or follows a redirect.",
        ],
        zh: [
            "客户端签名时使用了另一个方法：{}",
            "请使用实际发送的方法签名。HTTP 库可能会改变方法，例如发送请求体或跟随重定向时。",
        ],
        signers: |right| {
            let methods = ["GET", "POST", "PUT", "DELETE", "HEAD"].into_iter();
            let others = methods.filter(|method| !method.eq_ignore_ascii_case(&right.method));
            others.map(|method| with_method(right, method)).collect()
        },
    },
    Cause {
        code: "method_not_in_capitals",
        en: ["The method is not in capitals", "Write the method in capitals: GET or POST."],
        zh: ["请求方法不是大写", "请使用大写的方法名：GET 或 POST。"],
        signers: |right| {
            let lower = right.method.to_ascii_lowercase();
            let first = right.method.chars().take(1);
            let title: String = first.chain(lower.chars().skip(1)).collect();
            vec![with_method(right, &lower), with_method(right, &title)]
        },
    },
    Cause {
        code: "method_missing",
        en: ["The method is missing in the string to sign", "Begin with the method, GET or POST."],
        zh: ["待签名字符串缺少请求方法", "待签名字符串应以 GET 或 POST 开头。"],
        signers: |right| vec![with_method(right, "")],
    },
    Cause {
        code: "path_missing",
        en: [
            "The path is missing in the string to sign",
            "Put the path after the method: %2F in V1, / in V3.",
        ],
        zh: ["待签名字符串缺少路径", "方法之后应为路径：V1 为 %2F，V3 为 /。"],
        signers: |right| [Some(""), None].map(|path| Signer { path, ..right.clone() }).to_vec(),
    },
    Cause {
        code: "path_not_encoded",
        en: ["The path is not encoded", "Write the path of the string to sign as %2F."],
        zh: ["路径没有被编码", "待签名字符串中的路径应写为 %2F。"],
        signers: |right| only_v1(right, vec![Signer { path: Some("/"), ..right.clone() }]),
    },
    Cause {
        code: "single_encoding",
        en: [
            "The canonical query is not encoded a second time",
            "Percent-encode the whole canonical query once more after you join it: = becomes %3D \
             and & becomes %26.",
        ],
        zh: [
            "规范化查询串没有再次编码",
            "拼接之后需对整个规范化查询串再编码一次：= 变为 %3D，& 变为 %26。",
        ],
        signers: |right| {
            let once = Signer { encode_query: encode::none, ..right.clone() };
            only_v1(right, vec![once.clone(), Signer { path: Some("/"), ..once }])
        },
    },
    Cause {
        code: "no_encoding",
        en: [
            "Nothing is encoded",
            "Percent-encode each name and value, join them, and in V1 encode the result once \
             more.",
        ],
        zh: ["完全没有编码", "请对每个名称和值做百分号编码后拼接，V1 还需对结果再编码一次。"],
        signers: |right| {
            let plain =
                Signer { encode: encode::none, encode_query: encode::none, ..right.clone() };
            only_v1(right, vec![plain.clone(), Signer { path: Some("/"), ..plain }])
        },
    },
    Cause {
        code: "whole_string_encoded",
        en: [
            "The whole string to sign is encoded",
            "Encode the canonical query only, not the two & after the method and the path.",
        ],
        zh: ["整个待签名字符串被编码", "只编码规范化查询串，不要编码方法和路径之后的两个 &。"],
        signers: |right| {
            let finish = Signer { finish: encode::standard, ..right.clone() };
            let once = Signer { path: Some("/"), encode_query: encode::none, ..finish.clone() };
            only_v1(right, vec![once, finish])
        },
    },
    Cause {
        code: "stray_separator",
        en: [
            "The canonical query has a separator too many",
            "Put & between the parameters only, not before the first or after the last.",
        ],
        zh: ["规范化查询串多了一个分隔符", "& 只能放在参数之间，不能在第一个之前或最后一个之后。"],
        signers: |right| {
            let around = [("&", ""), ("", "&"), ("?", ""), ("/?", "")];
            around.map(|around_query| Signer { around_query, ..right.clone() }).to_vec()
        },
    },
    Cause {
        code: "line_end_after_string",
        en: [
            "The string to sign ends with a line end",
            "Sign the string without a line end: use printf and not echo in a shell.",
        ],
        zh: [
            "待签名字符串末尾带有换行",
            "请对不带换行的字符串签名：在 shell 中使用 printf 而不是 echo。",
        ],
        signers: |right| {
            let ends: [fn(&str) -> String; 2] =
                [|text| format!("{text}\n"), |text| format!("{text}\r\n")];
            ends.map(|finish| Signer { finish, ..right.clone() }).to_vec()
        },
    },
];

fn with_method<'a>(right: &Signer<'a>, method: &str) -> Signer<'a> {
    Signer { method: method.to_owned(), about: method.to_owned(), ..right.clone() }
}

fn only_v1<'a>(right: &Signer<'a>, wrong: Vec<Signer<'a>>) -> Vec<Signer<'a>> {
    if right.is_v1() { wrong } else { Vec::new() }
}
