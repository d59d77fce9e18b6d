//! Where files lie below a job's folder: the layout that apps reading the old service's folders know.
//!
//! ```text
//! images/                                        the photos, named 0001.jpg ...
//! output/colmap_data/{images,images_2,sparse}    the posed dataset
//! output/exports/                                the scene in other forms
//! output/final_trained_model/                    what training made: ply/, checkpoints/, eval/, log.txt ...
//! ```

/// Folder of the photos.
pub const IMAGES: &str = "images";
/// Folder of the posed dataset.
pub const COLMAP_DATA: &str = "output/colmap_data";
/// What training makes, as [`splat_core::pipeline::OutputFolder`] lays it out.
pub const MODEL: &str = "output/final_trained_model";
/// Where an unfinished training goes on from.
pub const CHECKPOINTS: &str = "output/final_trained_model/checkpoints";
/// The scene in other forms, as they were asked for.
pub const EXPORTS: &str = "output/exports";
/// The log of the run.
pub const LOG: &str = "output/final_trained_model/log.txt";

/// A path below a job's folder as text with `/`; `None` for one that lies elsewhere.
#[must_use]
pub fn relative(folder: &std::path::Path, path: &std::path::Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.strip_prefix(folder).ok()?.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}
