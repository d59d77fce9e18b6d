//! Virtual cameras for rendering a finished scene.
//!
//! [`CameraPath`] is a path in JSON; [`orbit`] circles the point that the training cameras look at, [`looked_at`]; [`NamedCamera`] is an
//! entry of the list of training cameras beside a PLY.

mod named;
mod orbit;
mod path;

pub use named::{NamedCamera, cameras_json, read_cameras, write_cameras};
pub use orbit::{looked_at, orbit, orbit_of_cloud};
pub use path::{CameraPath, Key};
