//! The kinds of attacks, with the calls beside each of them.

use std::time::Duration;

use tokio::time::sleep;

use super::beside::Beside;
use super::connections::{self, PREFACE};
use super::field::{Field, Over, Serve};
use super::handshakes::Said;
use super::people::{self, Caller};
use super::table::Row;
use super::{Outcome, amplification, followers, handshakes, log, memory, path, rows};
use crate::meters::memory as meter;

/// An attack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// No attack: the latency of calls for comparison.
    Quiet,
    Refusals,
    FrozenPath,
    Followers,
    Streams,
    Heads,
    SlowReaders,
    SilentRest,
    SilentGrpc,
    SilentOps,
    Prefaces,
    Amplification,
    /// Rows of this number of accounts are locked.
    HeldRows(i64),
    /// Connections that say this much of a hello, and nothing else.
    Hello(Said),
    Handshakes,
    /// Requests without TLS.
    Bare,
}

const ATTACKS: [(&str, Attack); 14] = [
    ("0 quiet", Attack::Quiet),
    ("1 refused calls", Attack::Refusals),
    ("2 frozen path", Attack::FrozenPath),
    ("3 unread followers", Attack::Followers),
    ("4 large messages", Attack::Streams),
    ("4 endless heads", Attack::Heads),
    ("4 unread answers", Attack::SlowReaders),
    ("5 silent, REST", Attack::SilentRest),
    ("5 silent, gRPC", Attack::SilentGrpc),
    ("5 silent, ops", Attack::SilentOps),
    ("5 prefaces", Attack::Prefaces),
    ("6 repeated path", Attack::Amplification),
    ("8 held row", Attack::HeldRows(1)),
    ("8 held rows", Attack::HeldRows(people::MANY)),
];
/// Attacks on listeners that take TLS only, without a forwarder.
const ON_TLS: [(&str, Attack); 5] = [
    ("10 no hello", Attack::Hello(Said::None)),
    ("11 half of a hello", Attack::Hello(Said::Half)),
    ("12 a hello, no more", Attack::Hello(Said::All)),
    ("13 handshakes, no more", Attack::Handshakes),
    ("14 no TLS", Attack::Bare),
];

/// Returns the names of the attacks, in their order.
pub fn all(over: Over, short: bool) -> Vec<(String, Attack)> {
    let named = |(name, attack): (&str, Attack)| (name_of(over, name), attack);
    match over {
        Over::Plaintext => ATTACKS.map(named).into(),
        Over::Tls => {
            let attacks = ATTACKS.into_iter().filter(|(_, attack)| attack.concerns_tls(short));
            attacks.chain(ON_TLS).map(named).collect()
        }
    }
}

/// Returns the name of a row.
pub fn name_of(over: Over, name: &str) -> String {
    match over {
        Over::Plaintext => name.to_owned(),
        Over::Tls => format!("TLS {name}"),
    }
}

impl Attack {
    /// Returns whether the attack is repeated over TLS. The ops pages have none. What happens between
    /// service and database is the same: a short run has it once.
    fn concerns_tls(self, short: bool) -> bool {
        match self {
            Self::SilentOps => false,
            Self::FrozenPath | Self::HeldRows(_) => !short,
            _ => true,
        }
    }

    /// Attacks, with well-behaved callers beside.
    pub async fn row(
        self,
        name: String,
        field: &Field,
        serve: &Serve,
        caller: &Caller,
        lasts: Duration,
    ) -> Row {
        println!("{name}");
        let caller = caller.at(serve.grpc);
        meter::forget_peaks(serve.pid());
        let mut beside = Beside::start(serve, &caller);
        if matches!(self, Self::Quiet | Self::HeldRows(_)) {
            let another = caller.clone();
            beside.call("CreateAccount and Open", move || {
                let another = another.clone();
                async move { another.another_opens().await }
            });
        }
        let outcome = self.begin(field, serve, &caller, lasts).await;
        let outcome = outcome.unwrap_or_else(|why| Outcome {
            faults: vec![format!("the attack ended: {why:#}")],
            ..Outcome::default()
        });
        let (calls, alive) = beside.end().await;
        Row::new(name, outcome, calls, alive, meter::peak(serve.pid()))
    }

    async fn begin(
        self,
        field: &Field,
        serve: &Serve,
        caller: &Caller,
        lasts: Duration,
    ) -> anyhow::Result<Outcome> {
        match self {
            Self::Quiet => {
                sleep(lasts).await;
                Ok(Outcome::default())
            }
            Self::Refusals => log::refusals(serve, lasts).await,
            Self::FrozenPath => path::frozen(field, serve, caller, lasts).await,
            Self::Followers => followers::unread(field, serve, lasts).await,
            Self::Streams => memory::streams(serve, lasts).await,
            Self::Heads => memory::heads(serve, lasts).await,
            Self::SlowReaders => memory::slow_readers(serve, lasts).await,
            Self::SilentRest => connections::silent(serve.rest, b"", lasts).await,
            Self::SilentGrpc => connections::silent(serve.grpc, b"", lasts).await,
            Self::SilentOps => connections::silent(serve.ops, b"", lasts).await,
            Self::Prefaces => connections::silent(serve.grpc, PREFACE, lasts).await,
            Self::Amplification => amplification::run(field, serve, lasts).await,
            Self::HeldRows(accounts) => rows::held_rows(field, caller, accounts, lasts).await,
            Self::Hello(said) => handshakes::stopped(serve.behind()?, said, lasts).await,
            Self::Handshakes => handshakes::completed(serve.behind()?, lasts).await,
            Self::Bare => handshakes::bare(serve.behind()?, lasts).await,
        }
    }
}
