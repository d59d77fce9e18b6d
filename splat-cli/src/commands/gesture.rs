//! `splat gesture`: trains, evaluates, exports and applies hand-gesture models.

use std::path::{Path, PathBuf};

use serde::Serialize;
use splat_gesture::{
    Bundle, Confusion, Frame, GestureError, LabelledFrames, LabelledRows, Layout, Outcome, Recording, Report,
    TrainOptions, as_legacy_sees, base_v1, read_landmarks, read_rows, train_addition, train_new,
};

use super::Context;
use crate::args::{
    GestureArgs, GestureCommand, GestureEvalArgs, GestureExportArgs, GesturePredictArgs, GestureTrainArgs,
};
use crate::failure::Failure;

/// Name of the stored model in an output folder.
const MODEL_FILE: &str = "model.gesture";
/// Name of the built-in model.
const BASE: &str = "base_v1";

pub(super) fn gesture(args: &GestureArgs, context: &Context) -> Result<(), Failure> {
    match &args.command {
        GestureCommand::Train(args) => train(args, context),
        GestureCommand::Eval(args) => eval(args, context),
        GestureCommand::Export(args) => export(args, context),
        GestureCommand::Predict(args) => predict(args, context),
    }
}

fn train(args: &GestureTrainArgs, context: &Context) -> Result<(), Failure> {
    let cancel = || context.cancel.is_cancelled();
    let mut options = TrainOptions { seed: args.seed, ..TrainOptions::default() };
    if args.accept_look_alikes {
        options.gate.max_mixed = 1.0;
    }
    let bundle = if args.from_scratch {
        let layout = args.layout.map_or(Layout::World, Layout::from);
        let takes = recordings(&args.recordings, layout, context)?;
        context.reporter.note(&format!("training on {} gestures", takes.len()));
        published(train_new(&takes, "recordings given on the command line", &options, &|_| {}, &cancel)?)?
    } else {
        let mut bundle = open(&args.parent, context)?;
        for take in recordings(&args.recordings, bundle.layout(), context)? {
            context.reporter.note(&format!("adding `{}`", take.name()));
            bundle = published(train_addition(&bundle, &take, &options, &|_| {}, &cancel)?)?;
        }
        bundle
    };
    write(&bundle, &args.output)?;
    done(&bundle, &args.output, context);
    Ok(())
}

/// The model, or why it was rejected.
fn published(outcome: Outcome) -> Result<Bundle, Failure> {
    match outcome {
        Outcome::Published(bundle) => Ok(*bundle),
        Outcome::Refused(report) => Err(Failure::GestureRefused {
            gesture: report.new_gesture.clone(),
            reasons: report.reasons.join("; "),
            advice: report.advice.join("; "),
        }),
        Outcome::Duplicate { of } => Err(Failure::GestureRefused {
            gesture: None,
            reasons: format!("the frames were recorded before: they are those of `{of}`"),
            advice: "record the new gesture anew".to_owned(),
        }),
    }
}

fn write(bundle: &Bundle, output: &Path) -> Result<(), Failure> {
    bundle.export_to(output)?;
    let path = output.join(MODEL_FILE);
    std::fs::write(&path, bundle.to_bytes()).map_err(|source| GestureError::Write { path, source })?;
    Ok(())
}

fn export(args: &GestureExportArgs, context: &Context) -> Result<(), Failure> {
    let bundle = open(&args.model, context)?;
    write(&bundle, &args.output)?;
    done(&bundle, &args.output, context);
    Ok(())
}

