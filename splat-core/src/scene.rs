//! Posed photos and the points that structure-from-motion found: what training starts from.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::camera::Pose;
use crate::events::{CancelToken, EventSink};
use crate::lens::Lens;
use crate::placement::Placement;
use crate::shutter::RollingShutter;
use crate::{Error, Result};

/// What the alpha channel of a photo means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlphaMode {
    /// Pixels below one half are not compared.
    #[default]
    Mask,
    /// The photo is transparent there: it is laid over a random background, so the scene learns to be too.
    Transparent,
}

/// One posed photo.
#[derive(Clone, Debug)]
pub struct View {
    /// Name relative to the images folder, `/`-separated. Views of a [`Scene`] are sorted by it.
    pub name: String,
    /// The photo on disk.
    pub image_path: PathBuf,
    /// A mask of the same picture: white is used, black is ignored.
    pub mask_path: Option<PathBuf>,
    /// The lens that the poses were computed for, at the size they were computed at.
    pub lens: Lens,
    /// World to camera; where the shutter rolls, in the middle of the exposure.
    pub cam_from_world: Pose,
    /// How the camera moved while its sensor was read out; `None`: a global shutter. Used where
    /// [`crate::DatasetOptions::keep_distortion`] asks for photos as they were taken; else the shutter is taken for global.
    pub rolling_shutter: Option<RollingShutter>,
}

/// A point of the sparse reconstruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedPoint {
    /// World position; in f64, which a survey's coordinates need.
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
    /// Names of the views that the dataset itself keeps for evaluation; `None` where it has no split of its own.
    pub test_views: Option<BTreeSet<String>>,
    /// Which photos have a pose here and which do not; `None` for datasets that were posed elsewhere.
    pub placement: Option<Placement>,
    /// What alpha channels of the photos mean, as far as the dataset tells: [`AlphaMode::Transparent`] for Blender's renders.
    pub alpha: AlphaMode,
}

impl Scene {
    /// Leaves out views whose photo another view before it has: such a photo would count twice, and could be trained on and
    /// held out at once. Gives a warning, if there were any. Views with one photo and different poses are refused no less: one
    /// of them is wrong, and the first is taken.
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

    /// Checks what later stages rely on: at least one view, lenses with a size and usable parameters,
    /// finite poses with rotations of unit length.
    ///
    /// Points are not checked: those that are not finite are left out where they are used.
    ///
    /// # Errors
    /// [`Error::Scene`] without views or for an unusable pose; [`Error::View`] with what is wrong with a lens.
    pub fn validate(&self) -> Result<()> {
        /// Far above what rounding in a text file leaves, far below what distorts a scene.
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

/// Something that yields a [`Scene`]: a dataset on disk, or photos that COLMAP has to pose first.
pub trait SceneSource {
    /// Makes or reads the scene.
    ///
    /// # Errors
    /// Whatever stops it, as a [`crate::Error`].
    fn scene(&mut self, events: EventSink<'_>, cancel: &CancelToken) -> crate::Result<Scene>;
}
