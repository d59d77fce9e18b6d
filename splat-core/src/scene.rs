//! Posed photos and the points that structure-from-motion found: what training starts from.

use std::path::PathBuf;

use crate::camera::Pose;
use crate::events::{CancelToken, EventSink};
use crate::lens::Lens;

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
    /// World to camera.
    pub cam_from_world: Pose,
}

/// A point of the sparse reconstruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedPoint {
    /// World position.
    pub position: [f32; 3],
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
}

/// Something that yields a [`Scene`]: a dataset on disk, or photos that COLMAP has to pose first.
pub trait SceneSource {
    /// Makes or reads the scene.
    ///
    /// # Errors
    /// Whatever stops it, as a [`crate::Error`].
    fn scene(&mut self, events: EventSink<'_>, cancel: &CancelToken) -> crate::Result<Scene>;
}