fn done(bundle: &Bundle, output: &Path, context: &Context) {
    #[derive(Serialize)]
    struct Done<'a> {
        event: &'a str,
        output: &'a Path,
        labels: Vec<String>,
        layout: Layout,
        report: &'a Report,
    }
    let report = bundle.report();
    let mut lines = vec![
        format!("{} holds {}: {}", output.display(), MODEL_FILE, bundle.labels().join(", ")),
        format!("on frames kept aside: earlier gestures {:.1} %", 100.0 * report.old_accuracy),
    ];
    if let (Some(name), Some(recall)) = (&report.new_gesture, report.new_recall) {
        let counted = report.confusion.right_of(report.confusion.labels.len().saturating_sub(1));
        lines.push(format!("  `{name}` {:.1} % ({counted})", 100.0 * recall));
    }
    lines.push(format!(
        "  made-up hands of no gesture taken for one: {:.1} %",
        100.0 * report.unknown_accepted
    ));
    for confused in &report.confused_with {
        lines.push(format!("  near to `{}`", confused.gesture));
    }
    lines.extend(report.advice.iter().map(|advice| format!("  {advice}")));
    let value = Done { event: "done", output, labels: bundle.labels(), layout: bundle.layout(), report };
    context.reporter.result(&value, &lines.join("\n"));
}

/// Figures of `splat gesture eval`.
#[derive(Serialize)]
struct Evaluation {
    event: &'static str,
    /// Mean recall of the model's gestures that have frames here.
    accuracy: Option<f64>,
    /// Mean share of frames taken for a gesture, over the gestures that the model does not know.
    unknown_accepted: Option<f64>,
    answers: Vec<String>,
    gestures: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    gesture: String,
    known: bool,
    frames: usize,
    /// Share recognised as this gesture, or rejected if it is unknown.
    right: f64,
    /// Counts by prediction; the last is "none".
    counts: Vec<u32>,
}

fn eval(args: &GestureEvalArgs, context: &Context) -> Result<(), Failure> {
    let bundle = open(&args.model, context)?;
    let labels = bundle.labels();
    let mut rows = Vec::new();
    for group in frames(&args.recordings, bundle.layout())? {
        let view = |frame: &Frame| if args.legacy { as_legacy_sees(frame, bundle.layout()) } else { *frame };
        let frames: Vec<Frame> = group.frames.iter().skip(args.skip).map(view).collect();
        if frames.is_empty() {
            continue;
        }
        let counts = Confusion::measure(bundle.model(), &labels, [&frames[..]]).counts.swap_remove(0);
        let known = labels.iter().position(|label| *label == group.label);
        let right = counts.get(known.unwrap_or(labels.len())).copied().unwrap_or(0);
        rows.push(Row {
            gesture: group.label,
            known: known.is_some(),
            frames: frames.len(),
            right: f64::from(right) / frames.len() as f64,
            counts,
        });
    }
    let mean = |known: bool| {
        let right: Vec<f64> = rows.iter().filter(|row| row.known == known).map(|row| row.right).collect();
        (!right.is_empty()).then(|| right.iter().sum::<f64>() / right.len() as f64)
    };
    let (accuracy, unknown_accepted) = (mean(true), mean(false).map(|left_alone| 1.0 - left_alone));
    let answers: Vec<String> = labels.into_iter().chain(["none".to_owned()]).collect();
    let evaluation = Evaluation { event: "done", accuracy, unknown_accepted, answers, gestures: rows };
    context.reporter.result(&evaluation, &table(&evaluation));
    Ok(())
}

fn table(evaluation: &Evaluation) -> String {
    let names = evaluation.gestures.iter().map(|row| &row.gesture);
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0).max("gesture".len());
    let mut lines = vec![format!("{:width$}  frames  right %  taken for", "gesture")];
    for row in &evaluation.gestures {
        let mut taken: Vec<(u32, &String)> = row.counts.iter().copied().zip(&evaluation.answers).collect();
        taken.retain(|(count, _)| *count > 0);
        taken.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let taken: Vec<String> =
            taken.iter().take(4).map(|(count, name)| format!("{name} {count}")).collect();
        let unknown = if row.known { "" } else { "  (unknown to the model)" };
        lines.push(format!(
            "{:width$}  {:6}  {:7.1}  {}{unknown}",
            row.gesture,
            row.frames,
            100.0 * row.right,
            taken.join(", ")
        ));
    }
    if let Some(accuracy) = evaluation.accuracy {
        lines.push(format!("accuracy {accuracy:.4}"));
    }
    if let Some(accepted) = evaluation.unknown_accepted {
        lines.push(format!("unknown gestures accepted {accepted:.4}"));
    }
    lines.join("\n")
}

