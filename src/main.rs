//! Parses the arguments, starts logging, and runs one of the commands.

use std::fmt::Display;
use std::process::ExitCode;

use cdn_activation::config::{self, Arguments, Cli, Command, NearMiss, StartRefused};
use cdn_activation::logging::Output;
use cdn_activation::{commands, logging};
use mimalloc::MiMalloc;

/// mimalloc needs less CPU for each call than the allocator of the C library. `Cargo.toml` has the
/// measurement.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The exit status if a setting has a wrong value. It is also that of the command line parser.
const WRONG_SETTING: u8 = 2;

fn main() -> ExitCode {
    let Arguments { cli, printed, near_misses } = match config::read() {
        Ok(arguments) => arguments,
        Err(StartRefused::Said(error)) => error.exit(),
        Err(StartRefused::Setting(sentence)) => {
            failed(sentence);
            return ExitCode::from(WRONG_SETTING);
        }
    };
    if let Some(printed) = printed {
        return commands::print(printed.trim_end()).map_or_else(failed, |()| ExitCode::SUCCESS);
    }
    let form = if matches!(cli.command, Command::Serve(_)) {
        logging::Form::Json
    } else {
        logging::Form::Text
    };
    let logging = match logging::start(&cli.log, form) {
        Ok(logging) => logging,
        Err(why) => return failed(why),
    };
    warn_of(&cli.command, &near_misses);
    let code = run(cli).unwrap_or_else(failed);
    drop(logging); // waits until the last line is written
    code
}

/// Warns of variables that are probably misspelt, if the command is one that operators configure.
fn warn_of(command: &Command, near_misses: &[NearMiss]) {
    let is_configured = matches!(
        command,
        Command::Dev(_)
            | Command::Serve(_)
            | Command::Migrate(_)
            | Command::Reseal(_)
            | Command::NewGeneration(_)
    );
    for NearMiss { variable, meant } in near_misses.iter().filter(|_| is_configured) {
        tracing::warn!("the variable {variable} is not a setting; a similar one is {meant}");
    }
}

fn failed(why: impl Display) -> ExitCode {
    logging::say(Output::Stderr, &format!("cdn-activation: {why:#}\n"));
    ExitCode::FAILURE
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // This runtime is for everything except requests. They have threads of their own: see
    // `runtime/` of the library.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        match cli.command {
            Command::Dev(settings) => {
                commands::dev::run(settings).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Serve(settings) => {
                commands::serve::run(settings).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Migrate(settings) => commands::migrate::run(settings).await,
            Command::Reseal(settings) => {
                commands::reseal::run(settings).await.map(|()| ExitCode::SUCCESS)
            }
            Command::NewGeneration(settings) => {
                commands::new_generation::run(settings).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Call(settings) => commands::call::run(settings).await,
            Command::Explain(settings) => commands::explain::run(&settings),
            Command::Token(settings) => commands::token::run(&settings).map(|()| ExitCode::SUCCESS),
            Command::Descriptors(settings) => {
                commands::descriptors::run(&settings).map(|()| ExitCode::SUCCESS)
            }
        }
    });
    // A DNS lookup that blocks in the system must not delay the end of the process.
    runtime.shutdown_background();
    code
}
