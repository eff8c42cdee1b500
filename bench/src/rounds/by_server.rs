//! A row of a server: the load generator calls it, and the meters read its CPU time.

use std::time::Duration;

use anyhow::{Context, ensure};
use cdn_activation::proto::billing::v1::ChargeType;
use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use prost::Message;

use super::rows::{Action, Row, Subject, Wire};
use super::stage::Stage;
use super::{Measured, WARM_UP};
use crate::load::accounts::{KEY_EVERY, Source, Walk};
use crate::load::{self, Expected, Load, Outcome, Signer, Target, Template, Watch};
use crate::meters::cpu::Reading;
use crate::meters::{Meter, Used, memory};
use crate::subjects::{Guards, Server, Surroundings};

const DESCRIBE: &str = "/activation.dcdn.v1.DcdnService/DescribeDcdnService";
const OPEN: &str = "/activation.cdn.v1.CdnService/OpenCdnService";

impl Stage {
    pub(super) fn measure_server(&mut self, row: Row) -> anyhow::Result<Measured> {
        let server = self.server(row.subject)?;
        let (pid, target) = (server.pid(), self.target_of(row, server)?);
        let meter = self.meter(row, Some(pid), None)?;
        memory::forget_peaks(pid);
        let load = self.load(row, WARM_UP);
        let mut readings = Readings { meter: &meter, opened: None, closed: None };
        let before = meter.read();
        let outcome = load::run(&target, load, self.source(row), &mut readings)?;
        let (used, calls) = if row.action == Action::Open {
            self.database.wait_until_numbered()?;
            (before.until(&meter.read()), outcome.answered)
        } else {
            (readings.used().context("the row ended in its warm-up")?, outcome.in_window)
        };
        Ok(measured(&outcome, used, calls, memory::peak(pid)))
    }

    /// Starts our service once more, and calls it once; returns the time from its start to the answer.
    pub fn start_once(&mut self) -> anyhow::Result<Duration> {
        let logs = self.setting.work_dir.join("logs/start");
        std::fs::create_dir_all(&logs)?;
        let surroundings = self.setting.surroundings(self.database.run_url()?, &self.keys);
        let surroundings = Surroundings { logs, ..surroundings };
        let server = Server::ours(&surroundings, Guards::Fewest)?;
        let row = Row::grpc(Action::Describe, Subject::Ours, 1);
        let target = self.target_of(row, &server)?;
        let mut load = self.load(row, Duration::ZERO);
        (load.window, load.warm_up) = (Duration::from_secs(5), Duration::ZERO);
        let mut one = Walk::over(1);
        let source = Source::Next { walk: &mut one, step: 1 };
        let outcome = load::run(&target, load, source, &mut Unwatched)?;
        let wrong = outcome.first_failure.unwrap_or_default();
        ensure!(outcome.answered == 1 && outcome.failed == 0, "no answer after the start: {wrong}");
        let took = server.started().elapsed();
        if self.setting.notes.is_some() {
            server.end()?;
        }
        Ok(took)
    }

    fn target_of(&self, row: Row, server: &Server) -> anyhow::Result<Target> {
        let is_in_a_trace = self.setting.names_traces;
        if row.wire == Wire::Rest {
            let address = server.rest.clone().context("no address for the signed query format")?;
            let action = match row.action {
                Action::Describe => load::Action::Describe,
                Action::Open => load::Action::Open,
            };
            let signer = Signer::new(action, &self.keys.secret)?.in_a_trace(is_in_a_trace);
            return Ok(Target::Rest { address, signer });
        }
        let opening =
            OpenCdnServiceRequest { internet_charge_type: ChargeType::PayByTraffic.into() };
        let (path, message, expected) = match (row.action, row.subject) {
            (Action::Open, _) => (OPEN, opening.encode_to_vec(), Expected::RequestId),
            (_, Subject::Echo) => (DESCRIBE, Vec::new(), Expected::AnyInstance),
            _ => (DESCRIBE, Vec::new(), Expected::OwnInstance),
        };
        let authority = server.grpc.address.to_string();
        let template = Template::new(&authority, path, &self.keys.service_token, &message)?;
        let template = template.in_a_trace(is_in_a_trace);
        Ok(Target::Grpc { address: server.grpc.clone(), template, expected })
    }

    fn source(&mut self, row: Row) -> Source<'_> {
        let accounts = self.setting.accounts;
        match (row.action, row.wire) {
            (Action::Open, Wire::Rest) => Source::Next { walk: &mut self.walk, step: KEY_EVERY },
            (Action::Open, _) => Source::Next { walk: &mut self.walk, step: 1 },
            (Action::Describe, Wire::Rest) => Source::any_with_key(accounts, self.seed),
            (Action::Describe, _) => Source::any(accounts, self.seed),
        }
    }

    fn load(&self, row: Row, warm_up: Duration) -> Load {
        let (connections, streams) = row.connections();
        // If there are few accounts, a row of Open must not use them up before its window.
        let step = if row.wire == Wire::Rest { KEY_EVERY } else { 1 };
        let few = self.walk.left() / step / 10;
        let warm_up_calls = if row.action == Action::Open { few } else { u64::MAX };
        Load { connections, streams, warm_up, warm_up_calls, window: self.setting.window }
    }
}

/// Reads the meters at both ends of the window.
struct Readings<'a> {
    meter: &'a Meter,
    opened: Option<Reading>,
    closed: Option<Reading>,
}

impl Readings<'_> {
    fn used(&self) -> Option<Used> {
        Some(self.opened.as_ref()?.until(self.closed.as_ref()?))
    }
}

impl Watch for Readings<'_> {
    fn opens(&mut self) {
        self.opened = Some(self.meter.read());
    }

    fn closes(&mut self) {
        self.closed = Some(self.meter.read());
    }
}

/// Reads no meters.
struct Unwatched;

impl Watch for Unwatched {
    fn opens(&mut self) {}

    fn closes(&mut self) {}
}

#[expect(clippy::cast_precision_loss, reason = "some millions")]
fn measured(outcome: &Outcome, used: Used, calls: u64, rss_mib: f64) -> Measured {
    let milliseconds = |share| {
        let latency = outcome.latencies.percentile(share);
        latency.map(|latency| latency.as_secs_f64() * 1e3)
    };
    Measured {
        per_second: outcome.in_window as f64 / outcome.window.as_secs_f64().max(1e-9),
        p50_ms: milliseconds(0.5).unwrap_or_default(),
        p99_ms: milliseconds(0.99),
        p999_ms: milliseconds(0.999),
        used,
        calls: calls as f64,
        rss_mib: Some(rss_mib),
        failed: outcome.failed,
        first_failure: outcome.first_failure.clone(),
    }
}
