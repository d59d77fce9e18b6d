//! The command lines of COLMAP's stages.

use std::path::Path;

use splat_core::LensModel;

use super::binary::{Colmap, Command};
use super::gps::POSITION_STD_M;
use super::options::{ColmapOptions, ColmapQuality, FeatureSettings};
use super::prepare::Photos;
use crate::error::{ColmapError, Result};

/// Cameras with fewer photos than this cannot be calibrated with OPENCV's eight parameters.
const OPENCV_MIN_PHOTOS: usize = 10;
/// COLMAP's own limit on a feature's contrast, 0.02 over three layers an octave; and half of it.
const USUAL_PEAKS: &str = "0.0066666666666666671";
const FAINT_PEAKS: &str = "0.0033333333333333335";
/// Photos per side of a block of pairs: small, because progress is only reported at the end of a block.
const BLOCK_PHOTOS: usize = 10;
/// Most pairs of a large set show different things, and each of those costs RANSAC's full limit. A
/// tenth of COLMAP's own limit still finds a fundamental matrix (7 points) among half outliers with
/// 99.9 % confidence: ln(0.001) / ln(1 - 0.5^7) = 880.
const RANSAC_TRIALS: &str = "1000";
/// Minimum number of the model's points in a photo to add it in the second try. COLMAP's default of twice as many leaves out photos
/// that link two parts of a set: of 16 photos around an object, 7 follow once the one with 15 to 30 points is added.
const MIN_POINTS_OF_LEFT_OUT: usize = 15;
/// At quality `low`, global bundle adjustment runs each time the model has grown by this factor, instead of COLMAP's 1.1. This takes a
/// quarter off the mapper's time at the same reprojection error: table "Placing photos" of `docs/benchmarks.md`.
const GROWTH_BETWEEN_ADJUSTMENTS: &str = "1.3";
/// The mapper that takes the photos' GPS positions into account, of COLMAP 3.11 and later.
pub(super) const WITH_GPS: &str = "pose_prior_mapper";
/// Minimum size of a model; COLMAP's default of 10 images would drop those of small sets.
const MIN_MODEL_PHOTOS: usize = 3;

/// How `feature_extractor` assigns cameras to photos.
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

/// The option value for the use of CUDA.
fn gpu(colmap: &Colmap, options: &ColmapOptions) -> &'static str {
    if colmap.has_cuda() && options.use_gpu { "1" } else { "0" }
}

/// Paths of the stages' files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paths<'a> {
    pub(super) photos: &'a Path,
    /// Where features may be found, if not everywhere.
    pub(super) feature_masks: Option<&'a Path>,
    pub(super) database: &'a Path,
    pub(super) sparse: &'a Path,
    pub(super) undistorted: &'a Path,
}

/// Photos whose features are extracted by one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct FeatureList<'a> {
    /// The list file, one name per line.
    pub(super) path: &'a Path,
    pub(super) mode: CameraMode,
    /// Photos of their camera, or, with [`CameraMode::PerPhoto`], of all those cameras.
    pub(super) photos: usize,
    /// An existing camera in the database that they share.
    pub(super) camera: Option<u32>,
}

pub(super) fn features(
    colmap: &Colmap,
    options: &ColmapOptions,
    settings: FeatureSettings,
    paths: &Paths<'_>,
    list: &FeatureList<'_>,
) -> Result<Command> {
    let FeatureSettings { max_image_size, max_features, first_octave, faint } = settings;
    let &FeatureList { path, mode, photos, camera } = list;
    let few = mode == CameraMode::PerPhoto || photos < OPENCV_MIN_PHOTOS;
    let model = options.camera_model.unwrap_or(if few { LensModel::SimpleRadial } else { LensModel::OpenCv });
    let mut command = colmap.command("feature_extractor")?;
    if let Some(masks) = paths.feature_masks {
        command = command.option(&["ImageReader.mask_path"], masks);
    }
    if let Some(camera) = camera {
        command = command.option(&["ImageReader.existing_camera_id"], camera.to_string());
    }
    Ok(command
        .option(&["database_path"], paths.database)
        .option(&["image_path"], paths.photos)
        .option(&["image_list_path"], path)
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
        .option(&["SiftExtraction.first_octave"], first_octave.to_string())
        .option(&["SiftExtraction.peak_threshold"], if faint { FAINT_PEAKS } else { USUAL_PEAKS }))
}

