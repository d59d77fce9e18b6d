//! `splat`: photos in, a 3-D Gaussian splatting scene out.
//!
//! A thin shell over [`splat_core::pipeline`]: [`args`] defines the command line, [`settings`] converts it to the library's options,
//! [`commands`] run it, [`report`] shows progress and results, [`failure`] formats errors.

mod args;
mod commands;
mod failure;
mod ffmpeg;
mod interrupt;
mod report;
mod settings;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use args::Cli;
use commands::Context;
use report::Reporter;

fn main() -> ExitCode {
    let started = Instant::now();
    // Clap itself prints help (exit code 0) and usage errors (exit code 2).
    let Cli { command, global } = Cli::parse();
    let reporter = Reporter::new(&global);
    let cancel = interrupt::install(&reporter);
    let context = Context {
        started,
        reporter: reporter.clone(),
        cancel,
        adapter: global.adapter,
        backend: global.backend,
    };
    match commands::dispatch(command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            reporter.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
