//! Layout of a job's folder: the one of the service that this one replaces, which existing apps read.
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
/// Output of training, as laid out by [`splat_core::pipeline::OutputFolder`].
pub const MODEL: &str = "output/final_trained_model";
/// Checkpoints, from which an unfinished training resumes.
pub const CHECKPOINTS: &str = "output/final_trained_model/checkpoints";
/// The scene in other formats, converted on request.
pub const EXPORTS: &str = "output/exports";
/// The log of the run.
pub const LOG: &str = "output/final_trained_model/log.txt";

/// A path relative to a job's folder as text with `/`; `None` if it is outside of it.
#[must_use]
pub fn relative(folder: &std::path::Path, path: &std::path::Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.strip_prefix(folder).ok()?.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}
