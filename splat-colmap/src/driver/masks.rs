//! What of the photos is not used, carried through COLMAP: their own alpha channels, and masks beside them.
//!
//! COLMAP reads photos without alpha and writes undistorted ones without. It looks for features where alpha and mask allow it
//! (`work/feature_masks`, which Prepare writes), and after it has undistorted the photos both are resampled from the originals, through the
//! same lens to the same pinhole: alpha into `images`, masks into `masks`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use rayon::prelude::*;
use splat_core::images::decode_stored;
use splat_core::lens::undistort::Remap;
use splat_core::photo_names::{self, PhotoIndex, Resolved};
use splat_core::{CancelToken, Lens, Pinhole};

use super::listing::{self, Listing, Source};
use super::prepare::Photos;
use crate::dataset::no_mask_matches;
use crate::error::{ColmapError, Result, write_error};
use crate::model::Reconstruction;

/// The folder of masks, of upright photos in the work folder and of undistorted ones in the dataset.
pub(super) const MASKS: &str = "masks";
/// In the work folder: black where COLMAP is to find no features.
pub(super) const FEATURE_MASKS: &str = "feature_masks";
/// Where alpha or a mask is below this, COLMAP finds no features.
const USED: u8 = 128;

/// The masks beside the photos.
#[derive(Debug, Default)]
pub(super) struct GivenMasks {
    /// By the photo's name in the [`Listing`].
    files: BTreeMap<String, PathBuf>,
    /// What to say of them, if there are any.
    pub(super) message: Option<String>,
    /// Identifies their contents; empty without masks.
    pub(super) key: String,
}

impl GivenMasks {
    pub(super) fn is_any(&self) -> bool {
        !self.files.is_empty()
    }

    pub(super) fn of(&self, source: &Source) -> Option<&Path> {
        self.files.get(&source.name).map(PathBuf::as_path)
    }
}

/// The photos of `input` without the folder `out`, and their masks: from the folder `given`, else from one called `masks` among the
/// photos, or beside them if their folder has a usual name, provided that a picture in it is named like a photo.
pub(super) fn list(input: &Path, out: &Path, given: Option<&Path>) -> Result<(Listing, GivenMasks)> {
    let found: Vec<PathBuf> = match given {
        Some(given) => vec![given.to_owned()],
        None => usual_folders(input),
    };
    for dir in found {
        let listing = listing::list(input, &[out, &dir])?;
        let names: Vec<&str> = listing.sources.iter().map(|source| source.name.as_str()).collect();
        let index = PhotoIndex::of(&dir);
        let resolved = photo_names::resolve_masks(&index, &names);
        let matched = listing.sources.iter().zip(resolved).filter_map(|(photo, mask)| match mask {
            Resolved::File(path, _) => Some((photo, path)),
            _ => None,
        });
        let matched: Vec<(&Source, PathBuf)> = matched.collect();
        if matched.is_empty() && given.is_none() {
            continue;
        }
        let message = if matched.is_empty() {
            no_mask_matches(&index)
        } else {
            format!(
                "masks for {} of {} photos are taken from `{}`",
                matched.len(),
                names.len(),
                dir.display()
            )
        };
        let stamps: Vec<String> = matched
            .iter()
            .map(|(photo, mask)| format!("{} {}\n", photo.name, listing::stamp(mask)))
            .collect();
        let key = format!(" masks {}", super::state::fingerprint(&stamps.concat()));
        let files = matched.into_iter().map(|(photo, mask)| (photo.name.clone(), mask)).collect();
        return Ok((listing, GivenMasks { files, message: Some(message), key }));
    }
    Ok((listing::list(input, &[out])?, GivenMasks::default()))
}

fn usual_folders(input: &Path) -> Vec<PathBuf> {
    let input = std::path::absolute(input).unwrap_or_else(|_| input.to_owned());
    let among = photo_names::mask_folder(&input);
    let parent = input.parent().filter(|parent| photo_names::photo_folders(parent, false).contains(&input));
    among.into_iter().chain(parent.and_then(photo_names::mask_folder)).collect()
}

