//! `splat info`: describes a scene or a dataset.

use std::path::Path;

use serde::Serialize;
use splat_colmap::ModelForm;
use splat_core::dataset::Dataset;
use splat_core::gaussians::central_box;
use splat_core::machine::available_memory;
use splat_core::pipeline::{OutputFolder, Preset, SavedScene, memory};
use splat_core::scene::AlphaMode;
use splat_core::text::{bytes, thousands};
use splat_core::train::memory::Workload;
use splat_core::{Gpu, NerfstudioSource, View, formats, images};

use super::Context;
use crate::args::InfoArgs;
use crate::failure::Failure;
use crate::settings;

const SH_DEGREE: u32 = 3;

pub(super) fn info(args: &InfoArgs, context: &Context) -> Result<(), Failure> {
    let path = &args.path;
    if !path.exists() {
        return Err(settings::missing(path, "give a scene, a dataset folder or the folder of a run"));
    }
    if formats::is_scene(path) && !ModelForm::is_file_of_model(path) {
        return scene(path, context);
    }
    // A run on a dataset elsewhere has only scenes in its output folder.
    let is_dataset = path.join("sparse").exists()
        || path.join("colmap_data").exists()
        || NerfstudioSource::matches(path)
        || ModelForm::is_file_of_model(path);
    if is_dataset {
        return dataset(args, context);
    }
    match SavedScene::find(path) {
        // The output folder of a run.
        Ok(saved) if saved.scene.parent() != Some(path) => scene(&saved.scene, context),
        Ok(saved) => dataset(args, context).or_else(|_| scene(&saved.scene, context)),
        Err(_) => dataset(args, context),
    }
}

/// Axis-aligned bounding box.
#[derive(Clone, Copy, Debug, Serialize)]
struct Bounds {
    min: [f64; 3],
    max: [f64; 3],
}

impl From<[[f64; 3]; 2]> for Bounds {
    fn from([min, max]: [[f64; 3]; 2]) -> Self {
        Self { min, max }
    }
}

impl Bounds {
    /// The same box in world coordinates, if the file has an origin.
    fn moved(self, origin: [f64; 3]) -> Self {
        let Self { min, max } = self;
        let moved = |corner: [f64; 3]| std::array::from_fn(|axis| corner[axis] + origin[axis]);
        Self { min: moved(min), max: moved(max) }
    }

    fn of(points: impl Iterator<Item = [f64; 3]>) -> Option<Self> {
        points.fold(None, |bounds: Option<Self>, point| {
            let Self { min, max } = bounds.unwrap_or(Self { min: point, max: point });
            let each = |f: fn(f64, f64) -> f64, a: [f64; 3]| std::array::from_fn(|i| f(a[i], point[i]));
            Some(Self { min: each(f64::min, min), max: each(f64::max, max) })
        })
    }

    fn text(bounds: Option<Self>) -> String {
        bounds.map_or_else(
            || "none".into(),
            |Self { min, max }| {
                let axes = ["x", "y", "z"].iter().zip(min.iter().zip(max));
                axes.map(|(axis, (min, max))| format!("{axis} {} to {}", coordinate(*min), coordinate(max)))
                    .collect::<Vec<_>>()
                    .join(", ")
            },
        )
    }
}

/// Three decimals, or an exponent if those are not meaningful.
fn coordinate(value: f64) -> String {
    let plain = value == 0.0 || (1e-2..1e7).contains(&value.abs());
    if plain { format!("{value:.3}") } else { format!("{value:.3e}") }
}

#[derive(Serialize)]
struct SceneInfo<'a> {
    kind: &'a str,
    gaussians: usize,
    sh_degree: u32,
    dropped_rows: u64,
    /// Gaussians whose infinite opacity or scale was replaced by a finite one.
    clamped_rows: u64,
    file_bytes: u64,
    /// The middle 98 % of the visible Gaussians, for framing.
    bounds: Option<Bounds>,
    /// Bounds of all Gaussians.
    extent: Option<Bounds>,
    comments: &'a [String],
    /// Values of the file that were changed or left out.
    notes: &'a [String],
}

