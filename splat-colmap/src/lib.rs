//! COLMAP for Gaussian splatting: sparse models read and written, and the binary driven from photos
//! to a posed dataset.

mod dataset;
mod driver;
mod error;
mod model;
mod read;
mod write;

pub use dataset::DatasetSource;
pub use driver::{Colmap, ColmapOptions, ColmapQuality, ColmapSource, Matcher, Version, write_downscaled};
pub use error::{ColmapError, Place, Result};
pub use model::{Point2d, Point3d, PosedImage, Reconstruction, TrackElement};
pub use read::{ModelChoice, ModelForm, find_best_model, read_model};
pub use write::write_model;
