//! Reads the arguments and the environment variables of the process.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use super::near_misses::{NearMiss, near_misses};
use super::{Cli, print};

/// What the process was started with.
#[derive(Debug)]
pub struct Arguments {
    /// The settings.
    pub cli: Cli,
    /// What `--print-config` prints, if it was given.
    pub printed: Option<String>,
    /// Variables that are not settings, but have almost the name of one.
    pub near_misses: Vec<NearMiss>,
}

/// Why the process does not start.
#[derive(Debug)]
pub enum StartRefused {
    /// A setting has a wrong value, or has none. The text is one sentence.
    Setting(String),
    /// What the command line parser says, for example the help that was requested.
    Said(clap::Error),
}

/// Reads the arguments and the variables of this process.
pub fn read() -> Result<Arguments, StartRefused> {
    read_from(std::env::args_os(), std::env::vars_os().map(|(name, _)| name))
}

fn read_from(
    arguments: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = OsString>,
) -> Result<Arguments, StartRefused> {
    let mut program = Cli::command();
    let matches = program.try_get_matches_from_mut(arguments);
    let matches = matches.map_err(|error| refused(&program, error))?;
    let cli = Cli::from_arg_matches(&matches)
        .map_err(|error| StartRefused::Said(error.format(&mut program)))?;
    let printed = cli.print_config.then(|| {
        let computed = cli.command.computed();
        print::report(&program, &matches, &computed)
    });
    let variables = variables.filter_map(|name| name.into_string().ok());
    Ok(Arguments { near_misses: near_misses(&program, variables), cli, printed })
}

/// Returns the name of a setting in an error: its variable and its flag.
#[must_use]
pub fn named(variable: &str) -> String {
    format!("{variable} (--{})", variable.to_lowercase().replace('_', "-"))
}

/// Says in one sentence which setting is wrong, if that is the error.
fn refused(program: &Command, error: clap::Error) -> StartRefused {
    sentence(program, &error).map_or_else(|| StartRefused::Said(error), StartRefused::Setting)
}

fn sentence(program: &Command, error: &clap::Error) -> Option<String> {
    let wrong = error.get(ContextKind::InvalidArg)?;
    match (error.kind(), wrong) {
        (ErrorKind::MissingRequiredArgument, ContextValue::Strings(missing)) => {
            let missing = missing.iter().map(|usage| name_of(find(program, usage)?));
            let missing: Option<Vec<_>> = missing.collect();
            Some(format!("{} is not set", missing?.join(", ")))
        }
        (ErrorKind::ValueValidation, ContextValue::String(usage)) => {
            let (setting, cause) = (find(program, usage)?, error.source()?.to_string());
            Some(format!("{}: {}", name_of(setting)?, with_value(setting, error, &cause)))
        }
        (ErrorKind::InvalidValue, ContextValue::String(usage)) => {
            let setting = find(program, usage)?;
            let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue) else {
                return None;
            };
            let cause = format!("the value is not one of {}", valid.join(", "));
            Some(format!("{}: {}", name_of(setting)?, with_value(setting, error, &cause)))
        }
        _ => None,
    }
}

/// Adds the wrong value to the cause, unless the cause has it, or the value is a secret.
fn with_value(setting: &Arg, error: &clap::Error, cause: &str) -> String {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return cause.to_owned();
    };
    let shown = print::without_credentials(value);
    if cause.contains(value.as_str()) {
        cause.replace(value.as_str(), &shown)
    } else if setting.is_hide_env_values_set() {
        cause.to_owned()
    } else {
        format!("{shown:?}: {cause}")
    }
}

/// Returns the setting that an error shows as `--flag <VALUE>`.
fn find<'a>(command: &'a Command, usage: &str) -> Option<&'a Arg> {
    let flag = usage.strip_prefix("--")?.split([' ', '=']).next()?;
    let own = command.get_arguments().find(|setting| setting.get_long() == Some(flag));
    own.or_else(|| command.get_subcommands().find_map(|below| find(below, usage)))
}

/// Returns the variable and the flag of a setting, as [`named`] does.
fn name_of(setting: &Arg) -> Option<String> {
    let flag = setting.get_long()?;
    Some(match setting.get_env() {
        Some(variable) => format!("{} (--{flag})", variable.to_string_lossy()),
        None => format!("--{flag}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the sentence with which these arguments are refused.
    fn said(arguments: &[&str]) -> String {
        let arguments = ["cdn-activation"].iter().chain(arguments).map(OsString::from);
        match read_from(arguments, std::iter::empty()) {
            Err(StartRefused::Setting(sentence)) => sentence,
            other => panic!("no sentence: {other:?}"),
        }
    }

    #[test]
    fn an_error_of_a_setting_names_its_variable_and_its_flag() {
        for (arguments, sentence) in [
            (
                &["serve", "--drain-delay", "soon"][..],
                "DRAIN_DELAY (--drain-delay): \"soon\" is not a duration; expected a value such as 15m",
            ),
            (
                &["serve", "--db-connections", "1"],
                "DB_CONNECTIONS (--db-connections): \"1\" is not a number from 2 to 1000",
            ),
            (
                &["dev", "--minimum-balance", "much"],
                "MINIMUM_BALANCE (--minimum-balance): \"much\": invalid digit found in string",
            ),
            (
                &["serve", "--workers", "yes"],
                "WORKERS (--workers): \"yes\": the value is not one of true, false",
            ),
            (
                &["serve", "--log", "verbose"],
                "LOG (--log): \"verbose\" is not a level or TARGET=LEVEL; the levels are error, warn, \
                 info and off",
            ),
            (
                &["dev", "--at", "tomorrow"],
                "--at: \"tomorrow\" is not an instant; expected a value such as 2018-03-20T00:00:00Z",
            ),
            (
                &["serve", "--explorer-url", "ftp://user:pass-word@host"],
                "EXPLORER_URL (--explorer-url): \"ftp://(hidden)@host\" is not the URL of an explorer; \
                 expected a value such as https://cdn.example.com/explorer/, with at most 512 bytes",
            ),
            (
                &["reseal", "--database-url", "postgres://h/d"],
                "SEALING_KEY_FILE (--sealing-key-file) is not set",
            ),
        ] {
            assert_eq!(said(arguments), sentence);
        }
    }

    #[test]
    fn the_help_and_an_unknown_flag_are_left_to_the_parser() {
        for arguments in
            [&["serve", "--help"][..], &["serve", "--nothing"], &["call"], &["token", "new"]]
        {
            let arguments = ["cdn-activation"].iter().chain(arguments).map(OsString::from);
            let refused = read_from(arguments, std::iter::empty());
            assert!(matches!(refused, Err(StartRefused::Said(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_setting_has_the_flag_of_its_variable() {
        fn look(command: &Command) -> usize {
            let settings = command.get_arguments().filter(|setting| setting.get_env().is_some());
            let settings: Vec<_> = settings
                .map(|setting| (setting, setting.get_env().unwrap().to_str().unwrap()))
                .filter(|(_, variable)| !variable.starts_with("ALIBABA_CLOUD_"))
                .collect();
            for (setting, variable) in &settings {
                assert_eq!(name_of(setting), Some(named(variable)));
            }
            settings.len() + command.get_subcommands().map(look).sum::<usize>()
        }
        assert!(look(&Cli::command()) > 40);
    }
}
