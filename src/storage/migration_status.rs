//! Which migrations are applied to a database.

use std::fmt;

use sqlx::Connection as _;

use super::MIGRATIONS;
use super::engine::{DatabaseUrl, Detected, Engine};
use super::migrating::{MigrationError, applied_migrations, hosts, newest_applied};

/// The state of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationState {
    /// It is applied.
    Applied,
    /// This program has it, and it is not applied.
    Pending,
    /// It is applied, and this program does not have it: a newer program has applied it.
    Newer,
}

/// A migration and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateOfMigration {
    /// Its version.
    pub version: i64,
    /// Its name; empty if this program does not have it.
    pub name: String,
    /// Its state.
    pub state: MigrationState,
}

/// The migrations of this program and of the schema, in the order of their versions. As text, they
/// have one line each, and a last line says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus(pub Vec<StateOfMigration>);

/// Returns the state of the schema. Changes nothing. Fails if other migrations have made the schema.
pub async fn schema_status(url: &DatabaseUrl) -> Result<SchemaStatus, MigrationError> {
    let mut connection = hosts(url, &Detected::new(Engine::Auto)).connect().await?;
    let applied = applied_migrations(&mut connection).await?;
    connection.close().await?;
    newest_applied(&MIGRATIONS, &applied)?;
    let is_applied = |version| applied.iter().any(|(applied, _)| *applied == version);
    let ours = MIGRATIONS.iter().map(|migration| StateOfMigration {
        version: migration.version,
        name: migration.description.to_string(),
        state: if is_applied(migration.version) {
            MigrationState::Applied
        } else {
            MigrationState::Pending
        },
    });
    let is_ours = |version| MIGRATIONS.iter().any(|migration| migration.version == version);
    let newer = applied.iter().filter(|(version, _)| !is_ours(*version));
    let newer = newer.map(|(version, _)| StateOfMigration {
        version: *version,
        name: String::new(),
        state: MigrationState::Newer,
    });
    let mut all: Vec<_> = ours.chain(newer).collect();
    all.sort_by_key(|migration| migration.version);
    Ok(SchemaStatus(all))
}

impl SchemaStatus {
    /// Returns whether no migration is pending.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.count(MigrationState::Pending) == 0
    }

    fn count(&self, state: MigrationState) -> usize {
        self.0.iter().filter(|migration| migration.state == state).count()
    }
}

impl fmt::Display for SchemaStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for StateOfMigration { version, name, state } in &self.0 {
            let state = match state {
                MigrationState::Applied => "applied",
                MigrationState::Pending => "pending",
                MigrationState::Newer => "newer than this program",
            };
            let space = if name.is_empty() { "" } else { " " };
            writeln!(formatter, "{version:04}{space}{name}: {state}")?;
        }
        let (pending, newer) =
            (self.count(MigrationState::Pending), self.count(MigrationState::Newer));
        match (pending, newer) {
            (0, 0) => formatter.write_str("the schema is up to date"),
            (0, _) => formatter.write_str("the schema is newer than this program, which can serve"),
            _ => write!(formatter, "pending migrations: {pending}; run migrate"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(states: &[MigrationState]) -> SchemaStatus {
        let states = (1..).zip(states).map(|(version, state)| StateOfMigration {
            version,
            name: if *state == MigrationState::Newer { "" } else { "accounts" }.to_owned(),
            state: *state,
        });
        SchemaStatus(states.collect())
    }

    #[test]
    fn the_status_has_a_line_for_each_migration_and_says_what_to_do() {
        use MigrationState::{Applied, Newer, Pending};
        for (states, is_up_to_date, text) in [
            (&[Applied][..], true, "0001 accounts: applied\nthe schema is up to date"),
            (
                &[Applied, Pending],
                false,
                "0001 accounts: applied\n0002 accounts: pending\npending migrations: 1; run migrate",
            ),
            (
                &[Applied, Newer],
                true,
                "0001 accounts: applied\n0002: newer than this program\n\
                 the schema is newer than this program, which can serve",
            ),
        ] {
            let status = status(states);
            assert_eq!(
                (status.is_up_to_date(), status.to_string().as_str()),
                (is_up_to_date, text)
            );
        }
    }
}
