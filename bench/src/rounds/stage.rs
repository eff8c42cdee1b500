//! The set-up of a run: the database with its copy of the data, and the servers of its rows.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::Measured;
use super::rows::{Action, Row, Subject, Wire};
use crate::database::{Database, Keys};
use crate::load::accounts::Walk;
use crate::meters::Meter;
use crate::subjects::pgbench::{Program, seconds_for};
use crate::subjects::{Guards, Peer, Server, Surroundings, prepare};

use super::WARM_UP;

/// More accounts than any server opens for each core in a second.
const OPENED_PER_CORE: u64 = 20_000;

/// The options of a set-up.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The directory for logs and scripts, and for the data if PostgreSQL's user can reach it.
    pub work_dir: PathBuf,
    /// The directory of PostgreSQL's programs, if it is given.
    pub pg_bin: Option<PathBuf>,
    /// The number of accounts.
    pub accounts: u64,
    /// The length of the window of a row.
    pub window: Duration,
    /// The program of our service.
    pub service: PathBuf,
    /// The directory for the profile that it records, if it does.
    pub notes: Option<PathBuf>,
    /// Whether each call names a trace.
    pub names_traces: bool,
}

impl Setting {
    /// Returns the options of the servers.
    pub(super) fn surroundings<'a>(&'a self, url: String, keys: &'a Keys) -> Surroundings<'a> {
        let Self { service, notes, .. } = self;
        let logs = self.work_dir.join("logs");
        Surroundings { url, keys, logs, service, notes: notes.as_deref() }
    }
}

/// The running database and servers.
pub struct Stage {
    pub(super) setting: Setting,
    // The servers end before their database.
    ours: Server,
    others: Vec<(Subject, Server)>,
    pub(super) pgbench: Program,
    /// The database.
    pub database: Database,
    pub(super) keys: Keys,
    pub(super) walk: Walk,
    pub(super) seed: u64,
    /// Why rows are missing.
    pub missing: Vec<String>,
}

impl Stage {
    /// Sets up what the rows need, and removes rows of peers that cannot be prepared.
    pub fn set_up(setting: Setting, rows: &mut Vec<Row>) -> anyhow::Result<Self> {
        let missing = without_missing_peers(rows);
        let logs = setting.work_dir.join("logs");
        std::fs::create_dir_all(&logs)?;
        let database =
            Database::start(&setting.work_dir, setting.pg_bin.clone(), setting.accounts)?;
        let keys = Keys::in_dir(database.data_dir())?;
        let base = database.base(setting.accounts, &keys)?;
        database.copy(&base)?;
        let url = database.run_url()?;
        let pgbench =
            Program { path: database.program("pgbench")?, scripts: logs.clone(), url: url.clone() };
        let surroundings = setting.surroundings(url, &keys);
        let ours = Server::ours(&surroundings, Guards::Fewest)?;
        let others = start_others(rows, &surroundings)?;
        let walk = Walk::over(setting.accounts);
        Ok(Self { setting, ours, others, pgbench, database, keys, walk, seed: 0, missing })
    }

    /// Ends the servers and drops the copy of the data.
    pub fn tear_down(self) -> anyhow::Result<()> {
        let Self { ours, others, database, .. } = self;
        drop((ours, others));
        database.drop_run()
    }

    /// Does the same, but asks our service to end, so that it writes its profile.
    pub fn retire(self) -> anyhow::Result<()> {
        let Self { ours, others, database, .. } = self;
        ours.end()?;
        drop(others);
        database.drop_run()
    }

    /// Measures a row.
    pub fn measure(&mut self, row: Row) -> anyhow::Result<Measured> {
        self.seed += 1;
        if row.action == Action::Open {
            self.make_room()?;
        }
        match (row.wire, row.action) {
            (Wire::Postgres, Action::Describe) => self.describe_by_pgbench(row),
            (Wire::Postgres, Action::Open) => self.open_by_pgbench(row),
            _ => self.measure_server(row),
        }
    }

    /// Returns the meter of a row. Our services number the events of all servers, whichever is the
    /// first: their CPU time is part of each row of Open.
    pub(super) fn meter(
        &self,
        row: Row,
        subject: Option<u32>,
        client: Option<u32>,
    ) -> anyhow::Result<Meter> {
        let mut service: Vec<u32> = subject.into_iter().collect();
        if row.action == Action::Open {
            let others = self.others.iter().filter(|(other, _)| other.is_ours());
            let numbering = others.map(|(_, server)| server.pid()).chain([self.ours.pid()]);
            service.extend(numbering.filter(|pid| Some(*pid) != subject));
        }
        Ok(Meter { service, database: self.database.pid()?, client })
    }

    pub(super) fn server(&self, subject: Subject) -> anyhow::Result<&Server> {
        if subject == Subject::Ours {
            return Ok(&self.ours);
        }
        let found = self.others.iter().find(|(other, _)| *other == subject);
        Ok(&found.with_context(|| format!("{subject} is not running"))?.1)
    }

    /// Returns how many accounts a row may open.
    pub(super) fn room(&self) -> u64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        OPENED_PER_CORE * cores * seconds_for(WARM_UP + self.setting.window)
    }

    /// Closes all accounts if too few are left for the next row.
    fn make_room(&mut self) -> anyhow::Result<()> {
        if self.walk.left() < self.room().min(self.setting.accounts) {
            self.database.close_all()?;
            self.walk = Walk::over(self.setting.accounts);
        }
        Ok(())
    }
}

/// Removes the rows of peers that cannot be prepared; returns the reasons.
fn without_missing_peers(rows: &mut Vec<Row>) -> Vec<String> {
    let mut missing = Vec::new();
    for peer in Peer::ALL {
        let of_peer = |row: &Row| row.subject == Subject::Peer(peer);
        if !rows.iter().any(of_peer) {
            continue;
        }
        println!("preparing the peer in {}", peer.name());
        if let Err(why) = prepare(peer) {
            println!("  left out: {why}");
            rows.retain(|row| !of_peer(row));
            missing.push(why);
        }
    }
    missing
}

fn start_others(
    rows: &[Row],
    surroundings: &Surroundings<'_>,
) -> anyhow::Result<Vec<(Subject, Server)>> {
    let mut others: Vec<(Subject, Server)> = Vec::new();
    for row in rows {
        let server = match row.subject {
            Subject::Ours | Subject::Pgbench => continue,
            subject if others.iter().any(|(other, _)| *other == subject) => continue,
            Subject::Quotas => Server::ours(surroundings, Guards::Quotas)?,
            Subject::Tls => Server::ours(surroundings, Guards::QuotasAndTls)?,
            Subject::Traces => Server::ours(surroundings, Guards::Traces)?,
            Subject::Echo => Server::own("serve-echo", surroundings)?,
            Subject::Textbook => Server::own("serve-textbook", surroundings)?,
            Subject::Peer(peer) => Server::peer(peer, surroundings)?,
        };
        others.push((row.subject, server));
    }
    Ok(others)
}
