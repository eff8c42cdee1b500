//! Mistakes in the header lines of the canonical request of V3.

use super::Cause;
use super::v3::only_v3;
use crate::auth::signature::Pair;
use crate::explain::signer::Signer;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        code: "header_not_trimmed",
        en: [
            "The header values are signed with blanks around them",
            "Write name:value without a blank after the colon, and trim the value.",
        ],
        zh: ["请求头的值带有首尾空格", "请写成 name:value，冒号后不加空格，并去掉值的首尾空格。"],
        signers: |right| {
            let raw = |(name, value): &Pair| {
                let sent =
                    right.sent.headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name));
                (name.clone(), sent.map_or(value, |(_, value)| value).clone())
            };
            let blank = |(name, value): &Pair| (name.clone(), format!(" {value}"));
            only_v3(right, vec![with_headers(right, raw), with_headers(right, blank)])
        },
    },
    Cause {
        code: "header_names_not_lower_case",
        en: [
            "The header names are not in lower case",
            "Write the names of headers in lower case, in the lines and in SignedHeaders.",
        ],
        zh: ["请求头名称不是小写", "请求头名称在各行和 SignedHeaders 中都应为小写。"],
        signers: header_names,
    },
    Cause {
        code: "headers_not_sorted",
        en: [
            "The header lines are in another order than SignedHeaders",
            "Sort the headers by name, and use the same order in SignedHeaders.",
        ],
        zh: [
            "请求头各行的顺序与 SignedHeaders 不一致",
            "请按名称排序请求头，并在 SignedHeaders 中使用相同顺序。",
        ],
        signers: header_orders,
    },
    Cause {
        code: "host_and_port",
        en: [
            "The signed host differs in its port from the one sent: {}",
            "Sign the header host as it is sent: with the port, if it is not the default one.",
        ],
        zh: [
            "签名的 host 与发送的端口不同：{}",
            "请按实际发送的 host 签名：非默认端口时包含端口。",
        ],
        signers: hosts,
    },
    Cause {
        code: "content_type_differs",
        en: [
            "The signed content type differs from the one sent: {}",
            "Sign the content type as the library sends it, often with a charset.",
        ],
        zh: [
            "签名的 content-type 与发送的不同：{}",
            "请按 HTTP 库实际发送的 content-type 签名，通常带有 charset。",
        ],
        signers: |right| {
            let sent = right.sent.header("content-type").unwrap_or_default();
            let plain = sent.split(';').next().unwrap_or_default();
            let ends =
                ["", "; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8"];
            let values = ends.map(|end| format!("{plain}{end}"));
            values.iter().filter_map(|value| with_value(right, "content-type", value)).collect()
        },
    },
    Cause {
        code: "header_line_missing",
        en: [
            "The line of the header {} is missing in the canonical request",
            "Write a line for each name in SignedHeaders.",
        ],
        zh: ["规范化请求缺少请求头 {} 一行", "SignedHeaders 中的每个名称都需要一行。"],
        signers: |right| {
            let without = |index: usize| {
                let mut wrong = right.clone();
                wrong.about = wrong.headers.remove(index).0;
                wrong
            };
            (0..right.headers.len().min(16)).map(without).collect()
        },
    },
];

fn with_headers<'a>(right: &Signer<'a>, change: impl FnMut(&Pair) -> Pair) -> Signer<'a> {
    Signer { headers: right.headers.iter().map(change).collect(), ..right.clone() }
}

/// Returns a signer with another value of a signed header.
fn with_value<'a>(right: &Signer<'a>, name: &str, value: &str) -> Option<Signer<'a>> {
    let is_signed = right.headers.iter().any(|(signed, _)| signed == name);
    is_signed.then(|| {
        let other = |header: &Pair| {
            let value = if header.0 == name { value } else { &header.1 };
            (header.0.clone(), value.to_owned())
        };
        Signer { about: value.to_owned(), ..with_headers(right, other) }
    })
}

/// Returns signers that write the names as they are sent, or each word with a capital.
fn header_names<'a>(right: &Signer<'a>) -> Vec<Signer<'a>> {
    let as_sent = |name: &str| {
        let sent = right.sent.headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name));
        sent.map_or_else(|| name.to_owned(), |(sent, _)| sent.clone())
    };
    let mut wrong = Vec::new();
    for change in [&as_sent as &dyn Fn(&str) -> String, &title_case, &|name| name.to_lowercase()] {
        let lines = with_headers(right, |(name, value)| (change(name), value.clone()));
        let names: Vec<_> = right.signed_headers.split(';').map(change).collect();
        let signed_headers = names.join(";");
        wrong.push(Signer { signed_headers, ..lines.clone() });
        wrong.push(lines);
    }
    only_v3(right, wrong)
}

fn title_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

/// Returns signers whose header lines are sorted, or in the order of the request.
fn header_orders<'a>(right: &Signer<'a>) -> Vec<Signer<'a>> {
    let place = |name: &str| {
        right.sent.headers.iter().position(|(sent, _)| sent.eq_ignore_ascii_case(name))
    };
    let mut sorted = right.clone();
    sorted.headers.sort();
    let mut as_sent = right.clone();
    as_sent.headers.sort_by_cached_key(|(name, _)| place(name));
    let orders = [sorted, as_sent].into_iter().flat_map(|lines| {
        let names: Vec<_> = lines.headers.iter().map(|(name, _)| name.as_str()).collect();
        let both = Signer { signed_headers: names.join(";"), ..lines.clone() };
        [lines, both]
    });
    only_v3(right, orders.collect())
}

/// Returns signers that sign the host without its port, or with another one.
fn hosts<'a>(right: &Signer<'a>) -> Vec<Signer<'a>> {
    let host = right.sent.header("host").unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let values = ["", ":80", ":443", ":8080"].map(|port| format!("{name}{port}"));
    values.iter().filter_map(|value| with_value(right, "host", value)).collect()
}
