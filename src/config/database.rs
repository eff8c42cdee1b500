//! The settings of the database: where it is, and how it is used.
#![expect(clippy::doc_markdown, reason = "these comments are shown as plain text in a terminal")]

use std::path::PathBuf;

use clap::Args;

use super::named;
use super::values::{number, parse_engine, parse_secret};
use crate::auth::secret::Secret;
use crate::storage::Engine;

/// Where the database is.
#[derive(Args, Clone, Debug)]
pub struct DatabaseSettings {
    /// URL of the database: postgres://user:password@host/name. It may name several hosts, as in
    /// psql; the host that accepts writes is used. Required without DATABASE_URL_FILE.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = parse_secret)]
    pub database_url: Option<Secret>,
    /// File with the URL of the database. `serve` reads it again every 3 s: new connections use a
    /// new user or password without a restart.
    #[arg(long, env = "DATABASE_URL_FILE")]
    pub database_url_file: Option<PathBuf>,
}

/// Settings of how `serve` and `dev` use the database.
#[derive(Args, Clone, Debug)]
pub struct DatabaseUseSettings {
    /// Largest number of database connections of this process: a quarter for the background
    /// workers, the rest shared by the cores. Two more connections listen for events and check
    /// readiness. 2 to 1000; default: 8 for each core.
    #[arg(long, env = "DB_CONNECTIONS", value_parser = number(2_u32, 1000))]
    pub db_connections: Option<u32>,
    /// The database engine: postgres, citus, or auto, which asks the database.
    #[arg(long, env = "ENGINE", default_value = "auto", value_parser = parse_engine)]
    pub engine: Engine,
}

/// Settings of `migrate`.
#[derive(Args, Debug)]
pub struct MigrateSettings {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub database: DatabaseSettings,
    /// URL of the same database, with the role that owns the tables. Takes precedence over
    /// DATABASE_URL and DATABASE_URL_FILE.
    #[arg(long, env = "DB_ADMIN_URL", hide_env_values = true, value_parser = parse_secret)]
    pub db_admin_url: Option<Secret>,
    /// File with that URL.
    #[arg(long, env = "DB_ADMIN_URL_FILE")]
    pub db_admin_url_file: Option<PathBuf>,
    /// The database engine: postgres, citus, or auto, which asks the database. On Citus, the tables
    /// that accounts own are distributed.
    #[arg(long, env = "ENGINE", default_value = "auto", value_parser = parse_engine)]
    pub engine: Engine,
    /// Changes nothing, and prints which migrations are applied, pending, or of a newer program.
    /// Exit status: 0 if none is pending, 1 otherwise.
    #[arg(long)]
    pub status: bool,
}

/// Where the URL of a database is written.
#[derive(Clone, Debug)]
pub enum UrlSource {
    /// In a setting.
    Setting {
        /// The variable of the setting.
        variable: &'static str,
        /// The URL, with a password.
        url: Secret,
    },
    /// In a file.
    File {
        /// The variable of the setting that names the file.
        variable: &'static str,
        /// The path.
        path: PathBuf,
    },
}

impl DatabaseSettings {
    /// Returns where the URL of the database is written. The error is one sentence.
    pub fn source(&self) -> Result<UrlSource, String> {
        let Self { database_url, database_url_file } = self;
        let names = ["DATABASE_URL", "DATABASE_URL_FILE"];
        one_source(names, database_url.as_ref(), database_url_file.as_ref())?
            .ok_or_else(|| format!("{} is not set", named("DATABASE_URL")))
    }
}

impl MigrateSettings {
    /// Returns where the URL for migrations is written. The error is one sentence.
    pub fn source(&self) -> Result<UrlSource, String> {
        let Self { db_admin_url, db_admin_url_file, database, .. } = self;
        let admin = ["DB_ADMIN_URL", "DB_ADMIN_URL_FILE"];
        let admin = one_source(admin, db_admin_url.as_ref(), db_admin_url_file.as_ref())?;
        admin.map_or_else(|| database.source(), Ok)
    }
}

/// Returns the one of two settings that is set, if any is.
fn one_source(
    [setting, file]: [&'static str; 2],
    url: Option<&Secret>,
    path: Option<&PathBuf>,
) -> Result<Option<UrlSource>, String> {
    match (url.cloned(), path.cloned()) {
        (Some(_), Some(_)) => {
            Err(format!("{} and {} are both set; unset one of them", named(setting), named(file)))
        }
        (Some(url), None) => Ok(Some(UrlSource::Setting { variable: setting, url })),
        (None, Some(path)) => Ok(Some(UrlSource::File { variable: file, path })),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Cli, Command};

    /// Returns the settings of `migrate` with these arguments.
    fn migrate(arguments: &[&str]) -> MigrateSettings {
        let command = [&["cdn-activation", "migrate"], arguments].concat();
        let Command::Migrate(migrate) = Cli::try_parse_from(command).unwrap().command else {
            panic!("another command")
        };
        migrate
    }

    #[test]
    fn the_url_of_the_database_is_in_a_setting_or_in_a_file_and_not_in_both() {
        let (url, file) = ("--database-url=postgres://h/d", "--database-url-file=/f");
        let (admin, admin_file) = ("--db-admin-url=postgres://o@h/d", "--db-admin-url-file=/g");
        let variable = |arguments: &[&str]| match migrate(arguments).source()? {
            UrlSource::Setting { variable, .. } | UrlSource::File { variable, .. } => Ok(variable),
        };
        assert_eq!(variable(&[url]), Ok("DATABASE_URL"));
        assert_eq!(variable(&[file]), Ok("DATABASE_URL_FILE"));
        assert_eq!(variable(&[url, admin_file]), Ok("DB_ADMIN_URL_FILE"));
        assert_eq!(variable(&[file, admin]), Ok("DB_ADMIN_URL"));
        let both = "DATABASE_URL (--database-url) and DATABASE_URL_FILE (--database-url-file) are \
                    both set; unset one of them";
        assert_eq!(variable(&[url, file]), Err(both.to_owned()));
        assert!(variable(&[admin, admin_file]).unwrap_err().contains("are both set"));
        assert_eq!(variable(&[]), Err("DATABASE_URL (--database-url) is not set".to_owned()));
    }

    #[test]
    fn settings_can_be_printed_for_debugging_without_the_password() {
        let settings = migrate(&["--database-url=postgres://user:pass-word@h/d"]);
        assert!(!format!("{settings:?}").contains("pass-word"), "{settings:?}");
    }
}
