//! Virtual cameras for rendering a finished scene.
//!
//! [`CameraPath`] is a path in JSON; [`orbit`] circles the point that the training cameras look at; [`NamedCamera`] is an entry of the
//! list of training cameras beside a PLY.

mod named;
mod orbit;
mod path;

pub use named::{NamedCamera, cameras_json, read_cameras, write_cameras};
#[cfg(feature = "gpu")]
pub(crate) use orbit::looked_at;
pub use orbit::{orbit, orbit_of_cloud};
pub use path::{CameraPath, Key};
