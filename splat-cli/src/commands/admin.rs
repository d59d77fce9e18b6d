//! `splat admin`: shows and controls the queue for an operator.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use splat_core::text::bytes;
use splat_server::job::{Job, JobId, JobKind, JobState, Owner};
use splat_server::queue::{ListQuery, Mode, Usage};
use splat_server::service::Parts;

use super::Context;
use super::serve::{config_of, runtime};
use crate::args::{AdminArgs, AdminCommand};
use crate::failure::Failure;

pub(super) fn admin(args: AdminArgs, context: &Context) -> Result<(), Failure> {
    let config = config_of(args.service)?;
    runtime()?.block_on(async {
        let parts = Parts::open(config).await?;
        match args.command {
            AdminCommand::Jobs { state, limit } => jobs(&parts, state, limit, context).await,
            AdminCommand::Usage => usage(&parts, context).await,
            AdminCommand::Gestures { owner, limit } => gestures(&parts, owner, limit, context).await,
            AdminCommand::DeleteGesture { model } => delete_gesture(&parts, &model, context).await,
            AdminCommand::Pause => set_mode(&parts, Mode::Paused, context).await,
            AdminCommand::Drain => set_mode(&parts, Mode::Draining, context).await,
            AdminCommand::Resume => set_mode(&parts, Mode::Open, context).await,
        }
    })
}

async fn jobs(parts: &Parts, state: Option<JobState>, limit: u32, context: &Context) -> Result<(), Failure> {
    let owners = parts.keys.owners().await?;
    let ids: Vec<Owner> = owners.iter().map(|(owner, _)| owner.clone()).collect();
    let query = ListQuery { state, limit, ..ListQuery::default() };
    let found = parts.queue.list(&ids, &query).await?;
    #[derive(Serialize)]
    struct Line<'a> {
        id: &'a str,
        owner: &'a str,
        owner_name: &'a str,
        kind: JobKind,
        state: JobState,
        percent: f64,
        bytes: u64,
        created_ms: u64,
    }
    let lines: Vec<Line> = found
        .iter()
        .map(|job: &Job| Line {
            id: job.id.as_str(),
            owner: &job.owner.0,
            owner_name: owners.iter().find(|(owner, _)| *owner == job.owner).map_or("", |(_, name)| name),
            kind: job.kind,
            state: job.state,
            percent: job.progress.percent,
            bytes: job.bytes,
            created_ms: job.created_ms,
        })
        .collect();
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            format!(
                "{}  {:9} {:5.1} %  {:7}  {:>9}  {}",
                line.id,
                line.state.name(),
                line.percent,
                line.kind.name(),
                bytes(line.bytes),
                line.owner_name
            )
        })
        .collect();
    let text = if text.is_empty() { "no jobs".to_owned() } else { text.join("\n") };
    context.reporter.result(&lines, &text);
    Ok(())
}

async fn usage(parts: &Parts, context: &Context) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line {
        owner: String,
        name: String,
        #[serde(flatten)]
        usage: Usage,
    }
    let mut lines = Vec::new();
    for (owner, name) in parts.keys.owners().await? {
        let usage = parts.queue.usage(&owner).await?;
        if usage != Usage::default() {
            lines.push(Line { owner: owner.0, name, usage });
        }
    }
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            let Usage { jobs_today, busy_ms_today, kept_jobs, kept_bytes } = line.usage;
            let minutes = busy_ms_today as f64 / 60_000.0;
            format!(
                "{:12}  {kept_jobs:5} jobs kept, {:>9}; today {jobs_today} jobs, {minutes:.1} min  {}",
                line.owner,
                bytes(kept_bytes),
                line.name
            )
        })
        .collect();
    let text = if text.is_empty() { "nobody has any jobs".to_owned() } else { text.join("\n") };
    context.reporter.result(&lines, &text);
    Ok(())
}

async fn gestures(parts: &Parts, only: Option<String>, limit: u32, context: &Context) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line {
        id: String,
        owner: String,
        owner_name: String,
        labels: Vec<String>,
        bytes: u64,
        created_ms: u64,
    }
    let owners = parts.keys.owners().await?;
    if let Some(only) = only.as_ref().filter(|only| owners.iter().all(|(owner, _)| owner.0 != **only)) {
        return Err(Failure::Usage {
            what: format!("there is no owner `{only}`"),
            hint: "give the id of a key as `splat keys list` shows it, `local` or `legacy`",
        });
    }
    let mut lines = Vec::new();
    for (owner, name) in owners {
        if only.as_ref().is_some_and(|only| *only != owner.0) {
            continue;
        }
        for record in parts.gestures(&owner, limit as usize).await? {
            lines.push(Line {
                id: record.id.to_string(),
                owner: owner.0.clone(),
                owner_name: name.clone(),
                bytes: record.files.iter().map(|file| file.bytes).sum(),
                labels: record.labels,
                created_ms: record.created_ms,
            });
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.created_ms));
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            let created = UNIX_EPOCH + Duration::from_millis(line.created_ms);
            let days = SystemTime::now().duration_since(created).unwrap_or_default().as_secs() / (24 * 3600);
            let Line { id, owner_name, labels, .. } = line;
            format!("{id}  {days:4} days old  {:>9}  {owner_name}  {}", bytes(line.bytes), labels.join(", "))
        })
        .collect();
    let text = if text.is_empty() { "no gesture models".to_owned() } else { text.join("\n") };
    context.reporter.result(&lines, &text);
    Ok(())
}

async fn delete_gesture(parts: &Parts, model: &str, context: &Context) -> Result<(), Failure> {
    let deleted = match model.parse::<JobId>() {
        Ok(id) => parts.delete_gesture(&id).await?,
        Err(_) => None,
    };
    let Some(owner) = deleted else {
        return Err(Failure::Usage {
            what: format!("there is no gesture model `{model}`"),
            hint: "`splat admin gestures` lists them",
        });
    };
    let shown = serde_json::json!({ "deleted": model, "owner": owner });
    context.reporter.result(&shown, &format!("{model} of {} is deleted", owner.0));
    Ok(())
}

async fn set_mode(parts: &Parts, mode: Mode, context: &Context) -> Result<(), Failure> {
    parts.queue.set_mode(mode).await?;
    let depth = parts.queue.depth().await?;
    let (queued, running) =
        depth.iter().fold((0, 0), |sum, lane| (sum.0 + lane.queued, sum.1 + lane.running));
    let meaning = match mode {
        Mode::Open => "jobs are taken in and begun",
        Mode::Paused => "jobs are taken in and wait; none is begun",
        Mode::Draining => "no job is taken in; those that are there are done",
    };
    let text = format!("{meaning}; {running} run and {queued} wait now");
    let shown = serde_json::json!({ "mode": mode, "running": running, "queued": queued });
    context.reporter.result(&shown, &text);
    Ok(())
}
