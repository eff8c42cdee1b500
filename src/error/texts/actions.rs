//! The errors of the actions other than the openings (docs/behaviour.md, "Describing" and "Changing
//! the charge type").

use super::By::{Action, Method, SignedActions};
use super::{By, Entry, PARAMETER, Text};
use crate::domain::{Product, Refusal};
use crate::error::Error::{self, Refused};

const MODIFY: By = Action("ModifyCdnService");
const SCHEDULE: By = Method("ChargeTypeChangeService.ScheduleChargeTypeChange");
const GET_INSTANCE: By = Method("InstanceService.GetInstance");
const LOCK: By = Method("OperationLockService.Lock");
const UNLOCK: By = Method("OperationLockService.Unlock");

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        error: || Refused(Refusal::NotOpened(Product::Cdn)),
        answered_by: &[Action("DescribeCdnService"), MODIFY, GET_INSTANCE, SCHEDULE, LOCK, UNLOCK],
        meaning: Text {
            en: "The account has not opened CDN.", zh: "该账号尚未开通 CDN 服务。"
        },
        what_to_do: Text {
            en: "Open CDN first. In API version 2014-11-11 the code is `OperationDenied`.",
            zh: "请先开通 CDN。在 API 版本 2014-11-11 中，错误码为 `OperationDenied`。",
        },
    },
    Entry {
        error: || Refused(Refusal::NotOpened(Product::Dcdn)),
        answered_by: &[Action("DescribeDcdnService"), GET_INSTANCE, SCHEDULE, LOCK, UNLOCK],
        meaning: Text {
            en: "The account has not opened DCDN.", zh: "该账号尚未开通 DCDN 服务。"
        },
        what_to_do: Text { en: "Open DCDN first.", zh: "请先开通 DCDN。" },
    },
    Entry {
        error: || Refused(Refusal::Suspended),
        answered_by: &[MODIFY, Action("DescribeCdnService")],
        meaning: Text {
            en: "CDN of the account is suspended by a security lock. In API version 2014-11-11, \
                 the code can also mean that the account has not opened CDN; the message says so \
                 then.",
            zh: "该账号的 CDN 因安全原因被锁定而暂停服务。在 API 版本 2014-11-11 中，该错误码也可\
                 能表示尚未开通 CDN，此时错误信息会说明。",
        },
        what_to_do: Text {
            en: "Wait until the security lock is lifted. If the message says that CDN is not \
                 open, open it first.",
            zh: "请等待安全锁定解除。如果错误信息表示尚未开通 CDN，请先开通。",
        },
    },
    Entry {
        error: || Refused(Refusal::ChangePending),
        answered_by: &[MODIFY, SCHEDULE],
        meaning: Text {
            en: "Another change of the charge type has been submitted and has not taken effect \
                 yet.",
            zh: "已提交的另一次计费类型变更尚未生效。",
        },
        what_to_do: Text {
            en: "Wait until the pending change takes effect.",
            zh: "请等待该变更生效后再提交。",
        },
    },
    Entry {
        error: || Error::missing(PARAMETER),
        answered_by: &[
            SignedActions,
            Action("OpenDcdnService"),
            MODIFY,
            Action("DescribeCdnUserBillType"),
            Action("DescribeDcdnUserBillType"),
        ],
        meaning: Text {
            en: "The required parameter {parameter} is absent or empty.",
            zh: "缺少必填参数 {parameter}，或其值为空。",
        },
        what_to_do: Text { en: "Send the parameter.", zh: "请传入该参数。" },
    },
    Entry {
        error: || Error::invalid(PARAMETER),
        answered_by: &[
            SignedActions,
            MODIFY,
            Action("DescribeCdnUserBillType"),
            Action("DescribeDcdnUserBillType"),
        ],
        meaning: Text {
            en: "The value of the parameter that the message names is not valid, or the parameter \
                 occurs twice.",
            zh: "错误信息中所指参数的值无效，或该参数重复出现。",
        },
        what_to_do: Text {
            en: "Correct the value of the parameter, or send it once if it occurs twice.",
            zh: "请修正该参数的值；如果该参数重复出现，请只传入一次。",
        },
    },
];
