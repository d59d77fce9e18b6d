//! Converts command-line options to the library's.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use splat_colmap::{ColmapError, ColmapOptions, ColmapSource, DatasetSource, ModelForm};
use splat_core::events::EventSink;
use splat_core::gpu::GpuDescriptors;
use splat_core::nerfstudio::NerfstudioSource;
use splat_core::pipeline::{DatasetPlace, PipelineOptions, Preset, SavedScene};
use splat_core::{CancelToken, Content, Event, Gpu, Scene, SceneSource};

use crate::args;
use crate::failure::Failure;

/// The requested preset, or the one that suits the time limit.
pub(crate) fn preset(options: &args::TrainOptions, gpu: &Gpu) -> Preset {
    options.scene.0.preset_on(gpu.report().is_software())
}

/// Options of the pipeline, for a command that began at `started`.
pub(crate) fn pipeline(options: &args::TrainOptions, preset: Preset, started: Instant) -> PipelineOptions {
    let scene = &options.scene.0;
    PipelineOptions {
        stop_at: options.stop_at,
        eval_every: options.eval_every,
        checkpoint_every: options.checkpoint_every,
        resume: options.resume,
        extend_to: scene.steps,
        init: options.init.clone(),
        also: options.also.clone(),
        ..scene.pipeline(preset, started)
    }
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

/// Photos to be posed by COLMAP, with their masks if they are in an unusual folder; the dataset goes to `dataset`. Features are
/// matched on `gpu` if it is hardware.
pub(crate) fn photos(
    photos: &Path,
    masks: Option<&Path>,
    dataset: PathBuf,
    options: &args::ColmapOptions,
    preset: Preset,
    gpu: Option<&Gpu>,
) -> Result<ColmapSource, Failure> {
    require_folder(photos, PHOTOS_NEEDED)?;
    let defaults = options.scene.0.colmap(preset);
    let options = ColmapOptions {
        binary: options.colmap.clone(),
        stage_timeout: options
            .colmap_timeout
            .map_or(defaults.stage_timeout, |m| Some(Duration::from_secs(60 * m))),
        resume: !options.redo_colmap,
        comparer: gpu.and_then(GpuDescriptors::on_hardware),
        ..defaults
    };
    let source = ColmapSource::new(photos, dataset, options);
    Ok(match masks {
        Some(masks) => {
            require_folder(masks, MASKS_NEEDED)?;
            source.with_masks(masks)
        }
        None => source,
    })
}

/// A posed dataset: nerfstudio's if there is a transforms.json, else COLMAP's.
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
            require_folder(images, PHOTOS_NEEDED)?;
            source = source.with_images(images);
        }
        if let Some(masks) = &folders.masks {
            require_folder(masks, MASKS_NEEDED)?;
            source = source.with_masks(masks);
        }
        let beside = if path.is_dir() { splat_colmap::find_best_model(path).ok() } else { None };
        return Ok(match beside {
            Some(model) => {
                let message = format!(
                    "the poses of `transforms.json` are used; the COLMAP model in `{}` is passed over: give that folder to use it",
                    model.dir.display()
                );
                Box::new(Chosen { source: Box::new(source), message })
            }
            None => Box::new(source),
        });
    }
    if ModelForm::is_file_of_model(path) {
        return posed(path.parent().unwrap_or(path), folders);
    }
    require_folder(path, PHOTOS_NEEDED)?;
    if let Some((json, others)) = NerfstudioSource::below(path).split_first()
        && matches!(splat_colmap::find_best_model(path), Err(ColmapError::NoModel { .. }))
    {
        let mut message = format!("the poses of `{}` are used", json.display());
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(|other| format!("`{}`", other.display())).collect();
            message += &format!("; passed over: {}", others.join(", "));
        }
        return Ok(Box::new(Chosen { source: posed(json, folders)?, message }));
    }
    // The folder of an earlier `splat run` contains its dataset one level down.
    let inner = path.join("colmap_data");
    let dataset = if !path.join("sparse").exists() && inner.join("sparse").exists() {
        inner
    } else {
        path.to_path_buf()
    };
    let mut source = DatasetSource::new(dataset);
    if let Some(images) = &folders.images {
        require_folder(images, PHOTOS_NEEDED)?;
        source = source.with_images(images);
    }
    if let Some(masks) = &folders.masks {
        require_folder(masks, MASKS_NEEDED)?;
        source = source.with_masks(masks);
    }
    Ok(Box::new(source))
}

/// A dataset that was chosen among several, or found below the given folder.
struct Chosen {
    source: Box<dyn SceneSource>,
    /// Which one, as a sentence.
    message: String,
}

impl SceneSource for Chosen {
    fn scene(&mut self, events: EventSink<'_>, cancel: &CancelToken) -> splat_core::Result<Scene> {
        events(Event::Warning { message: self.message.clone() });
        self.source.scene(events, cancel)
    }
}

/// Hints for folders that do not exist.
const PHOTOS_NEEDED: &str = "check the path; a folder of photos is needed";
const MASKS_NEEDED: &str = "check the path; a folder of masks is needed";

fn require_folder(path: &Path, hint: &'static str) -> Result<(), Failure> {
    if path.is_dir() {
        Ok(())
    } else if path.exists() {
        let content = Content::of_file(path).ok().flatten();
        Err(Failure::NotAFolder { path: path.to_path_buf(), content })
    } else {
        Err(missing(path, hint))
    }
}

/// The failure for a path that does not exist.
pub(crate) fn missing(path: &Path, hint: &'static str) -> Failure {
    Failure::Input { path: path.to_path_buf(), what: "does not exist".into(), hint }
}