/// Writes where COLMAP may find features in a photo: where alpha (`[H*W*4]` RGBA) and mask (`[H*W]`) are at least [`USED`].
pub(super) fn write_feature_mask(path: &Path, rgba: &image::RgbaImage, mask: Option<&[u8]>) -> Result<()> {
    let alphas = rgba.pixels().map(|pixel| pixel[3]);
    let used: Vec<u8> = match mask {
        Some(mask) => alphas.zip(mask).map(|(alpha, &mask)| alpha.min(mask)).collect(),
        None => alphas.collect(),
    };
    let black_or_white: Vec<u8> =
        used.into_iter().map(|used| if used < USED { 0 } else { u8::MAX }).collect();
    write_grey(path, &black_or_white, rgba.dimensions())
}

/// Writes `[H*W]` grey levels as PNG.
pub(super) fn write_grey(path: &Path, grey: &[u8], size: (u32, u32)) -> Result<()> {
    write_png(path, grey, size, ExtendedColorType::L8)
}

fn write_png(path: &Path, samples: &[u8], size: (u32, u32), colour: ExtendedColorType) -> Result<()> {
    splat_core::files::make_parent(path)?;
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(samples, size.0, size.1, colour)
        .map_err(|error| write_error(path, std::io::Error::other(error)))?;
    fs::write(path, bytes).map_err(|error| write_error(path, error))
}

/// Name of the mask of a photo, as COLMAP looks for it.
pub(super) fn mask_name(photo: &str) -> String {
    format!("{photo}.png")
}

/// The models before and after undistortion, and the folders of their photos.
pub(super) struct Undistorted<'a> {
    /// The work folder, with `photos` and `masks`, and the model of their lenses.
    pub(super) work: &'a Path,
    pub(super) distorted: &'a Reconstruction,
    /// The folder with `images`, which gets `masks`, and the model of its pinholes.
    pub(super) out: &'a Path,
    pub(super) undistorted: &'a Reconstruction,
    /// What COLMAP said.
    pub(super) log: &'a Path,
}

/// One photo to resample.
struct Task<'a> {
    name: &'a str,
    alpha: bool,
    mask: bool,
}

