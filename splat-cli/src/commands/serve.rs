//! The commands around the HTTP service: `serve`, `worker`, `keys`, `backup`, `restore`, and the hidden `job`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use splat_core::CancelToken;
use splat_server::config::Config;
use splat_server::job::Owner;
use splat_server::keys::{ApiKey, Secret};
use splat_server::runner;
use splat_server::service::{self, Parts};
use splat_server::settings::Settings;
use tracing_subscriber::EnvFilter;

use super::Context;
use crate::args::{BackupArgs, KeysArgs, KeysCommand, ServeArgs, ServiceArgs, SettingsArgs, WorkerArgs};
use crate::failure::Failure;

/// Interval at which Ctrl-C is checked.
const STOP_POLL: Duration = Duration::from_millis(100);

/// `splat serve`.
pub(super) fn serve(args: ServeArgs, context: &Context) -> Result<(), Failure> {
    let config = with_gpu_options(config(args.settings)?, context);
    if args.print_config {
        let text = toml::to_string(&config).unwrap_or_default();
        context.reporter.result(&config, text.trim_end());
        return Ok(());
    }
    log(context);
    let program = if args.no_worker { None } else { Some(program()?) };
    let test_mode = config.test_mode;
    let stop = stopped(context.cancel.clone());
    runtime()?.block_on(async {
        let parts = Parts::open(config).await?;
        let listening = |address| {
            #[derive(Serialize)]
            struct Listening {
                event: &'static str,
                url: String,
            }
            let url = format!("http://{address}");
            let note = if test_mode { " (test mode: jobs are acted out)" } else { "" };
            let text = format!("listening on {url}{note}; Ctrl-C stops in order");
            context.reporter.result(&Listening { event: "listening", url }, &text);
        };
        Ok(parts.serve(program, listening, stop).await?)
    })
}

/// `splat worker`.
pub(super) fn worker(args: WorkerArgs, context: &Context) -> Result<(), Failure> {
    let config = with_gpu_options(config(args.settings)?, context);
    log(context);
    let program = program()?;
    let stop = stopped(context.cancel.clone());
    runtime()?.block_on(async {
        let parts = Parts::open(config).await?;
        context.reporter.note("waiting for jobs; Ctrl-C stops in order");
        Ok(parts.work(program, stop).await?)
    })
}

/// `splat keys`.
pub(super) fn keys(args: KeysArgs, context: &Context) -> Result<(), Failure> {
    let config = config_of(args.service)?;
    runtime()?.block_on(async {
        let parts = Parts::open(config).await?;
        let keys = &parts.keys;
        match args.command {
            KeysCommand::Create { name, role } => {
                let (key, secret) = keys.create(&name, role).await?;
                #[derive(Serialize)]
                struct Created<'a> {
                    #[serde(flatten)]
                    key: &'a ApiKey,
                    secret: &'a str,
                }
                let created = Created { key: &key, secret: secret.expose() };
                context.reporter.result(&created, &key_message(&secret));
            }
            KeysCommand::List => {
                let all = keys.list().await?;
                let lines: Vec<String> = all.iter().map(line).collect();
                let text = if lines.is_empty() { "no keys".to_owned() } else { lines.join("\n") };
                context.reporter.result(&all, &text);
            }
            KeysCommand::Adopt { id, from } => {
                let known = keys.list().await?;
                let key = known.iter().find(|key| key.id == id && key.revoked_ms.is_none());
                let Some(key) = key else { return Err(no_such_key(&id)) };
                let from = match from {
                    None => Owner::local(),
                    Some(from) => match known.iter().find(|key| key.id == from) {
                        Some(key) => key.owner(),
                        None => return Err(no_such_key(&from)),
                    },
                };
                let (jobs, models) = parts.adopt(&from, &key.owner()).await?;
                let shown = serde_json::json!({ "id": id, "jobs": jobs, "gesture_models": models });
                let text = format!("{jobs} jobs and {models} gesture models are {}'s now", key.name);
                context.reporter.result(&shown, &text);
            }
            KeysCommand::Rotate { id } => {
                let Some(secret) = keys.rotate(&id).await? else { return Err(no_such_key(&id)) };
                let shown = serde_json::json!({ "id": id, "secret": secret.expose() });
                context.reporter.result(&shown, &key_message(&secret));
            }
            KeysCommand::Revoke { id } => {
                if !keys.revoke(&id).await? {
                    return Err(no_such_key(&id));
                }
                let mut text = format!("{id} opens nothing any more");
                if keys.list().await?.iter().all(|key| key.revoked_ms.is_some()) {
                    text.push_str(
                        "; it was the last, and the service stays closed until `splat keys create`",
                    );
                }
                context.reporter.result(&serde_json::json!({ "revoked": id }), &text);
            }
        }
        Ok(())
    })
}