fn matching(command: Command, colmap: &Colmap, options: &ColmapOptions, paths: &Paths<'_>) -> Command {
    command
        .option(&["database_path"], paths.database)
        .option(&["FeatureMatching.use_gpu", "SiftMatching.use_gpu"], gpu(colmap, options))
        .option(&["FeatureMatching.guided_matching", "SiftMatching.guided_matching"], "0")
        .option(&["TwoViewGeometry.max_num_trials", "SiftMatching.max_num_trials"], RANSAC_TRIALS)
}

/// Number of blocks of pairs whose end `exhaustive_matcher` reports.
pub(super) fn blocks(photos: usize) -> u64 {
    (photos.div_ceil(BLOCK_PHOTOS) as u64).pow(2)
}

pub(super) fn match_all(colmap: &Colmap, options: &ColmapOptions, paths: &Paths<'_>) -> Result<Command> {
    let command = matching(colmap.command("exhaustive_matcher")?, colmap, options, paths);
    Ok(command
        .option(&["ExhaustivePairing.block_size", "ExhaustiveMatching.block_size"], BLOCK_PHOTOS.to_string()))
}

pub(super) fn match_sequence(colmap: &Colmap, options: &ColmapOptions, paths: &Paths<'_>) -> Result<Command> {
    let overlap = options.quality.overlap().to_string();
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

/// The incremental mapper: [`WITH_GPS`] if `gps` is set and the release has it.
pub(super) fn mapping(
    colmap: &Colmap,
    options: &ColmapOptions,
    paths: &Paths<'_>,
    gps: bool,
) -> Result<Command> {
    let with_gps = if gps { mapper_with_gps(colmap)? } else { None };
    let command = with_gps
        .map_or_else(|| colmap.command("mapper"), Ok)?
        .option(&["database_path"], paths.database)
        .option(&["image_path"], paths.photos)
        .option(&["output_path"], paths.sparse)
        .option(&["Mapper.min_model_size"], MIN_MODEL_PHOTOS.to_string());
    if options.quality > ColmapQuality::Low {
        return Ok(command);
    }
    Ok(command
        .option(
            &["Mapper.ba_global_frames_ratio", "Mapper.ba_global_images_ratio"],
            GROWTH_BETWEEN_ADJUSTMENTS,
        )
        .option(&["Mapper.ba_global_points_ratio"], GROWTH_BETWEEN_ADJUSTMENTS)
        .option(&["Mapper.ba_global_max_refinements"], "2"))
}

fn mapper_with_gps(colmap: &Colmap) -> Result<Option<Command>> {
    let command = match colmap.command(WITH_GPS) {
        Err(ColmapError::NoCommand { .. }) => return Ok(None),
        command => command?,
    };
    Ok(Some(
        command
            .option(&["overwrite_priors_covariance"], "1")
            .option(&["prior_position_std_x"], POSITION_STD_M)
            .option(&["prior_position_std_y"], POSITION_STD_M)
            .option(&["prior_position_std_z"], POSITION_STD_M)
            .option(&["use_robust_loss_on_prior_position"], "1"),
    ))
}

/// The mapper, starting from a model.
pub(super) fn mapping_from_model(
    colmap: &Colmap,
    options: &ColmapOptions,
    paths: &Paths<'_>,
    gps: bool,
    model: &Path,
    out: &Path,
) -> Result<Command> {
    let paths = Paths { sparse: out, ..*paths };
    Ok(mapping(colmap, options, &paths, gps)?
        .option(&["input_path"], model)
        .option(&["Mapper.abs_pose_min_num_inliers"], MIN_POINTS_OF_LEFT_OUT.to_string()))
}

/// The global mapper of COLMAP 4, into `out`.
pub(super) fn mapping_globally(colmap: &Colmap, paths: &Paths<'_>, out: &Path) -> Result<Command> {
    let command = colmap.command("global_mapper")?;
    Ok(command
        .option(&["database_path"], paths.database)
        .option(&["image_path"], paths.photos)
        .option(&["output_path"], out))
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
