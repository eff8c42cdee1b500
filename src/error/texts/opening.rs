//! The errors of the opening table (docs/behaviour.md, "Opening").

use super::By::Action;
use super::{By, Entry, PARAMETER, Text};
use crate::domain::{Product, Refusal};
use crate::error::Error::Refused;

const OPEN_CDN: By = Action("OpenCdnService");
const OPEN_DCDN: By = Action("OpenDcdnService");
const MODIFY: By = Action("ModifyCdnService");

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        error: || Refused(Refusal::ValueNotSupported(PARAMETER)),
        answered_by: &[OPEN_CDN],
        meaning: Text {
            en: "The value of the parameter {parameter} is not a charge type with which the \
                 product can be opened.",
            zh: "参数 {parameter} 的值无效：不能以该计费类型开通产品。",
        },
        what_to_do: Text {
            en: "Send a charge type that the action supports.",
            zh: "请传入该操作支持的计费类型。",
        },
    },
    Entry {
        error: || Refused(Refusal::InvalidComponent(PARAMETER)),
        answered_by: &[OPEN_DCDN],
        meaning: Text {
            en: "The parameter that the message names has a charge type with which DCDN cannot be \
                 opened.",
            zh: "错误信息中所指参数的值无效：不能以该计费类型开通 DCDN。",
        },
        what_to_do: Text {
            en: "Send a charge type that DCDN supports in the named parameter.",
            zh: "请在该参数中传入 DCDN 支持的计费类型。",
        },
    },
    Entry {
        error: || Refused(Refusal::BidUser),
        answered_by: &[OPEN_CDN, OPEN_DCDN],
        meaning: Text {
            en: "The account is a bid user, and a bid user may not open the product itself.",
            zh: "该账号为 bid 用户，无权自行开通该产品。",
        },
        what_to_do: Text {
            en: "The account cannot open the product itself.",
            zh: "该账号不能自行开通该产品。",
        },
    },
    Entry {
        error: || Refused(Refusal::IntlNotAuthorized),
        answered_by: &[OPEN_CDN, OPEN_DCDN],
        meaning: Text {
            en: "The account belongs to the international site, where the product is open to \
                 selected accounts only.",
            zh: "该账号属于国际站，国际站目前仅对部分账号开放该产品。",
        },
        what_to_do: Text {
            en: "The account cannot open the product.",
            zh: "该账号不能开通该产品；如有需要，请联系服务方为其授权。",
        },
    },
    Entry {
        error: || Refused(Refusal::AlreadyOpened(Product::Cdn)),
        answered_by: &[OPEN_CDN],
        meaning: Text {
            en: "CDN is already open for the account. An account opens a product once.",
            zh: "该账号已开通 CDN 服务。一个账号只能开通一次。",
        },
        what_to_do: Text {
            en: "Nothing: CDN is already open for the account.",
            zh: "无需处理：CDN 已经开通，请勿重复开通。",
        },
    },
    Entry {
        error: || Refused(Refusal::AlreadyOpened(Product::Dcdn)),
        answered_by: &[OPEN_DCDN],
        meaning: Text {
            en: "DCDN is already open for the account. An account opens a product once.",
            zh: "该账号已开通 DCDN 服务。一个账号只能开通一次。",
        },
        what_to_do: Text {
            en: "Nothing: DCDN is already open for the account.",
            zh: "无需处理：DCDN 已经开通，请勿重复开通。",
        },
    },
    Entry {
        error: || Refused(Refusal::NoRealNameAuthentication),
        answered_by: &[OPEN_CDN, OPEN_DCDN],
        meaning: Text {
            en: "Real-name authentication of the account is not complete.",
            zh: "该账号尚未完成实名认证。",
        },
        what_to_do: Text {
            en: "Complete real-name authentication of the account.",
            zh: "请先完成该账号的实名认证。",
        },
    },
    Entry {
        error: || Refused(Refusal::ProfileIncomplete(Product::Cdn)),
        answered_by: &[OPEN_CDN],
        meaning: Text {
            en: "The user profile of the account is incomplete, so CDN cannot be opened.",
            zh: "该账号的用户资料不完整，无法开通 CDN。",
        },
        what_to_do: Text {
            en: "Complete the profile of the account (CDN).",
            zh: "请先完善该账号的用户资料（CDN）。",
        },
    },
    Entry {
        error: || Refused(Refusal::ProfileIncomplete(Product::Dcdn)),
        answered_by: &[OPEN_DCDN],
        meaning: Text {
            en: "The user profile of the account is incomplete, so DCDN cannot be opened.",
            zh: "该账号的用户资料不完整，无法开通 DCDN。",
        },
        what_to_do: Text {
            en: "Complete the profile of the account (DCDN).",
            zh: "请先完善该账号的用户资料（DCDN）。",
        },
    },
    Entry {
        error: || Refused(Refusal::InvalidPaymentMethod),
        answered_by: &[OPEN_CDN, OPEN_DCDN, MODIFY],
        meaning: Text {
            en: "The account has no valid payment method.",
            zh: "该账号没有有效的付款方式。",
        },
        what_to_do: Text {
            en: "Add a valid payment method to the account.",
            zh: "请为该账号添加有效的付款方式。",
        },
    },
    Entry {
        error: || Refused(Refusal::InsufficientBalance),
        answered_by: &[OPEN_CDN, OPEN_DCDN, MODIFY],
        meaning: Text {
            en: "The balance of the account is below the minimum, or a payment is overdue.",
            zh: "该账号的余额低于最低要求，或存在欠费。",
        },
        what_to_do: Text {
            en: "Raise the balance to `MINIMUM_BALANCE`, or settle the overdue payment.",
            zh: "请充值使余额达到 `MINIMUM_BALANCE`，或先结清欠费。",
        },
    },
    Entry {
        error: || Refused(Refusal::OrderNotCreated),
        answered_by: &[OPEN_CDN, OPEN_DCDN],
        meaning: Text {
            en: "The order of the opening was refused or could not be placed.",
            zh: "开通产品的订单被拒绝，或未能创建成功。",
        },
        what_to_do: Text {
            en: "Try again later. The order could not be placed, and nothing was opened.",
            zh: "请稍后重试。订单未创建成功，产品也没有开通。",
        },
    },
];
