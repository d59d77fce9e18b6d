//! Trains a scene on a posed COLMAP dataset, renders one of its views and writes a PLY.
//!
//! ```sh
//! cargo run --release --example train -- path/to/dataset out 2000
//! ```

#![expect(clippy::print_stdout, reason = "an example says what it does")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use splat_colmap::DatasetSource;
use splat_core::dataset::{Dataset, DatasetOptions};
use splat_core::ply::{self, PlyOptions};
use splat_core::train::{StepReport, TrainConfig, Trainer};
use splat_core::{
    CancelToken, GaussianBuffers, Gpu, GpuOptions, RenderOptions, Renderer, RendererKind, SceneSource,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dataset), Some(output)) = (args.next(), args.next()) else {
        return Err("usage: train DATASET OUT [STEPS]".into());
    };
    let steps = args.next().map_or(Ok(2000), |steps| steps.parse())?;
    run(Path::new(&dataset), Path::new(&output), steps, |report| {
        if report.step.is_multiple_of(100) {
            println!("step {}: loss {:.4}, {} Gaussians", report.step, report.loss, report.gaussians);
        }
    })
}

/// The whole example; `progress` is called after every step.
///
/// # Errors
/// Errors of the dataset, the GPU or the disk.
pub fn run(
    dataset: &Path,
    output: &Path,
    steps: u32,
    mut progress: impl FnMut(&StepReport),
) -> Result<(), Box<dyn Error>> {
    let gpu = Gpu::new(&GpuOptions::default())?;

    // Posed photos and sparse points. Photos that COLMAP has yet to pose come from `splat_colmap::ColmapSource`.
    let scene = DatasetSource::new(dataset).scene(&|event| println!("{event}"), &CancelToken::new())?;
    let dataset = Arc::new(Dataset::new(scene, &DatasetOptions::default())?);

    let config = TrainConfig { steps, ..TrainConfig::default() };
    let mut trainer = Trainer::new(&gpu, Arc::clone(&dataset), config)?;
    while trainer.steps_done() < steps {
        progress(&trainer.step()?);
    }

    // Any camera will do; here it is the first photo's.
    let cloud = trainer.cloud()?;
    let buffers = GaussianBuffers::upload(&gpu, &cloud)?;
    let renderer = Renderer::new(&gpu, RendererKind::Ewa)?;
    let frame = renderer.render(&buffers, &dataset.camera(0), &RenderOptions::default())?;
    std::fs::create_dir_all(output)?;
    frame.read()?.save_png(&output.join("view.png"))?;
    ply::write(&output.join("scene.ply"), &cloud, &PlyOptions::default())?;
    Ok(())
}
