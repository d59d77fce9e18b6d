//! Scenes: posed photos and the points found by structure-from-motion, the input of training.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::camera::Pose;
use crate::events::{CancelToken, EventSink};
use crate::lens::Lens;
use crate::placement::Placement;
use crate::shutter::RollingShutter;
use crate::{Error, Result};

/// Meaning of a photo's alpha channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlphaMode {
    /// Pixels below one half are not compared with the render.
    #[default]
    Mask,
    /// The photo is transparent there: it is composited over a random background, so that the scene becomes transparent too.
    Transparent,
}

/// One posed photo.
#[derive(Clone, Debug)]
pub struct View {
    /// Name relative to the images folder, `/`-separated. Views of a [`Scene`] are sorted by it.
    pub name: String,
    /// The photo on disk.
    pub image_path: PathBuf,
    /// A mask for the photo: white is used, black is ignored.
    pub mask_path: Option<PathBuf>,
    /// The lens that the poses were computed for, at the size they were computed at.
    pub lens: Lens,
    /// World to camera; with a rolling shutter, in the middle of the exposure.
    pub cam_from_world: Pose,
    /// Motion of the camera during readout; `None`: a global shutter. Used with [`crate::DatasetOptions::keep_distortion`];
    /// otherwise the shutter is treated as global.
    pub rolling_shutter: Option<RollingShutter>,
}

/// A point of the sparse reconstruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedPoint {
    /// World position, in f64 for survey coordinates.
    pub position: [f64; 3],
    /// Colour, 0..=255.
    pub rgb: [u8; 3],
}

/// A posed dataset.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Photos, sorted by name.
    pub views: Vec<View>,
    /// Sparse points; may be empty.
    pub points: Vec<SeedPoint>,
    /// Names of the views that the dataset declares for evaluation; `None` if it declares no split.
    pub test_views: Option<BTreeSet<String>>,
    /// Photos with and without a pose; `None` for datasets that were posed before.
    pub placement: Option<Placement>,
    /// Meaning of alpha channels, if declared by the dataset: [`AlphaMode::Transparent`] for Blender's renders.
    pub alpha: AlphaMode,
}

impl Scene {
    /// Removes views whose photo is also that of an earlier view: such a photo would count twice, and could be both trained on
    /// and held out. Returns a warning if there were any. Views of one photo with different poses are also removed: one of them
    /// is wrong, and the first is kept.
    pub fn drop_duplicates(&mut self) -> Option<String> {
        let mut seen = BTreeSet::new();
        let mut twice = Vec::new();
        self.views.retain(|view| {
            let first = seen.insert(view.image_path.clone());
            if !first {
                twice.push(view.name.clone());
            }
            first
        });
        let example = twice.first()?;
        Some(format!(
            "{} photos are listed more than once and used once, such as `{example}`; poses are taken from the first",
            twice.len()
        ))
    }

    /// Checks the assumptions of later stages: at least one view, valid lenses, finite poses with unit rotations.
    ///
    /// Points are not checked: those that are not finite are dropped where they are used.
    ///
    /// # Errors
    /// [`Error::Scene`] without views or for an invalid pose; [`Error::View`] for an invalid lens.
    pub fn validate(&self) -> Result<()> {
        /// Far above rounding errors of text files, far below visible distortion.
        const MAX_LENGTH_ERROR: f64 = 1e-3;
        if self.views.is_empty() {
            return Err(Error::Scene { why: "it has no posed photo".into() });
        }
        for view in &self.views {
            let bad =
                |what: &str| Err(Error::Scene { why: format!("the pose of view `{}` {what}", view.name) });
            let ends = view.rolling_shutter.map(|shutter| [shutter.start, shutter.end]);
            for pose in std::iter::once(view.cam_from_world).chain(ends.into_iter().flatten()) {
                let Pose { rotation, translation } = pose;
                if !rotation.is_finite() || !translation.is_finite() {
                    return bad("is not finite; pose the photos again");
                }
                if (rotation.length() - 1.0).abs() > MAX_LENGTH_ERROR {
                    return bad("is no rotation: its quaternion's length is not 1");
                }
            }
            view.lens
                .validate()
                .map_err(|error| Error::View { name: view.name.clone(), source: Box::new(error) })?;
        }
        Ok(())
    }
}

/// A source of a [`Scene`]: a dataset on disk, or photos that COLMAP has to pose first.
pub trait SceneSource {
    /// Reads or computes the scene.
    ///
    /// # Errors
    /// Any error of the source, as a [`crate::Error`].
    fn scene(&mut self, events: EventSink<'_>, cancel: &CancelToken) -> crate::Result<Scene>;
}
