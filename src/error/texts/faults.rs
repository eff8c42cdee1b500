//! Temporary failures and faults (docs/behaviour.md, "Deadlines and disconnects").

use super::By::{Action, GrpcCalls, Method, OperatorMethods, SignedActions};
use super::{By, Entry, Text};
use crate::error::Error;

const EVERYTHING: &[By] = &[SignedActions, GrpcCalls];

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        error: || Error::Contended,
        answered_by: &[
            Action("OpenCdnService"),
            Action("OpenDcdnService"),
            Action("ModifyCdnService"),
            OperatorMethods,
        ],
        meaning: Text {
            en: "Other requests changed the same rows at the same time, again and again. Nothing \
                 was written.",
            zh: "其他请求反复同时修改了相同的数据，本次请求未写入任何内容。",
        },
        what_to_do: Text {
            en: "Try again. Other requests changed the same rows, and nothing was written.",
            zh: "请重试。本次请求未写入任何内容。",
        },
    },
    Entry {
        error: || Error::DeadlineExceeded,
        answered_by: EVERYTHING,
        meaning: Text {
            en: "The server did not answer the request within its deadline. A write may have been \
                 made.",
            zh: "服务器未能在期限内处理完请求。写操作可能已经执行。",
        },
        what_to_do: Text {
            en: "Try again. A write may have been made: repeating an opening is safe, and an \
                 operator repeats its write with the same `request_id`.",
            zh: "请重试。写操作可能已经执行：重复开通是安全的，运维接口的写操作请使用相同的 \
                 `request_id` 重试。",
        },
    },
    Entry {
        error: || Error::Draining,
        answered_by: &[Method("EventService.WatchEvents")],
        meaning: Text {
            en: "The server is shutting down and has ended the stream.",
            zh: "服务器正在关闭，已结束该事件流。",
        },
        what_to_do: Text {
            en: "Connect again, and resume the stream from the last cursor.",
            zh: "请重新连接，并从最后一个游标继续接收。",
        },
    },
    Entry {
        error: || Error::unavailable(""),
        answered_by: EVERYTHING,
        meaning: Text {
            en: "The server cannot reach its database, or the database is too busy. If the \
                 connection broke during a write, the write may have been made.",
            zh: "服务器无法访问数据库，或数据库过于繁忙。如果连接在写入期间中断，写操作可能已经执\
                 行。",
        },
        what_to_do: Text {
            en: "Try again. A write may have been made: repeating an opening is safe, and an \
                 operator repeats its write with the same `request_id`.",
            zh: "请重试。写操作可能已经执行：重复开通是安全的，运维接口的写操作请使用相同的 \
                 `request_id` 重试。",
        },
    },
    Entry {
        error: || Error::internal(""),
        answered_by: EVERYTHING,
        meaning: Text { en: "The service has a fault.", zh: "服务内部发生故障。" },
        what_to_do: Text {
            en: "Report it. The log has the cause under the request id.",
            zh: "请反馈该问题并附上请求 ID，日志中记录了对应的原因。",
        },
    },
];
