//! `splat demo`: renders photos of the built-in scene and reconstructs them with the usual pipeline.

use std::time::Instant;

use serde::Serialize;
use splat_core::Event;
use splat_core::dataset::DatasetOptions;
use splat_core::events::Stage;
use splat_core::pipeline::{OutputFolder, PipelineOptions, Preset};
use splat_core::train::TrainConfig;
use splat_demo::{DemoOptions, photograph};

use super::{Context, make};
use crate::args::DemoArgs;
use crate::failure::Failure;
use crate::settings;

/// Size of the demo.
struct Size {
    photos: DemoOptions,
    steps: u32,
}

impl Size {
    fn of(args: &DemoArgs) -> Self {
        let mut size = if args.small {
            Self { photos: DemoOptions { views: 24, ..DemoOptions::sized(400, 300) }, steps: 300 }
        } else {
            Self { photos: DemoOptions::default(), steps: Preset::Preview.steps() }
        };
        size.photos.views = args.views.unwrap_or(size.photos.views);
        size
    }
}

pub(super) fn demo(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    let size = Size::of(args);
    let output = OutputFolder::create(&args.output)?;
    let photos = args.output.join("photos");
    let gpu = if args.photos_only { None } else { Some(context.gpu()?) };
    render_photos(&photos, &size.photos, context)?;
    let Some(gpu) = gpu else {
        #[derive(Serialize)]
        struct Done<'a> {
            event: &'a str,
            photos: &'a std::path::Path,
        }
        let text = format!("photos  {}", photos.display());
        context.reporter.result(&Done { event: "done", photos: &photos }, &text);
        return Ok(());
    };
    let preset = Preset::Preview;
    let mut source = settings::photos(&photos, None, output.colmap_data(), &args.colmap, preset, Some(&gpu))?;
    let options = PipelineOptions {
        train: TrainConfig { steps: size.steps, seed: args.seed, ..TrainConfig::default() },
        dataset: DatasetOptions { max_image_size: preset.max_image_size(), ..DatasetOptions::default() },
        preset,
        ..PipelineOptions::default()
    };
    let outcome = make::make(&mut source, options, output, &gpu, context)?;
    make::report_outcome(&outcome, context)
}

fn render_photos(photos: &std::path::Path, options: &DemoOptions, context: &Context) -> Result<(), Failure> {
    let stage = Stage::Photograph;
    let started = Instant::now();
    let reporter = &context.reporter;
    reporter.event(Event::StageStarted { stage });
    let progress = |done: u32, total: u32| {
        let (done, total) = (u64::from(done), Some(u64::from(total)));
        reporter.event(Event::StageProgress { stage, done, total });
    };
    photograph(photos, options, &progress, &context.cancel)?;
    let elapsed_s = started.elapsed().as_secs_f64();
    reporter.event(Event::StageFinished { stage, elapsed_s, skipped: false });
    Ok(())
}
