//! Mistakes in which parameters are signed, and in which order.

use std::collections::HashSet;

use super::Cause;
use crate::auth::signature::{Pair, v1};
use crate::explain::signer::{Empty, Order, Signer};

/// The most parameters that are left out one by one.
const MOST_LEFT_OUT: usize = 40;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        code: "not_sorted",
        en: ["The parameters are not sorted", "Sort the parameters by name before you sign."],
        zh: ["参数没有排序", "签名前请按参数名排序。"],
        signers: |right| with_order(right, Order::AsSent),
    },
    Cause {
        code: "sorted_ignoring_case",
        en: [
            "The parameters are sorted without regard to letter case",
            "Sort by the bytes of the names: capitals come before small letters.",
        ],
        zh: ["参数排序时忽略了大小写", "请按名称的字节排序：大写字母在小写字母之前。"],
        signers: |right| with_order(right, Order::IgnoringCase),
    },
    Cause {
        code: "sorted_as_texts",
        en: [
            "The parameters are sorted together with their values",
            "Sort by the name alone, and join name and value afterwards.",
        ],
        zh: ["排序时把名称和值连在一起", "请只按名称排序，之后再拼接名称和值。"],
        signers: |right| with_order(right, Order::AsTexts),
    },
    Cause {
        code: "empty_value_left_out",
        en: [
            "Parameters with an empty value are not signed",
            "Sign every parameter that is sent, an empty one as name=.",
        ],
        zh: ["空值参数没有参与签名", "所有发送的参数都要签名，空值写为 name=。"],
        signers: |right| with_empty(right, Empty::LeftOut),
    },
    Cause {
        code: "empty_value_without_equals",
        en: [
            "An empty value is signed without =",
            "Write an empty value as name= in the canonical query.",
        ],
        zh: ["空值参数签名时缺少 =", "规范化查询串中空值应写为 name=。"],
        signers: |right| with_empty(right, Empty::WithoutEquals),
    },
    Cause {
        code: "form_not_signed",
        en: [
            "The parameters of the form are not signed",
            "Signature V1 covers the parameters of query and form together.",
        ],
        zh: ["表单中的参数没有参与签名", "V1 签名覆盖查询串和表单中的全部参数。"],
        signers: |right| {
            let form = names(right, true);
            kept(right, |name| !form.contains(name))
        },
    },
    Cause {
        code: "query_not_signed",
        en: [
            "The parameters of the query are not signed",
            "Sign the parameters of the query, too.",
        ],
        zh: ["查询串中的参数没有参与签名", "查询串中的参数也必须参与签名。"],
        signers: |right| {
            let query = names(right, false);
            kept(right, |name| !query.contains(name))
        },
    },
    Cause {
        code: "form_in_query",
        en: [
            "The parameters of the form are in the canonical query",
            "In signature V3 the canonical query has the parameters of the URL only. The form is \
             covered by the hash of the body.",
        ],
        zh: [
            "表单参数被放进了规范化查询串",
            "V3 签名的规范化查询串只包含 URL 中的参数，表单由请求体哈希覆盖。",
        ],
        signers: |right| {
            let pairs = right.sent.pairs(true).collect();
            if right.is_v1() { vec![] } else { vec![Signer { pairs, ..right.clone() }] }
        },
    },
    Cause {
        code: "signature_included",
        en: [
            "The parameter Signature is part of the string to sign",
            "Sign before you add Signature, or leave it out.",
        ],
        zh: ["Signature 参数被包含在待签名字符串中", "请在添加 Signature 之前签名，或将其排除。"],
        signers: |right| {
            let values = [String::new(), right.sent.parameter(v1::SIGNATURE).unwrap_or_default()];
            let with = |value: String| {
                let mut wrong = right.clone();
                wrong.pairs.push((v1::SIGNATURE.to_owned(), value));
                wrong
            };
            if right.is_v1() { values.map(with).to_vec() } else { vec![] }
        },
    },
    Cause {
        code: "parameter_not_signed",
        en: [
            "The parameter {} is sent and not signed",
            "Sign every parameter that is sent, except Signature. A library may add parameters \
             after signing.",
        ],
        zh: [
            "参数 {} 已发送但没有参与签名",
            "除 Signature 外，所有发送的参数都必须签名。HTTP 库可能在签名之后添加了参数。",
        ],
        signers: |right| {
            let count = right.pairs.len().min(MOST_LEFT_OUT);
            let without = |index: usize| {
                let mut wrong = right.clone();
                wrong.about = wrong.pairs.remove(index).0;
                wrong
            };
            (0..count).map(without).collect()
        },
    },
    Cause {
        code: "common_parameters_not_signed",
        en: [
            "Only the parameters of the action, or only the common ones, are signed",
            "Sign both: the common parameters and those of the action.",
        ],
        zh: ["只签名了业务参数，或只签名了公共参数", "公共参数和业务参数都必须参与签名。"],
        signers: |right| {
            let mut wrong = kept(right, |name| COMMON.contains(&name));
            wrong.extend(kept(right, |name| !COMMON.contains(&name)));
            wrong
        },
    },
];

/// The common parameters of V1.
const COMMON: [&str; 12] = [
    "AccessKeyId",
    "Action",
    "Format",
    "RegionId",
    "SecurityToken",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
    "ResourceOwnerAccount",
];

fn with_order<'a>(right: &Signer<'a>, order: Order) -> Vec<Signer<'a>> {
    vec![Signer { order, ..right.clone() }]
}

fn with_empty<'a>(right: &Signer<'a>, empty: Empty) -> Vec<Signer<'a>> {
    let has_empty = right.pairs.iter().any(|(_, value)| value.is_empty());
    if has_empty { vec![Signer { empty, ..right.clone() }] } else { Vec::new() }
}

/// Returns a signer with the parameters whose names are kept.
fn kept<'a>(right: &Signer<'a>, keep: impl Fn(&str) -> bool) -> Vec<Signer<'a>> {
    let pairs: Vec<Pair> = right.pairs.iter().filter(|(name, _)| keep(name)).cloned().collect();
    vec![Signer { pairs, ..right.clone() }]
}

/// Returns the decoded names of the parameters of the form, or of the query.
fn names(right: &Signer<'_>, in_form: bool) -> HashSet<String> {
    let raw = right.sent.raw.iter().filter(|raw| raw.in_form == in_form);
    raw.map(|raw| raw.decoded().0).collect()
}
