//! Arguments, logging, then one of the commands.

use std::process::ExitCode;

use cdn_activation::config::{Cli, Command};
use cdn_activation::{commands, logging};
use clap::Parser;

/// More cores than this are of no use beside a database.
const MOST_CORES: usize = 4;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cdn-activation: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let form = if matches!(cli.command, Command::Serve(_)) {
        logging::Form::Json
    } else {
        logging::Form::Text
    };
    logging::start(&cli.log, form).map_err(anyhow::Error::msg)?;
    let cores = match &cli.command {
        Command::Dev(settings) => settings.shared.cores,
        Command::Serve(settings) => settings.shared.cores,
        Command::Migrate(_) | Command::Call(_) => Some(1),
    };
    let all_cores = || std::thread::available_parallelism().map_or(1, usize::from).min(MOST_CORES);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.map_or_else(all_cores, usize::from))
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        match cli.command {
            Command::Dev(settings) => {
                commands::dev::run(settings).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Serve(settings) => {
                commands::serve::run(settings).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Migrate(settings) => {
                commands::migrate::run(settings).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Call(settings) => commands::call::run(settings).await,
        }
    });
    // A look-up of a name that hangs in the system must not hold the end of the process.
    runtime.shutdown_background();
    code
}
