//! The metrics of each listener: its open connections, the reasons why connections ended, and all
//! answers by their documented code, whether or not an action saw the request.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tonic::Status;
use tonic_types::StatusExt;

use crate::error::texts;

/// The code of an answer that is not a refusal.
const OK: &str = "OK";
/// The code of a request that is not HTTP, which hyper refuses itself.
const MALFORMED: &str = "malformed";
/// The code of a stream that the client gave up, or that was reset, before it ended.
const ABANDONED: &str = "abandoned";
/// Longest code that becomes a label. The longest code of the error table has 51 characters.
const LONGEST_CODE: usize = 64;
/// The label of a code that is not in the table.
const OTHER: &str = "_OTHER";
/// The listeners of requests.
const OF_REQUESTS: [&str; 2] = ["grpc", "rest"];
/// The outcomes of TLS handshakes.
const OUTCOMES: [&str; 8] = [
    "complete",
    "not_tls",
    "old_version",
    "no_protocol",
    "bad_certificate",
    "refused_by_client",
    "broken",
    "failed",
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    listener: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    listener: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    listener: &'static str,
    code: String,
}

/// The families of all listeners.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    open: Family<ListenerLabels, Gauge>,
    ended: Family<EndLabels, Counter>,
    answers: Family<AnswerLabels, Counter>,
    stalled: Counter,
    handshakes: Family<HandshakeLabels, Counter>,
    without_proxy_header: Family<ListenerLabels, Counter>,
}

/// The counters of one listener. Clones share them.
#[derive(Clone, Debug)]
pub struct Listener {
    name: &'static str,
    families: Listeners,
    open: Gauge,
    /// Looked up once, because most answers are counted here.
    ok: Counter,
}

impl Listeners {
    /// Registers the families.
    pub fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        registry.register("connections_open", "Open connections", families.open.clone());
        // The encoder appends _total to these names.
        registry.register(
            "connections_ended",
            "Connections that ended, by reason",
            families.ended.clone(),
        );
        registry.register(
            "answers",
            "Answers of a listener, by documented code; of the ops listener by HTTP status",
            families.answers.clone(),
        );
        registry.register(
            "streams_stalled",
            "Answers over HTTP/2 that were reset because the client did not take them in time",
            families.stalled.clone(),
        );
        registry.register(
            "tls_handshakes",
            "TLS handshakes that ended, by outcome",
            families.handshakes.clone(),
        );
        registry.register(
            "proxy_headers_refused",
            "Connections of trusted proxies that were closed because they had no valid PROXY header",
            families.without_proxy_header.clone(),
        );
        families.show_all();
        families
    }

    /// Shows the series of documented codes and outcomes as 0, so that the first is an increase. A
    /// code that has the name of a parameter in it is shown after it has occurred.
    fn show_all(&self) {
        let codes = texts::rows().map(|row| row.code.into_owned());
        let codes: Vec<_> = codes.filter(|code| !code.contains('{')).collect();
        for listener in OF_REQUESTS {
            drop(self.without_proxy_header.get_or_create(&ListenerLabels { listener }));
            for outcome in OUTCOMES {
                drop(self.handshakes.get_or_create(&HandshakeLabels { listener, outcome }));
            }
            for code in codes.iter().cloned() {
                drop(self.answers.get_or_create(&AnswerLabels { listener, code }));
            }
        }
    }

    /// Returns the counters of one listener.
    #[must_use]
    pub fn of(&self, name: &'static str) -> Listener {
        let ok = AnswerLabels { listener: name, code: OK.to_owned() };
        Listener {
            name,
            families: self.clone(),
            open: self.open.get_or_create_owned(&ListenerLabels { listener: name }),
            ok: self.answers.get_or_create_owned(&ok),
        }
    }
}

impl Listener {
    /// Counts a connection that was opened.
    pub fn opened(&self) {
        self.open.inc();
    }

    /// Counts the end of an open connection.
    pub fn closed(&self, reason: &'static str) {
        self.open.dec();
        self.ended(reason);
    }

    /// Counts the end of a connection, or a connection that was refused.
    pub fn ended(&self, reason: &'static str) {
        self.families.ended.get_or_create(&EndLabels { listener: self.name, reason }).inc();
    }

    /// Counts a request that was answered with success.
    pub fn answered(&self) {
        self.ok.inc();
    }

    /// Counts an answer with this status: success, or the code of the error table in its details.
    pub fn answered_with(&self, status: &Status) {
        if status.code() == tonic::Code::Ok {
            return self.answered();
        }
        let info = status.get_details_error_info();
        self.refused(info.as_ref().map_or(OTHER, |info| info.reason.as_str()));
    }

    /// Counts a request that was refused with this code.
    pub fn refused(&self, code: &str) {
        let code = if code.len() > LONGEST_CODE { OTHER } else { code }.to_owned();
        self.families.answers.get_or_create(&AnswerLabels { listener: self.name, code }).inc();
    }

    /// Counts received bytes that are not a request.
    pub fn malformed(&self) {
        self.refused(MALFORMED);
    }

    /// Counts an answer that began and that the client did not take to its end.
    pub fn abandoned(&self) {
        self.refused(ABANDONED);
    }

    /// Counts a TLS handshake that ended.
    pub fn handshaken(&self, outcome: &'static str) {
        let labels = HandshakeLabels { listener: self.name, outcome };
        self.families.handshakes.get_or_create(&labels).inc();
    }

    /// Counts a connection of a trusted proxy that has no valid PROXY header.
    pub fn without_proxy_header(&self) {
        let labels = ListenerLabels { listener: self.name };
        self.families.without_proxy_header.get_or_create(&labels).inc();
    }

    /// Counts a stream that was reset because its client did not take it.
    pub fn stalled(&self) {
        self.families.stalled.inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn answers_are_counted_by_listener_and_code_and_callers_cannot_create_labels() {
        let mut registry = Registry::default();
        let listeners = Listeners::register(&mut registry);
        let (rest, grpc) = (listeners.of("rest"), listeners.of("grpc"));
        rest.answered();
        rest.refused("SignatureDoesNotMatch");
        rest.refused(&"x".repeat(LONGEST_CODE + 1));
        grpc.answered_with(&Status::ok(""));
        grpc.answered_with(&Status::internal("no details"));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            r#"answers_total{listener="rest",code="OK"} 1"#,
            r#"answers_total{listener="rest",code="SignatureDoesNotMatch"} 1"#,
            r#"answers_total{listener="rest",code="_OTHER"} 1"#,
            r#"answers_total{listener="grpc",code="OK"} 1"#,
            r#"answers_total{listener="grpc",code="_OTHER"} 1"#,
        ] {
            assert!(text.lines().any(|said| said == line), "{line}: {text}");
        }
    }
}