fn scene(path: &Path, context: &Context) -> Result<(), Failure> {
    let scene = formats::read(path)?;
    let info = SceneInfo {
        kind: "scene",
        gaussians: scene.cloud.len(),
        sh_degree: scene.cloud.sh_degree,
        dropped_rows: scene.dropped_rows as u64,
        clamped_rows: scene.clamped_rows as u64,
        file_bytes: path.metadata().map_or(0, |data| data.len()),
        bounds: scene.cloud.framing_bounds().map(|bounds| Bounds::from(bounds).moved(scene.origin)),
        extent: Bounds::of(scene.cloud.means.iter().map(|mean| mean.map(f64::from)))
            .map(|extent| extent.moved(scene.origin)),
        comments: &scene.comments,
        notes: &scene.notes,
    };
    let mut rows =
        vec![("Gaussians", thousands(info.gaussians as u64)), ("SH degree", info.sh_degree.to_string())];
    if info.gaussians > 0 {
        rows.push((
            "bounds",
            format!("{} (98 % of what is seen, without what is far behind)", Bounds::text(info.bounds)),
        ));
        rows.push(("extent", Bounds::text(info.extent)));
    }
    rows.push(("file", bytes(info.file_bytes)));
    if info.dropped_rows > 0 {
        rows.push(("left out", format!("{} with values that are not finite", thousands(info.dropped_rows))));
    }
    if info.clamped_rows > 0 {
        rows.push(("clamped", format!("{} with infinite opacity or scale", thousands(info.clamped_rows))));
    }
    rows.extend(info.notes.iter().map(|note| ("note", note.clone())));
    rows.extend(info.comments.iter().map(|comment| ("comment", comment.clone())));
    context.reporter.result(&info, &table(&rows));
    Ok(())
}

#[derive(Serialize)]
struct DatasetInfo {
    kind: &'static str,
    photos: usize,
    /// Photos in the images folder, if known: more than `photos` if some have no pose.
    photos_on_disk: Option<usize>,
    cameras: Vec<String>,
    points: usize,
    /// The middle 98 % of the points along each axis.
    bounds: Option<Bounds>,
    /// Bounds of all points.
    extent: Option<Bounds>,
    held_out: usize,
    /// The split for evaluation.
    split: String,
    /// Photos with a mask.
    masks: usize,
    /// Photos with an alpha channel.
    alpha: usize,
    /// Meaning of alpha; `None` if the photos are opaque.
    alpha_mode: Option<AlphaMode>,
    /// Steps of [`InfoArgs::preset`].
    preset: Preset,
    steps: u32,
    training_width: u32,
    training_height: u32,
    /// `None` without a GPU.
    gaussian_cap: Option<u32>,
    memory: Vec<MemoryRow>,
    scenes: Vec<std::path::PathBuf>,
}

/// Memory of a training run on this dataset.
#[derive(Serialize)]
struct MemoryRow {
    gaussians: u32,
    bytes: u64,
}

fn dataset(args: &InfoArgs, context: &Context) -> Result<(), Failure> {
    let events = |event| context.reporter.event(event);
    let scene = settings::posed(&args.path, &args.folders)?.scene(&events, &context.cancel)?;
    let positions: Vec<[f64; 3]> = scene.points.iter().map(|point| point.position).collect();
    let bounds = central_box(&positions).map(Bounds::from);
    let extent = Bounds::of(positions.iter().copied());
    let photos_on_disk = photos_on_disk(&scene);
    let points = scene.points.len();
    // As in `splat train`.
    let photos_as = args.images.0.dataset(args.preset);
    let dataset = Dataset::open(scene, &photos_as, &events)?;
    let cameras = cameras(&dataset.scene);
    let masks = dataset.scene.views.iter().filter(|view| view.mask_path.is_some()).count();
    let has_alpha = |view: &View| images::probe(&view.image_path).is_ok_and(|photo| photo.has_alpha);
    let alpha = dataset.scene.views.iter().filter(|view| has_alpha(view)).count();
    let alpha_mode = dataset.alpha_note().map(|_| dataset.fitting_alpha());
    let split = match (dataset.held_out.is_empty(), dataset.uses_own_split()) {
        (true, _) => "no photo is held out".to_owned(),
        (false, true) => format!("the dataset's own: {} to train on", dataset.train.len()),
        (false, false) => {
            format!("one in {} by name", photos_as.holdout_every.unwrap_or(0))
        }
    };
    let photos = dataset.scene.views.len();
    let workload = Workload::of(&dataset, SH_DEGREE, None)?;
    let adapter = Gpu::describe(&context.gpu_options()).ok();
    let gaussian_cap = adapter.map(|adapter| workload.default_gaussians(&adapter, available_memory()));
    let counts = [100_000, 1_000_000].into_iter().filter(|count| gaussian_cap.is_none_or(|cap| *count < cap));
    let memory = counts
        .chain(gaussian_cap)
        .map(|gaussians| MemoryRow {
            gaussians,
            bytes: memory::predict_run(dataset.peak_memory_bytes(), &workload, gaussians).total(),
        })
        .collect();
    let scenes = OutputFolder::existing(&args.path).scenes()?;
    let held_out = dataset.held_out.len();
    let (training_width, training_height) = (workload.width, workload.height);
    let info = DatasetInfo {
        kind: "dataset",
        photos,
        photos_on_disk,
        cameras,
        points,
        bounds,
        extent,
        held_out,
        split,
        masks,
        alpha,
        alpha_mode,
        preset: args.preset,
        steps: args.preset.steps(),
        training_width,
        training_height,
        gaussian_cap,
        memory,
        scenes,
    };
    context.reporter.result(&info, &table(&rows(&info)));
    Ok(())
}