/// `splat backup`: copies queue and keys of a running service.
pub(super) fn backup(args: BackupArgs, context: &Context) -> Result<(), Failure> {
    let (config, file) = backup_settings(args)?;
    let copied = service::backup(&config, &file)?;
    let text = format!("copied to {}; jobs: {}, keys: {}", file.display(), copied.jobs, copied.keys);
    context.reporter.result(&copied, &text);
    Ok(())
}

/// `splat restore`: restores a backup in a stopped service.
pub(super) fn restore(args: BackupArgs, context: &Context) -> Result<(), Failure> {
    let (config, file) = backup_settings(args)?;
    let (copied, before) = service::restore(&config, &file)?;
    let kept = before.map(|path| format!("; what was there is kept as {}", path.display()));
    let kept = kept.unwrap_or_default();
    let text =
        format!("{} is in force again; jobs: {}, keys: {}{kept}", file.display(), copied.jobs, copied.keys);
    context.reporter.result(&copied, &text);
    Ok(())
}

fn backup_settings(args: BackupArgs) -> Result<(Config, PathBuf), Failure> {
    let settings = Settings { data_dir: args.data_dir, redis_url: args.redis_url, ..Settings::default() };
    Ok((config(SettingsArgs { config: args.config, settings })?, args.file))
}

/// `splat job`: one attempt at one job, for the worker that started this process.
pub(super) fn job(cancel: &CancelToken) -> Result<(), Failure> {
    runner::run_from_stdin(cancel).map_err(|source| Failure::Usage {
        what: format!("this command is for the service's own use, and what it needs on standard input is missing: {source}"),
        hint: "`splat run` makes a scene from photos",
    })
}

/// Prints what scenes are trained on, for the service's page.
pub(super) fn print_gpu(context: &Context) -> Result<(), Failure> {
    runner::print_gpu(&context.gpu_options()).map_err(|source| Failure::Usage {
        what: format!("what was found out cannot be written: {source}"),
        hint: "this command is for the service's own use; `splat doctor` tells people",
    })
}

/// The settings of the service for commands about keys or jobs.
pub(super) fn config_of(args: ServiceArgs) -> Result<Config, Failure> {
    let settings = Settings { data_dir: args.data_dir, redis_url: args.redis_url, ..Settings::default() };
    config(SettingsArgs { config: args.config, settings })
}

pub(super) fn config(args: SettingsArgs) -> Result<Config, Failure> {
    let file = args.config.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
    Ok(args.settings.or(file).resolve()?)
}

/// Adds `--adapter` and `--backend`, which all commands have.
fn with_gpu_options(config: Config, context: &Context) -> Config {
    Config { adapter: context.adapter.clone(), backend: context.backend, ..config }
}

/// The command line of a job's process: this program.
fn program() -> Result<Vec<OsString>, Failure> {
    let this = std::env::current_exe().map_err(|source| Failure::Usage {
        what: format!("the system does not tell where this program is: {source}"),
        hint: "start it by its full path",
    })?;
    Ok(vec![this.into(), "job".into()])
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|source| Failure::Usage {
        what: format!("the system gives no threads: {source}"),
        hint: "raise its limits on threads and open files",
    })
}

pub(super) async fn stopped(cancel: CancelToken) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(STOP_POLL).await;
    }
}

/// Logs to standard error: lines of text, or JSON with `--json`. `SPLAT_LOG` sets the level.
fn log(context: &Context) {
    let filter = EnvFilter::try_from_env("SPLAT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // No colours if the output is not a terminal.
    let lines = lines.with_ansi(std::io::stderr().is_terminal()).with_target(false);
    if context.reporter.is_json() { lines.json().init() } else { lines.init() }
}

fn key_message(secret: &Secret) -> String {
    let secret = secret.expose();
    format!("{secret}\n\nThis is the only time it is shown. Send it as `Authorization: Bearer KEY`.")
}

pub(super) fn no_such_key(id: &str) -> Failure {
    let what = format!("there is no key `{id}` in force");
    Failure::Usage { what, hint: "`splat keys list` shows all of them" }
}

fn line(key: &ApiKey) -> String {
    let state = if key.revoked_ms.is_some() { "revoked" } else { "in force" };
    format!("{}  {:5}  {:8}  {}", key.id, key.role.name(), state, key.name)
}
