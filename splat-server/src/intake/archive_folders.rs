//! Detects entries of an archive that are not photos by the folder that they are in.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use splat_core::images::has_photo_extension;
use splat_core::photo_names::{is_made_from_photos, is_mask_folder};

/// The folders of an archive, each ending in `/`.
#[derive(Debug, Default)]
pub(super) struct Folders {
    all: BTreeSet<String>,
    /// Folders that directly contain photos.
    with_photos: BTreeSet<String>,
}

impl Folders {
    pub(super) fn of<'a>(names: impl Iterator<Item = Cow<'a, str>>) -> Self {
        let mut folders = Self::default();
        for name in names.map(|name| name.replace('\\', "/")) {
            folders.all.extend(name.match_indices('/').map(|(at, _)| name[..=at].to_owned()));
            if has_photo_extension(Path::new(&name)) {
                folders.with_photos.insert(name[..name.rfind('/').map_or(0, |at| at + 1)].to_owned());
            }
        }
        folders
    }

    /// Why an entry is not a photo, if it was derived from photos elsewhere in the archive: a smaller copy, a depth map, a mask.
    pub(super) fn made_from_photos(&self, entry_name: &str) -> Option<String> {
        let name = entry_name.replace('\\', "/");
        let mut start = 0;
        for (at, _) in name.match_indices('/') {
            let (beside, folder) = (&name[..start], &name[start..at]);
            let beside_images = self.all.contains(&format!("{beside}images/"));
            if is_mask_folder(folder) && (beside_images || self.with_photos.contains(beside)) {
                return Some(format!(
                    "it is a mask in `{folder}`; masks are used from a folder, so unpack the zip"
                ));
            }
            if beside_images && is_made_from_photos(folder) {
                return Some(format!("it lies in `{folder}`, which programs make from the photos beside it"));
            }
            start = at + 1;
        }
        None
    }
}