fn rows(info: &DatasetInfo) -> Vec<(&'static str, String)> {
    let placed = match info.photos_on_disk {
        Some(all) if all > info.photos => format!("{} placed of {all} on disk", info.photos),
        _ => format!("{} placed", info.photos),
    };
    let mut rows = vec![
        ("photos", format!("{placed}, {} held out", info.held_out)),
        ("split", info.split.clone()),
        ("masks", format!("{} of {}", info.masks, info.photos)),
        ("alpha", format!("{} of {}{}", info.alpha, info.photos, alpha_text(info.alpha_mode))),
        ("preset", format!("{}, {} steps", info.preset.name(), thousands(u64::from(info.steps)))),
        ("training size", format!("{}x{} at most", info.training_width, info.training_height)),
        ("points", thousands(info.points as u64)),
    ];
    if info.points > 0 {
        rows.push(("bounds", format!("{} (98 % of the points)", Bounds::text(info.bounds))));
        rows.push(("extent", Bounds::text(info.extent)));
    }
    rows.extend(info.cameras.iter().map(|camera| ("camera", camera.clone())));
    for row in &info.memory {
        let which = if Some(row.gaussians) == info.gaussian_cap { " (the cap on this machine)" } else { "" };
        rows.push((
            "memory",
            format!("{} to train {} Gaussians{which}", bytes(row.bytes), thousands(u64::from(row.gaussians))),
        ));
    }
    rows.extend(info.scenes.iter().map(|path| ("scene", path.display().to_string())));
    rows
}

fn alpha_text(mode: Option<AlphaMode>) -> &'static str {
    match mode {
        None => "",
        Some(AlphaMode::Mask) => ", a mask: transparent pixels are not compared with the scene",
        Some(AlphaMode::Transparent) => ", transparency: the scene is to be empty there",
    }
}

/// The distinct cameras, with their number of photos.
fn cameras(scene: &splat_core::Scene) -> Vec<String> {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for view in &scene.views {
        let lens = &view.lens;
        let kind = format!("{} {}x{}", lens.model.name(), lens.width, lens.height);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    kinds.into_iter().map(|(kind, count)| format!("{kind} ({count} photos)")).collect()
}

/// Number of photos in the folders of the views' photos.
fn photos_on_disk(scene: &splat_core::Scene) -> Option<usize> {
    let mut folders: Vec<_> = scene.views.iter().filter_map(|view| view.image_path.parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    let mut count = 0;
    for folder in folders {
        let entries = std::fs::read_dir(folder).ok()?.flatten();
        // Names that begin with a dot are metadata of the system (`._a.jpg`).
        let shown = |entry: &std::fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
        let is_photo = |entry: &std::fs::DirEntry| splat_core::images::has_photo_extension(&entry.path());
        count += entries.filter(|entry| shown(entry) && is_photo(entry)).count();
    }
    Some(count)
}

fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect::<Vec<_>>().join("\n")
}
