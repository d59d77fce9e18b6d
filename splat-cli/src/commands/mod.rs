//! The commands, one per file.

mod admin;
mod bench;
mod convert;
mod demo;
mod doctor;
mod eval;
mod gesture;
mod given;
mod info;
mod make;
mod refined;
mod render;
mod serve;
mod view;

use std::time::Instant;

use clap::CommandFactory;
use splat_core::gpu::GpuOptions;
use splat_core::{AdapterReport, Backend, CancelToken, Gpu, self_test};

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::report::Reporter;

/// The context of a command.
pub(crate) struct Context {
    /// When the program started: the start of a `--budget`.
    pub(crate) started: Instant,
    pub(crate) reporter: Reporter,
    pub(crate) cancel: CancelToken,
    /// `--adapter`.
    pub(crate) adapter: Option<String>,
    /// `--backend`.
    pub(crate) backend: Option<Backend>,
}

impl Context {
    /// Opens the best GPU that passes the self-test.
    fn gpu(&self) -> Result<Gpu, Failure> {
        Ok(self_test::open(&self.gpu_options(), &mut |text| self.reporter.warn(&text))?)
    }

    /// The GPU, unless it is a software renderer: for tasks that a CPU does as well.
    fn hardware(&self) -> Option<Gpu> {
        let is_hardware = |report: &AdapterReport| !report.is_software();
        Gpu::describe(&self.gpu_options()).ok().filter(is_hardware)?;
        self.gpu().ok()
    }

    fn gpu_options(&self) -> GpuOptions {
        GpuOptions { adapter_name: self.adapter.clone(), backend: self.backend, ..GpuOptions::default() }
    }

    /// An error once Ctrl-C was pressed.
    fn check(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Failure::Stopped { hint: None }) } else { Ok(()) }
    }
}

/// Runs a command.
pub(crate) fn dispatch(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Run(args) => make::run(&args, context),
        Command::Colmap(args) => make::colmap(&args, context),
        Command::Train(args) => make::train(&args, context),
        Command::Render(args) => render::render(&args, context),
        Command::Eval(args) => eval::eval(&args, context),
        Command::Info(args) => info::info(&args, context),
        Command::Convert(args) => convert::convert(&args, context),
        Command::View(args) => view::view(&args, context),
        Command::Doctor => doctor::doctor(context),
        Command::Gesture(args) => gesture::gesture(&args, context),
        Command::Demo(args) => demo::demo(&args, context),
        Command::Bench(args) => bench::bench(&args, context),
        Command::Serve(args) => serve::serve(*args, context),
        Command::Worker(args) => serve::worker(*args, context),
        Command::Keys(args) => serve::keys(args, context),
        Command::Admin(args) => admin::admin(args, context),
        Command::Backup(args) => serve::backup(args, context),
        Command::Restore(args) => serve::restore(args, context),
        Command::Job { gpu: false } => serve::job(&context.cancel),
        Command::Job { gpu: true } => serve::print_gpu(context),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "splat", &mut std::io::stdout());
            Ok(())
        }
    }
}
