//! Virtual cameras: where pictures of a finished scene are taken from.
//!
//! [`CameraPath`] is what a user writes as JSON; [`orbit`] goes around what the training cameras looked at;
//! [`NamedCamera`] lists the training cameras beside a PLY.

mod named;
mod orbit;
mod path;

pub use named::{NamedCamera, cameras_json, read_cameras, write_cameras};
#[cfg(feature = "gpu")]
pub(crate) use orbit::looked_at;
pub use orbit::{orbit, orbit_of_cloud};
pub use path::{CameraPath, Key};
