//! COLMAP for Gaussian splatting: reads and writes sparse models, and runs the COLMAP program from photos to a posed dataset.
//!
//! | to | use |
//! | --- | --- |
//! | pose a folder of photos | [`ColmapSource`], with [`ColmapOptions`] |
//! | take a dataset that is posed already | [`DatasetSource`] |
//! | look into a sparse model, or write one | [`read_model`], [`write_model`], [`find_best_model`] |
//! | ask which COLMAP is installed | [`Colmap::find`] |
//!
//! Both sources are [`splat_core::SceneSource`]s: what they yield is a [`splat_core::Scene`], ready to
//! train on. All 18 camera models of COLMAP 4 are read, in both forms, with or without rigs; the
//! program is driven in every release from 3.6 on.
//!
//! ```no_run
//! use splat_colmap::{ColmapOptions, ColmapQuality, ColmapSource};
//! use splat_core::{CancelToken, Event, SceneSource};
//!
//! # fn main() -> splat_core::Result<()> {
//! let options = ColmapOptions { quality: ColmapQuality::Low, ..ColmapOptions::default() };
//! let mut source = ColmapSource::new("photos", "garden/colmap_data", options);
//! let on_event = |event: Event| {
//!     if let Event::Warning { message } = event {
//!         eprintln!("{message}");
//!     }
//! };
//! let scene = source.scene(&on_event, &CancelToken::new())?;
//! println!("{} posed photos, {} points", scene.views.len(), scene.points.len());
//! # Ok(())
//! # }
//! ```
//!
//! Reading a model takes one call:
//!
//! ```no_run
//! # fn main() -> splat_colmap::Result<()> {
//! let best = splat_colmap::find_best_model("garden/colmap_data".as_ref())?;
//! let model = splat_colmap::read_model(&best.dir)?;
//! println!("{} images, {} points", model.images.len(), model.points.len());
//! # Ok(())
//! # }
//! ```

mod dataset;
mod driver;
mod error;
mod find;
pub mod foreign;
mod matching;
mod model;
mod read;
mod split;
mod version;
mod write;

pub use dataset::DatasetSource;
pub use driver::{
    Colmap, ColmapOptions, ColmapQuality, ColmapSource, Matcher, MatcherEngine, write_downscaled,
};
pub use error::{ColmapError, Place, Result};
pub use model::{Point2d, Point3d, PosedImage, Reconstruction, TrackElement};
pub use read::{ModelChoice, ModelForm, find_best_model, read_model};
pub use version::Version;
pub use write::write_model;
