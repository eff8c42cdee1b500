//! A row of pgbench: the database without a service, with one statement per request.

use std::thread::sleep;

use super::rows::Row;
use super::stage::Stage;
use super::{Measured, WARM_UP};
use crate::load::accounts::FIRST;
use crate::statements;
use crate::subjects::pgbench::{self, Length};

impl Stage {
    pub(super) fn describe_by_pgbench(&mut self, row: Row) -> anyhow::Result<Measured> {
        let script = statements::describe_script(FIRST, self.setting.accounts);
        let seconds = pgbench::seconds_for(WARM_UP + self.setting.window);
        let running = self.pgbench.start(&script, row.callers, Length::Seconds(seconds))?;
        let meter = self.meter(row, None, Some(running.pid()))?;
        sleep(WARM_UP);
        let opened = meter.read();
        sleep(self.setting.window);
        let used = opened.until(&meter.read()).with_client_as_service();
        let (said, ()) = running.finish(|| ())?;
        let calls = said.per_second * used.elapsed;
        Ok(Measured {
            per_second: said.per_second,
            p50_ms: said.mean_ms,
            used,
            calls,
            ..Measured::default()
        })
    }

    pub(super) fn open_by_pgbench(&mut self, row: Row) -> anyhow::Result<Measured> {
        let clients = row.callers as u64;
        let stripe = self.walk.left().min(self.room()) / clients;
        let first = self.walk.take_range(stripe * clients);
        let seconds = pgbench::seconds_for(WARM_UP + self.setting.window);
        // If there are too few accounts for the time, their number ends the row.
        let is_short = stripe * clients < self.room() * 3 / 4;
        let length = if is_short { Length::Transactions(stripe) } else { Length::Seconds(seconds) };
        let meter = self.meter(row, None, None)?;
        let before = meter.read().with_client(0.0);
        let script = statements::open_script(first, stripe);
        let running = self.pgbench.start(&script, row.callers, length)?;
        let client = self.meter(row, None, Some(running.pid()))?;
        let (said, at_its_end) = running.finish(|| client.read())?;
        self.database.wait_until_numbered()?;
        let after = meter.read().with_client(at_its_end.client());
        let opened = self.database.opened(first, first + stripe * clients)?;
        let failed = said.transactions.saturating_sub(opened);
        Ok(Measured {
            per_second: said.per_second,
            p50_ms: said.mean_ms,
            used: before.until(&after).with_client_as_service(),
            calls: approximately(opened),
            failed,
            first_failure: (failed > 0).then(|| "transactions that opened nothing".to_owned()),
            ..Measured::default()
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "some millions")]
fn approximately(count: u64) -> f64 {
    count as f64
}
