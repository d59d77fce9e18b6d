//! The tiny dataset as a scene in memory, and larger.

use std::path::Path;

use splat_colmap::DatasetSource;
use splat_core::{CancelToken, Scene, SceneSource as _, View};

/// The dataset of `tiny_dataset`, read back.
pub(crate) fn scene(dir: &Path, views: u32) -> Result<Scene, Box<dyn std::error::Error>> {
    crate::tiny_dataset::write(dir, views)?;
    Ok(DatasetSource::new(dir).scene(&|_| {}, &CancelToken::new())?)
}

/// Replaces a view's photo with one of another size, and its lens to match.
pub(crate) fn enlarge(view: &mut View, dir: &Path, width: u32, height: u32) -> image::ImageResult<()> {
    let photo = image::open(&view.image_path)?.to_rgb8();
    let large = image::imageops::resize(&photo, width, height, image::imageops::FilterType::Triangle);
    view.image_path = dir.join(format!("large_{}", view.name));
    view.lens = view.lens.resized(width, height);
    large.save(&view.image_path)
}
