//! Converts command-line options to the library's.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use splat_colmap::{ColmapOptions, ColmapQuality, ColmapSource, DatasetSource};
use splat_core::dataset::DatasetOptions;
use splat_core::nerfstudio::NerfstudioSource;
use splat_core::pipeline::{DatasetPlace, PipelineOptions, Preset, SavedScene};
use splat_core::train::{DensifyConfig, TrainConfig};
use splat_core::{Content, Gpu, SceneSource, train};

use crate::args;
use crate::failure::Failure;

/// The preset asked for, or the one that fits the time given.
pub(crate) fn preset(options: &args::TrainOptions, gpu: &Gpu) -> Preset {
    let software = gpu.report().is_software();
    let fitting = options.budget.map(|budget| Preset::for_budget(budget, software));
    options.preset.or(fitting).unwrap_or_default()
}

/// The pipeline's options of a command that began at `started`.
pub(crate) fn pipeline(options: &args::TrainOptions, preset: Preset, started: Instant) -> PipelineOptions {
    let defaults = TrainConfig::default();
    PipelineOptions {
        train: TrainConfig {
            steps: options.steps.unwrap_or(preset.steps()),
            seed: options.seed,
            renderer: options.renderer.map(Into::into),
            finish_ewa_steps: options.finish_ewa,
            scale_floor: options.scale_floor,
            strategy: options.strategy.map_or(defaults.strategy, |strategy| match strategy {
                args::Strategy::Adc => train::Strategy::Adc,
                args::Strategy::Mcmc => train::Strategy::Mcmc,
            }),
            densify: DensifyConfig { grow_gradient: options.grow_gradient, ..defaults.densify },
            seed_points: options.seed_points,
            max_gaussians: options.max_gaussians,
            sh_degree: options.sh_degree.unwrap_or(defaults.sh_degree),
            full_size: options.full_size,
            exposure: options.exposure == args::Exposure::Auto,
            alpha_mode: options.images.alpha.mode(),
            ..defaults
        },
        stop_at: options.stop_at,
        deadline: options.budget.and_then(|budget| started.checked_add(budget)),
        dataset: dataset(&options.images, preset.max_image_size()),
        preset,
        eval_every: options.eval_every,
        checkpoint_every: options.checkpoint_every,
        resume: options.resume,
        extend_to: options.steps,
        init: options.init.clone(),
        also: options.also.clone(),
        ..PipelineOptions::default()
    }
}

/// Size and split of the photos; `max_image_size` is the preset's.
pub(crate) fn dataset(options: &args::ImageOptions, max_image_size: Option<u32>) -> DatasetOptions {
    dataset_as(options, DatasetOptions { max_image_size, ..DatasetOptions::default() })
}

/// `base` with the given options applied.
pub(crate) fn dataset_as(options: &args::ImageOptions, base: DatasetOptions) -> DatasetOptions {
    // An explicit factor overrides the preset's maximum size.
    let (max_image_size, downscale) = match (options.max_image_size, options.downscale) {
        (None, None) => (base.max_image_size, base.downscale),
        asked => asked,
    };
    let (holdout_every, own_split) = match options.holdout_every {
        Some(every) => ((every > 0).then_some(every), false),
        None => (base.holdout_every, base.own_split),
    };
    let keep_distortion = options.keep_distortion || base.keep_distortion;
    DatasetOptions { max_image_size, downscale, keep_distortion, holdout_every, own_split, ..base }
}

/// The location of `train`'s dataset, as an absolute path.
pub(crate) fn place(path: &Path, folders: &args::PhotoFolders) -> DatasetPlace {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    DatasetPlace {
        path: whole(path),
        images: folders.images.as_deref().map(whole),
        masks: folders.masks.as_deref().map(whole),
    }
}

/// The scene at a path: a file, the folder of a run, or that of the authors' code.
pub(crate) fn saved_scene(path: &Path) -> Result<SavedScene, Failure> {
    if !path.exists() {
        return Err(missing(
            path,
            "give a scene that `splat train` or another 3DGS trainer wrote, or the folder of its run",
        ));
    }
    Ok(SavedScene::find(path)?)
}

