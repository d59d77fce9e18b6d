//! The command lines of COLMAP's stages.

use std::path::Path;

use splat_core::LensModel;

use super::binary::{Colmap, Command};
use super::options::{ColmapOptions, QualitySettings};
use super::prepare::Photos;
use crate::error::Result;

/// Cameras with fewer photos than this cannot fix OPENCV's eight parameters.
const OPENCV_MIN_PHOTOS: usize = 10;
/// Photos a side of the blocks of pairs that are matched at once: small, because each block's end
/// is the only sign of progress.
const BLOCK_PHOTOS: usize = 10;
/// Most pairs of a large set show different things, and each of those costs RANSAC's full limit. A
/// tenth of COLMAP's own limit still finds a fundamental matrix (7 points) among half outliers with
/// 99.9 % confidence: ln(0.001) / ln(1 - 0.5^7) = 880.
const RANSAC_TRIALS: &str = "1000";
/// COLMAP drops models below 10 images; small sets have no larger ones.
const MIN_MODEL_PHOTOS: usize = 3;

/// Photos of one camera, as `feature_extractor` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CameraMode {
    /// All photos of the list share a camera.
    Shared,
    /// Each photo of the list has its own.
    PerPhoto,
}

/// The photos of each camera with several, then all photos that are alone with theirs.
pub(super) fn camera_lists(photos: &Photos) -> Vec<(CameraMode, Vec<&str>)> {
    let mut lists: Vec<(CameraMode, Vec<&str>)> = (photos.cameras.iter())
        .filter(|group| group.len() > 1)
        .map(|group| (CameraMode::Shared, group.iter().map(String::as_str).collect()))
        .collect();
    let single = photos.cameras.iter().filter(|group| group.len() == 1);
    let single: Vec<&str> = single.flatten().map(String::as_str).collect();
    if !single.is_empty() {
        lists.push((CameraMode::PerPhoto, single));
    }
    lists
}

/// Whether a stage may use CUDA.
fn gpu(colmap: &Colmap, options: &ColmapOptions) -> &'static str {
    if colmap.has_cuda() && options.use_gpu { "1" } else { "0" }
}

/// Where the stages' things lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paths<'a> {
    pub(super) photos: &'a Path,
    pub(super) database: &'a Path,
    pub(super) sparse: &'a Path,
    pub(super) undistorted: &'a Path,
}

pub(super) fn features(
    colmap: &Colmap,
    options: &ColmapOptions,
    paths: &Paths<'_>,
    list: &Path,
    mode: CameraMode,
    photos: usize,
) -> Result<Command> {
    let QualitySettings { max_image_size, max_features, first_octave, .. } = options.quality.settings();
    let few = mode == CameraMode::PerPhoto || photos < OPENCV_MIN_PHOTOS;
    let model = options.camera_model.unwrap_or(if few { LensModel::SimpleRadial } else { LensModel::OpenCv });
    let command = colmap.command("feature_extractor")?;
    Ok(command
        .option(&["database_path"], paths.database)
        .option(&["image_path"], paths.photos)
        .option(&["image_list_path"], list)
        .option(&["ImageReader.camera_model"], model.name())
        .option(&["ImageReader.single_camera"], if mode == CameraMode::Shared { "1" } else { "0" })
        .option(
            &["ImageReader.single_camera_per_image"],
            if mode == CameraMode::PerPhoto { "1" } else { "0" },
        )
        .option(&["FeatureExtraction.use_gpu", "SiftExtraction.use_gpu"], gpu(colmap, options))
        .option(
            &["FeatureExtraction.max_image_size", "SiftExtraction.max_image_size"],
            max_image_size.to_string(),
        )
        .option(&["SiftExtraction.max_num_features"], max_features.to_string())
        .option(&["SiftExtraction.first_octave"], first_octave.to_string()))
}

fn matching(command: Command, colmap: &Colmap, options: &ColmapOptions, paths: &Paths<'_>) -> Command {
    command
        .option(&["database_path"], paths.database)
        .option(&["FeatureMatching.use_gpu", "SiftMatching.use_gpu"], gpu(colmap, options))
        .option(&["FeatureMatching.guided_matching", "SiftMatching.guided_matching"], "0")
        .option(&["TwoViewGeometry.max_num_trials", "SiftMatching.max_num_trials"], RANSAC_TRIALS)
}

/// Blocks of pairs that `exhaustive_matcher` tells the end of.
pub(super) fn blocks(photos: usize) -> u64 {
    (photos.div_ceil(BLOCK_PHOTOS) as u64).pow(2)
}

pub(super) fn match_all(colmap: &Colmap, options: &ColmapOptions, paths: &Paths<'_>) -> Result<Command> {
    let command = matching(colmap.command("exhaustive_matcher")?, colmap, options, paths);
    Ok(command
        .option(&["ExhaustivePairing.block_size", "ExhaustiveMatching.block_size"], BLOCK_PHOTOS.to_string()))
}

pub(super) fn match_sequence(colmap: &Colmap, options: &ColmapOptions, paths: &Paths<'_>) -> Result<Command> {
    let overlap = options.quality.settings().overlap.to_string();
    let command = matching(colmap.command("sequential_matcher")?, colmap, options, paths);
    Ok(command
        .option(&["SequentialPairing.overlap", "SequentialMatching.overlap"], overlap)
        .option(&["SequentialPairing.quadratic_overlap", "SequentialMatching.quadratic_overlap"], "1")
        .option(&["SequentialPairing.loop_detection", "SequentialMatching.loop_detection"], "0"))
}

pub(super) fn match_pairs(
    colmap: &Colmap,
    options: &ColmapOptions,
    paths: &Paths<'_>,
    list: &Path,
) -> Result<Command> {
    let command = matching(colmap.command("matches_importer")?, colmap, options, paths);
    Ok(command.option(&["match_list_path"], list).option(&["match_type"], "pairs"))
}

pub(super) fn mapping(colmap: &Colmap, paths: &Paths<'_>) -> Result<Command> {
    let command = colmap.command("mapper")?;
    Ok(command
        .option(&["database_path"], paths.database)
        .option(&["image_path"], paths.photos)
        .option(&["output_path"], paths.sparse)
        .option(&["Mapper.min_model_size"], MIN_MODEL_PHOTOS.to_string()))
}

pub(super) fn undistortion(colmap: &Colmap, paths: &Paths<'_>, model: &Path) -> Result<Command> {
    let command = colmap.command("image_undistorter")?;
    Ok(command
        .option(&["image_path"], paths.photos)
        .option(&["input_path"], model)
        .option(&["output_path"], paths.undistorted)
        .option(&["output_type"], "COLMAP")
        .option(&["jpeg_quality"], "97"))
}
