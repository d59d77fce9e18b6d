//! From a folder of photos to a posed dataset, by the COLMAP program.
//!
//! | stage | module | makes, below the output folder |
//! | --- | --- | --- |
//! | Prepare | `listing`, `masks`, `prepare`, `encoding` | `work/photos`: upright copies; `work/masks`, `work/feature_masks` |
//! | Features, Matching | `features`, `stages`, `pairs`, `compare` | `work/database.db` |
//! | Mapping | `stages`, `gps`, `second_try`, `global`, `folded` | `work/sparse/0`, `1` ...: one model a connected part |
//! | Undistort | `stages`, `masks`, `downscale` | `images`, `masks`, `sparse/0`, `images_2` |
//!
//! `work/state.json` records which stages are done and their inputs, `work/colmap.log` holds everything
//! that COLMAP said. Start at [`ColmapSource`].

mod binary;
mod commands;
mod compare;
mod downscale;
mod encoding;
mod features;
mod folded;
mod global;
mod gps;
mod job;
mod listing;
mod masks;
mod options;
mod pairs;
mod places;
mod prepare;
mod progress;
mod second_try;
mod stages;
mod state;
mod verify;

use std::path::{Path, PathBuf};

use splat_core::events::{EventSink, Stage};
use splat_core::{CancelToken, Placement, Scene, SceneSource};

pub use binary::Colmap;
pub use downscale::write_downscaled;
pub use options::{ColmapOptions, ColmapQuality, Matcher, MatcherEngine};

use crate::dataset::DatasetSource;
use crate::error::Result;
use crate::find::WORK;
use job::PosingRun;
use state::State;

/// In it: upright copies of the photos, what COLMAP found in them, and the record of finished stages.
const PHOTOS: &str = "photos";
const DATABASE: &str = "database.db";
const STATE: &str = "state.json";

/// Photos that COLMAP poses.
///
/// The dataset is written to a folder in the layout that every trainer reads:
/// `images` (undistorted), `images_2` (half size), `sparse/0`, and `masks` if photos have some. Alpha channels of photos are kept.
#[derive(Clone, Debug)]
pub struct ColmapSource {
    photos: PathBuf,
    out: PathBuf,
    options: ColmapOptions,
    masks: Option<PathBuf>,
    keep_distortion: bool,
}

impl ColmapSource {
    /// Photos in (and below) the folder `photos`, dataset to the folder `out`; nothing is done yet.
    #[must_use]
    pub fn new(photos: impl Into<PathBuf>, out: impl Into<PathBuf>, options: ColmapOptions) -> Self {
        Self { photos: photos.into(), out: out.into(), options, masks: None, keep_distortion: false }
    }

    /// Overrides the folder of masks: white where a photo is used, named like the photos, as taken and not undistorted. By default those in
    /// a folder `masks` are used, among the photos or beside a folder of a usual name (`images`, `photos` ...).
    #[must_use]
    pub fn with_masks(mut self, masks: impl Into<PathBuf>) -> Self {
        self.masks = Some(masks.into());
        self
    }

    /// Whether the scene is that of the photos as they were taken, through their own lenses. The undistorted dataset is
    /// written all the same.
    #[must_use]
    pub fn keeping_distortion(mut self, keep: bool) -> Self {
        self.keep_distortion = keep;
        self
    }

    /// Where the upright copies of the photos lie, and what was made of their masks, for a dataset in the folder `out`.
    #[must_use]
    pub fn working_copies(out: &Path) -> [PathBuf; 3] {
        [PHOTOS, masks::MASKS, masks::FEATURE_MASKS].map(|folder| out.join(WORK).join(folder))
    }

    /// Files and folders in the dataset folder `out` that nothing but posing needs, several times as large as the photos. They may be
    /// removed from a finished dataset of undistorted photos: then [`Self::is_posed_for_good`], and a run that does a stage of COLMAP
    /// again begins with the features.
    #[must_use]
    pub fn removable_after_training(out: &Path) -> [PathBuf; 4] {
        let [photos, masks, feature_masks] = Self::working_copies(out);
        [out.join(WORK).join(DATABASE), photos, masks, feature_masks]
    }

    /// Whether the dataset was finished and what only posing needs was removed from it: it can be trained on as it is.
    #[must_use]
    pub fn is_posed_for_good(&self) -> bool {
        let work = self.out.join(WORK);
        let undistorted = State::load(&work.join(STATE)).has_finished(Stage::Undistort);
        undistorted
            && !work.join(DATABASE).exists()
            && self.out.join("sparse").is_dir()
            && self.out.join("images").is_dir()
    }

    /// The dataset's folder.
    #[must_use]
    pub fn output(&self) -> &Path {
        &self.out
    }

    /// Has the next run do `stage` and all after it again, whatever is there.
    ///
    /// # Errors
    /// [`crate::ColmapError::Core`] when the record of finished stages cannot be written.
    pub fn forget_from(&self, stage: Stage) -> Result<()> {
        let path = self.out.join(WORK).join(STATE);
        if !path.is_file() {
            return Ok(());
        }
        State::load(&path).forget_made(stage)
    }

    /// Runs the stages that are not done yet, and says which photos are placed. What is finished stays, whatever happens after
    /// it.
    ///
    /// # Errors
    /// [`crate::ColmapError`]; each says what to try.
    pub fn run(&self, events: EventSink<'_>, cancel: &CancelToken) -> Result<Placement> {
        // Asked before anything else: without the program the photos need not be read.
        let colmap = Colmap::find(self.options.binary.as_deref())?;
        let done = PosingRun::new(
            &self.photos,
            &self.out,
            self.masks.as_deref(),
            &self.options,
            colmap,
            events,
            cancel,
        )
        .and_then(PosingRun::run);
        done.map_err(|error| verify::explained(error, &self.out))
    }
}

impl SceneSource for ColmapSource {
    fn scene(&mut self, events: EventSink<'_>, cancel: &CancelToken) -> splat_core::Result<Scene> {
        let placement = self.run(events, cancel)?;
        let mut dataset = if self.keep_distortion {
            DatasetSource::new(self.out.join(WORK)).with_images(self.out.join(WORK).join(PHOTOS))
        } else {
            DatasetSource::new(&self.out)
        };
        let scene = dataset.scene(events, cancel)?;
        Ok(Scene { placement: Some(placement), ..scene })
    }
}