/// Photos that COLMAP poses; its dataset goes to `dataset`.
pub(crate) fn photos(
    photos: &Path,
    dataset: PathBuf,
    options: &args::ColmapOptions,
    preset: Preset,
) -> Result<ColmapSource, Failure> {
    require_folder(photos)?;
    let by_preset = ColmapQuality::from_name(preset.colmap_quality()).unwrap_or_default();
    let quality = options.quality.map_or(by_preset, |quality| match quality {
        args::Quality::Low => ColmapQuality::Low,
        args::Quality::Medium => ColmapQuality::Medium,
        args::Quality::High => ColmapQuality::High,
        args::Quality::Extreme => ColmapQuality::Extreme,
    });
    let defaults = ColmapOptions::default();
    let options = ColmapOptions {
        binary: options.colmap.clone(),
        quality,
        matcher: options.matcher.map_or(defaults.matcher, |matcher| match matcher {
            args::Matcher::Auto => splat_colmap::Matcher::Auto,
            args::Matcher::Exhaustive => splat_colmap::Matcher::Exhaustive,
            args::Matcher::Preselection => splat_colmap::Matcher::Preselection,
            args::Matcher::Sequential => splat_colmap::Matcher::Sequential,
        }),
        matcher_engine: options.matcher_engine.map_or(defaults.matcher_engine, |engine| match engine {
            args::MatcherEngine::Auto => splat_colmap::MatcherEngine::Auto,
            args::MatcherEngine::Splat => splat_colmap::MatcherEngine::Splat,
            args::MatcherEngine::Colmap => splat_colmap::MatcherEngine::Colmap,
        }),
        stage_timeout: options
            .colmap_timeout
            .map_or(defaults.stage_timeout, |m| Some(Duration::from_secs(60 * m))),
        resume: !options.redo_colmap,
        ..defaults
    };
    Ok(ColmapSource::new(photos, dataset, options))
}

/// A posed dataset: nerfstudio's where there is a transforms.json, else COLMAP's.
pub(crate) fn posed(path: &Path, folders: &args::PhotoFolders) -> Result<Box<dyn SceneSource>, Failure> {
    if !path.exists() {
        return Err(missing(
            path,
            "a dataset is a COLMAP folder (images/ and sparse/0/) or nerfstudio's transforms.json",
        ));
    }
    if NerfstudioSource::matches(path) {
        let mut source = NerfstudioSource::new(path);
        if let Some(images) = &folders.images {
            require_folder(images)?;
            source = source.with_images(images);
        }
        if let Some(masks) = &folders.masks {
            require_folder(masks)?;
            source = source.with_masks(masks);
        }
        return Ok(Box::new(source));
    }
    require_folder(path)?;
    // The folder of an earlier `splat run` holds its dataset one level down.
    let inner = path.join("colmap_data");
    let dataset = if !path.join("sparse").exists() && inner.join("sparse").exists() {
        inner
    } else {
        path.to_path_buf()
    };
    let mut source = DatasetSource::new(dataset);
    if let Some(images) = &folders.images {
        require_folder(images)?;
        source = source.with_images(images);
    }
    if let Some(masks) = &folders.masks {
        require_folder(masks)?;
        source = source.with_masks(masks);
    }
    Ok(Box::new(source))
}

fn require_folder(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        Ok(())
    } else if path.exists() {
        let content = Content::of_file(path).ok().flatten();
        Err(Failure::NotAFolder { path: path.to_path_buf(), content })
    } else {
        Err(missing(path, "check the path; a folder of photos is needed"))
    }
}

/// The failure for a path that does not exist.
pub(crate) fn missing(path: &Path, hint: &'static str) -> Failure {
    Failure::Input { path: path.to_path_buf(), what: "does not exist".into(), hint }
}