impl Undistorted<'_> {
    /// Resamples the photos with alpha channels and the masks of the others.
    ///
    /// # Errors
    /// [`ColmapError::Incomplete`] for a photo without an undistorted camera; [`ColmapError::Core`] for files.
    pub(super) fn carry(&self, photos: &Photos, cancel: &CancelToken) -> Result<()> {
        let lenses: BTreeMap<&str, &Lens> = (self.distorted.images.values())
            .filter_map(|image| Some((image.name.as_str(), self.distorted.cameras.get(&image.camera_id)?)))
            .collect();
        let mut tasks: Vec<(&Lens, Pinhole, Vec<Task<'_>>)> = Vec::new();
        for image in self.undistorted.images.values() {
            let name = image.name.as_str();
            let task = Task { name, alpha: photos.alpha.contains(name), mask: photos.masked.contains(name) };
            if !task.alpha && !task.mask {
                continue;
            }
            let pinhole = self.undistorted.cameras.get(&image.camera_id).and_then(Lens::as_pinhole);
            let (Some(&lens), Some(pinhole)) = (lenses.get(name), pinhole) else {
                return Err(ColmapError::Incomplete {
                    command: "image_undistorter",
                    missing: 1,
                    expected: self.undistorted.images.len(),
                    first: name.to_owned(),
                    log: self.log.to_owned(),
                });
            };
            // One resampling map serves all photos of a camera.
            match tasks.iter_mut().find(|(of, to, _)| *of == lens && *to == pinhole) {
                Some((.., list)) => list.push(task),
                None => tasks.push((lens, pinhole, vec![task])),
            }
        }
        for (lens, pinhole, list) in tasks {
            let remap = Remap::new(lens, &pinhole)?;
            list.par_iter().try_for_each(|task| {
                cancel.check()?;
                self.resample(task, &remap)
            })?;
        }
        Ok(())
    }

    fn resample(&self, task: &Task<'_>, remap: &Remap) -> Result<()> {
        let size = remap.target_size();
        let resampled = |path: &Path| -> Result<Vec<u8>> { Ok(remap.apply(&decode_stored(path)?)?) };
        if task.alpha {
            let rgba = resampled(&self.work.join(super::PHOTOS).join(task.name))?;
            write_png(&self.out.join("images").join(task.name), &rgba, size, ExtendedColorType::Rgba8)?;
        }
        if task.mask {
            let name = mask_name(task.name);
            let rgba = resampled(&self.work.join(MASKS).join(&name))?;
            let grey: Vec<u8> = rgba.as_chunks::<4>().0.iter().map(|[grey, ..]| *grey).collect();
            write_grey(&self.out.join(MASKS).join(name), &grey, size)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use glam::DVec3;
    use splat_core::{LensModel, Pose};

    use super::*;
    use crate::model::PosedImage;

    /// Alpha and mask rise from left to right in the distorted photo, so that each level identifies its column.
    #[test]
    fn alpha_and_masks_follow_the_photo_through_its_lens() {
        let dir = tempfile::tempdir().unwrap();
        let (work, out) = (dir.path().join("work"), dir.path().join("out"));
        let lens = Lens {
            model: LensModel::OpenCv,
            width: 256,
            height: 96,
            params: vec![200.0, 210.0, 127.0, 50.0, -0.2, 0.05, 0.002, -0.001],
        };
        let pinhole = Pinhole { width: 240, height: 90, fx: 200.0, fy: 210.0, cx: 120.0, cy: 45.0 };
        let model = |lens: Lens| {
            let image = |name: &str| PosedImage {
                name: name.to_owned(),
                camera_id: 1,
                cam_from_world: Pose::IDENTITY,
                points2d: Vec::new(),
            };
            let images = ["a.png", "sub/b.jpg", "c.jpg"].iter().zip(1..).map(|(name, id)| (id, image(name)));
            Reconstruction { cameras: [(1, lens)].into(), images: images.collect(), ..Default::default() }
        };
        fs::create_dir_all(work.join("photos")).unwrap();
        fs::create_dir_all(work.join("masks/sub")).unwrap();
        fs::create_dir_all(out.join("images")).unwrap();
        let photo = |x: u32, y: u32| image::Rgba([x as u8, y as u8, 77, x as u8]);
        image::RgbaImage::from_fn(256, 96, photo).save(work.join("photos/a.png")).unwrap();
        let mask = image::GrayImage::from_fn(256, 96, |x, _| image::Luma([x as u8]));
        mask.save(work.join("masks/sub/b.jpg.png")).unwrap();
        let photos = Photos {
            alpha: ["a.png".to_owned()].into(),
            masked: ["sub/b.jpg".to_owned()].into(),
            ..Photos::default()
        };
        let (distorted, undistorted) = (model(lens.clone()), model(Lens::pinhole(pinhole)));
        let log = dir.path().join("log");
        let both = Undistorted {
            work: &work,
            distorted: &distorted,
            out: &out,
            undistorted: &undistorted,
            log: &log,
        };
        both.carry(&photos, &CancelToken::new()).unwrap();

        let picture = image::open(out.join("images/a.png")).unwrap().to_rgba8();
        let mask = image::open(out.join("masks/sub/b.jpg.png")).unwrap().to_luma8();
        assert_eq!((picture.dimensions(), mask.dimensions()), ((240, 90), (240, 90)));
        let mut moved = 0.0_f64;
        for (x, y) in [(3_u32, 4_u32), (40, 80), (120, 45), (200, 10), (236, 86)] {
            let ray = |at: u32, centre: f64, focal: f64| (f64::from(at) + 0.5 - centre) / focal;
            let ray = DVec3::new(ray(x, pinhole.cx, pinhole.fx), ray(y, pinhole.cy, pinhole.fy), 1.0);
            let source = lens.project(ray).unwrap() - 0.5;
            let [red, green, _, alpha] = picture.get_pixel(x, y).0.map(f64::from);
            for (got, expected) in [(alpha, source.x), (red, source.x), (green, source.y)] {
                assert!((got - expected).abs() < 0.8, "({x}, {y}): {got}, not {expected}");
            }
            assert!((f64::from(mask.get_pixel(x, y)[0]) - source.x).abs() < 0.8, "({x}, {y})");
            moved = moved.max((source.x - f64::from(x) - 7.0).abs());
        }
        assert!(moved > 2.0, "the lens hardly distorts: the test tests nothing");
        assert!(!out.join("masks/c.jpg.png").exists() && !out.join("images/c.jpg").exists());
        // A photo that has no undistorted camera is named.
        let none = Reconstruction { cameras: BTreeMap::new(), ..undistorted.clone() };
        let error =
            Undistorted { undistorted: &none, ..both }.carry(&photos, &CancelToken::new()).unwrap_err();
        assert!(matches!(&error, ColmapError::Incomplete { first, .. } if first == "a.png"), "{error}");
    }
}
