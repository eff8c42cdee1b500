//! `--print-config`: every setting of a command, where its value is from, and the value.

use std::fmt::Write;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::storage::DatabaseUrl;

/// The variables and the values of settings whose default is computed.
type ComputedDefaults<'a> = &'a [(&'static str, String)];

/// What is printed instead of a secret.
const HIDDEN: &str = "(hidden)";

/// A setting: its variable, or its flag if it has none; where its value is from; the value.
type SettingRow = [String; 3];

/// Returns the settings of the command that was given, one a line.
pub(super) fn report(
    command: &Command,
    matches: &ArgMatches,
    computed: ComputedDefaults<'_>,
) -> String {
    let rows = rows(command, matches, computed);
    let width = |cell: usize| rows.iter().map(|row| row[cell].len()).max().unwrap_or(0);
    let (names, sources) = (width(0), width(1));
    let mut text = String::new();
    for [name, source, value] in &rows {
        let line = format!("{name:<names$}  {source:<sources$}  {value}");
        writeln!(text, "{}", line.trim_end()).expect("a string takes everything");
    }
    text
}

fn rows(
    command: &Command,
    matches: &ArgMatches,
    computed: ComputedDefaults<'_>,
) -> Vec<SettingRow> {
    let below = matches.subcommand().and_then(|(name, matches)| {
        let command = command.find_subcommand(name)?;
        Some((command, matches))
    });
    // A setting of all commands is also one of each command below.
    let is_own = |setting: &&Arg| below.is_none() || !setting.is_global_set();
    let own = command.get_arguments().filter(|own| is_setting(own)).filter(is_own);
    let own = own.map(|setting| row(setting, matches, computed));
    let below = below.map(|(command, matches)| rows(command, matches, computed));
    own.chain(below.into_iter().flatten()).collect()
}

fn is_setting(argument: &Arg) -> bool {
    !["help", "version", "print_config"].contains(&argument.get_id().as_str())
}

fn name(setting: &Arg) -> String {
    match (setting.get_env(), setting.get_long()) {
        (Some(variable), _) => variable.to_string_lossy().into_owned(),
        (None, Some(flag)) => format!("--{flag}"),
        (None, None) => setting.get_id().as_str().to_uppercase(),
    }
}

fn row(setting: &Arg, matches: &ArgMatches, computed: ComputedDefaults<'_>) -> SettingRow {
    let name = name(setting);
    let (source, value) = match matches.value_source(setting.get_id().as_str()) {
        Some(ValueSource::CommandLine) => ("flag", value(setting, matches)),
        Some(ValueSource::EnvVariable) => ("variable", value(setting, matches)),
        Some(_) => ("default", value(setting, matches)),
        None => match computed.iter().find(|(variable, _)| *variable == name) {
            Some((_, computed)) => ("default", computed.clone()),
            None => ("not set", String::new()),
        },
    };
    [name, source.to_owned(), value]
}

fn value(setting: &Arg, matches: &ArgMatches) -> String {
    let values = matches.get_raw(setting.get_id().as_str()).into_iter().flatten();
    let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
    let value = values.join(",");
    if setting.is_hide_env_values_set() { hidden(&value) } else { without_credentials(&value) }
}

/// Of the URL of a database, the hosts are shown.
fn hidden(secret: &str) -> String {
    match secret.parse::<DatabaseUrl>() {
        Ok(url) => format!("{HIDDEN} {url:?}"),
        Err(_) => HIDDEN.to_owned(),
    }
}

/// Hides the password of a URL. A setting that is not a secret has one if it is the URL of another
/// service, or if a URL was written where a path belongs.
pub(super) fn without_credentials(value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    if lower.contains("password=") || lower.starts_with("postgres") && lower.contains("://") {
        return hidden(value);
    }
    // Up to the last @, because a password may contain one.
    match value.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
        Some((scheme, Some((_, host)))) => format!("{scheme}://{HIDDEN}@{host}"),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::config::Cli;

    fn printed(arguments: &[&str]) -> String {
        let mut command = Cli::command();
        let arguments = [&["cdn-activation"], arguments].concat();
        let matches = command.try_get_matches_from_mut(arguments).unwrap();
        let computed = Cli::from_arg_matches(&matches).unwrap().command.computed();
        report(&command, &matches, &computed)
    }

    /// Returns the words of the line of a setting.
    fn line<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words[0] == name).unwrap_or_else(|| panic!("no {name}: {text}"))
    }

    #[test]
    fn every_setting_is_printed_once_with_its_source() {
        let serve = printed(&["serve", "--drain-delay", "5s", "--print-config"]);
        assert_eq!(line(&serve, "DRAIN_DELAY"), ["DRAIN_DELAY", "flag", "5s"]);
        assert_eq!(line(&serve, "OVERDUE_GRACE"), ["OVERDUE_GRACE", "default", "24h"]);
        assert_eq!(line(&serve, "GRANTS_FILE"), ["GRANTS_FILE", "not", "set"]);
        let mut command = Cli::command();
        command.build();
        let settings = command.find_subcommand("serve").unwrap();
        for setting in settings.get_arguments().filter(|setting| is_setting(setting)) {
            let name = name(setting);
            let is_line = |line: &&str| line.split(' ').next() == Some(&name);
            assert_eq!(serve.lines().filter(is_line).count(), 1, "{name}: {serve}");
        }
        let token = printed(&["token", "new", "billing"]);
        assert_eq!(line(&token, "NAME"), ["NAME", "flag", "billing"]);
        assert_eq!(line(&token, "LOG")[0], "LOG");
    }

    #[test]
    fn a_default_that_is_computed_is_printed_as_a_default() {
        let serve = printed(&["serve", "--cores", "2", "--quotas", "false"]);
        assert_eq!(line(&serve, "DB_CONNECTIONS"), ["DB_CONNECTIONS", "default", "16"]);
        assert_eq!(line(&serve, "DRAIN_DELAY"), ["DRAIN_DELAY", "default", "5s"]);
        assert_eq!(line(&serve, "QUOTAS"), ["QUOTAS", "flag", "false"]);
        let dev = printed(&["dev"]);
        assert_eq!(line(&dev, "EXPLORER"), ["EXPLORER", "default", "true"]);
        assert_eq!(line(&dev, "PG_BIN"), ["PG_BIN", "not", "set"]);
    }

    #[test]
    fn a_password_in_a_setting_that_is_not_a_secret_is_hidden() {
        for (value, printed) in [
            ("http://user:pass-word@orders:80/a", "http://(hidden)@orders:80/a"),
            ("https://user:pass-w@rd/?#pass-word@orders", "https://(hidden)@orders"),
            ("http://pass-word@orders", "http://(hidden)@orders"),
            ("postgres://user:pass-word@db/name", "(hidden) [\"db:5432\"]"),
            ("POSTGRESQL://db/name?password=pass-word", "(hidden)"),
            ("host=db password=pass-word", "(hidden)"),
            ("http://orders:80/a", "http://orders:80/a"),
            ("/etc/cdn-activation/url@3", "/etc/cdn-activation/url@3"),
        ] {
            assert_eq!(without_credentials(value), printed);
        }
        let url = "postgres://user:pass-word@db/name";
        let serve = printed(&[
            "serve",
            "--database-url-file",
            url,
            "--order-endpoint",
            "http://user:pass-word@orders",
        ]);
        assert!(!serve.contains("pass-word"), "{serve}");
        assert!(serve.contains("http://(hidden)@orders"), "{serve}");
    }

    #[test]
    fn no_secret_is_printed() {
        let url = "postgres://user:pass-word@db-1,db-2:6432/name";
        let migrate = printed(&["migrate", "--database-url", url, "--db-admin-url", "pass-word"]);
        assert!(!migrate.contains("pass-word"), "{migrate}");
        let words = ["DATABASE_URL", "flag", "(hidden)", "[\"db-1:5432\",", "\"db-2:6432\"]"];
        assert_eq!(line(&migrate, "DATABASE_URL"), words);
        assert_eq!(line(&migrate, "DB_ADMIN_URL"), ["DB_ADMIN_URL", "flag", "(hidden)"]);
    }

    #[test]
    fn every_setting_that_holds_a_secret_is_hidden() {
        fn look(command: &Command) -> usize {
            let holds_secret = |setting: &&Arg| {
                let name = name(setting);
                ["DATABASE_URL", "DB_ADMIN_URL"].contains(&&*name)
                    || ["_SECRET", "_TOKEN", "_PASSWORD", "_HEADERS"]
                        .iter()
                        .any(|end| name.ends_with(end))
            };
            let secrets: Vec<_> = command.get_arguments().filter(holds_secret).collect();
            for secret in &secrets {
                assert!(secret.is_hide_env_values_set(), "{}", secret.get_id());
            }
            secrets.len() + command.get_subcommands().map(look).sum::<usize>()
        }
        assert!(look(&Cli::command()) >= 6);
    }
}