fn predict(args: &GesturePredictArgs, context: &Context) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Answer<'a> {
        event: &'a str,
        label: &'a str,
        frame: usize,
        gesture: Option<&'a str>,
        scores: &'a [f32],
    }
    let bundle = open(&args.model, context)?;
    let labels = bundle.labels();
    for group in frames(&args.recordings, bundle.layout())? {
        for (index, frame) in group.frames.iter().enumerate() {
            context.check()?;
            let prediction = bundle.model().predict(frame);
            let gesture = prediction.gesture.and_then(|gesture| labels.get(gesture)).map(String::as_str);
            let score = prediction.scores.get(prediction.best).copied().unwrap_or(0.0);
            let answer = Answer {
                event: "frame",
                label: &group.label,
                frame: index,
                gesture,
                scores: &prediction.scores,
            };
            let text = format!("{}\t{index}\t{}\t{score:.3}", group.label, gesture.unwrap_or("none"));
            context.reporter.result(&answer, &text);
        }
    }
    Ok(())
}

/// Loads a model from a file or folder, or the built-in one.
fn open(path: &Path, context: &Context) -> Result<Bundle, Failure> {
    if path == Path::new(BASE) && !path.exists() {
        context.reporter.note("making base_v1 from made-up hands, some seconds");
        return Ok(base_v1(&|_| {}, &|| context.cancel.is_cancelled())?);
    }
    let file = if path.is_dir() { path.join(MODEL_FILE) } else { path.to_owned() };
    let bytes = std::fs::read(&file).map_err(|source| GestureError::Read { path: file, source })?;
    Ok(Bundle::from_bytes(&bytes)?)
}

/// All frames of the files, which must all be valid; equal labels are merged in the order of the files.
fn frames(paths: &[PathBuf], layout: Layout) -> Result<Vec<LabelledFrames>, Failure> {
    let mut groups: Vec<LabelledFrames> = Vec::new();
    for path in paths {
        let read = read_landmarks(&text(path)?, layout).map_err(|source| unusable(path, source))?;
        for group in read {
            match groups.iter_mut().find(|known| known.label == group.label) {
                Some(known) => known.frames.extend(group.frames),
                None => groups.push(group),
            }
        }
    }
    Ok(groups)
}

fn text(path: &Path) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(path)
        .map_err(|source| GestureError::Read { path: path.to_owned(), source })?)
}

fn unusable(path: &Path, source: GestureError) -> Failure {
    Failure::Landmarks { path: path.to_owned(), source }
}

/// A recording for each label; up to a tenth of its frames may be invalid, and are reported.
fn recordings(paths: &[PathBuf], layout: Layout, context: &Context) -> Result<Vec<Recording>, Failure> {
    // With the file in which each label occurs first.
    let mut takes: Vec<(&Path, LabelledRows)> = Vec::new();
    for path in paths {
        for take in read_rows(&text(path)?).map_err(|source| unusable(path, source))? {
            match takes.iter_mut().find(|(_, known)| known.label == take.label) {
                Some((_, known)) => known.rows.extend(take.rows),
                None => takes.push((path, take)),
            }
        }
    }
    let recording = |(path, take): (&Path, LabelledRows)| {
        let recording =
            Recording::new(&take.label, layout, &take.rows).map_err(|source| unusable(path, source))?;
        if let Some(left_out) = recording.left_out() {
            context.reporter.note(&format!("`{}`: {left_out}", recording.name()));
        }
        Ok(recording)
    };
    takes.into_iter().map(recording).collect()
}
