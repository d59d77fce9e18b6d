//! Decides whether the alpha channels of photos are cut-out objects, or masks.
//!
//! Programs that remove a background leave one colour under the transparent pixels, and transparent pixels all around what they
//! keep. Masks leave the photo's content under them, or cover something in the way: less than the whole border, or the same part
//! of the frame in every photo, such as the corners outside a fisheye's circle.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use image::RgbaImage;

use super::geometry::PhotoGeometry;
use crate::images;
use crate::scene::AlphaMode;

/// Number of photos that are decoded, spread over the dataset.
const LOOKED_AT: usize = 8;
/// Pixels with alpha up to this count as transparent: matting leaves some levels.
const CLEAR: u8 = 8;
/// Colours whose channels differ by at most this count as equal, since lossy formats vary a little.
const SAME_COLOUR: u8 = 8;
/// Share of a photo's transparent pixels that have its one colour.
const FLAT_SHARE: f64 = 0.99;
/// Share of the frame's border pixels that are transparent in a typical cut-out. Of a masked sky it is about half.
const BORDER_SHARE: f64 = 0.6;

/// What was found in the photos' alpha channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No photo has an alpha channel, or all are opaque.
    Opaque,
    /// A transparent background around an object.
    CutOut,
    /// Anything else.
    Mask,
}

impl Found {
    pub(super) fn mode(self) -> AlphaMode {
        if self == Self::CutOut { AlphaMode::Transparent } else { AlphaMode::Mask }
    }
}

/// Decodes some of the photos one at a time, which limits memory. A photo that cannot be decoded counts as opaque: it is reported
/// when it is used.
pub(super) fn look(photos: &[PhotoGeometry]) -> Found {
    let looked_at = photos.len().min(LOOKED_AT);
    let mut borders = Vec::new();
    let mut colours: Option<[u8; 3]> = None;
    let mut outlines = BTreeSet::new();
    let mut in_frame = true;
    let mut transparent = false;
    for index in 0..looked_at {
        let photo = &photos[index * photos.len() / looked_at];
        let image = if photo.has_alpha { images::decode_stored(&photo.image_path).ok() } else { None };
        let Some(image) = image.filter(|image| image.pixels().any(|pixel| pixel[3] < u8::MAX)) else {
            borders.push(0.0);
            continue;
        };
        transparent = true;
        let Some(colour) = hidden_colour(&image) else { return Found::Mask };
        if colours.is_some_and(|first| !alike(first, colour)) {
            return Found::Mask;
        }
        colours = Some(colour);
        let border = Border::of(&image);
        borders.push(border.clear_share);
        // The visible part of a distorted photo ends at the lens's border, which may be curved.
        in_frame &= !border.kept && photo.undistort.is_none() && photo.kept_lens.is_none();
        outlines.insert(outline(&image));
    }
    if !transparent {
        return Found::Opaque;
    }
    borders.sort_by(f64::total_cmp);
    let typical = borders[borders.len() / 2];
    let repeated = 2 * outlines.len() <= looked_at;
    let around = typical >= BORDER_SHARE && (in_frame || !repeated);
    if around { Found::CutOut } else { Found::Mask }
}

/// The colour of the pixels with alpha 0; `None` if there are none, or if they differ.
fn hidden_colour(image: &RgbaImage) -> Option<[u8; 3]> {
    let hidden = || image.pixels().filter(|pixel| pixel[3] == 0);
    let mut counts = [[0_u64; 256]; 3];
    for pixel in hidden() {
        for (counts, value) in counts.iter_mut().zip(pixel.0) {
            counts[usize::from(value)] += 1;
        }
    }
    let total: u64 = counts[0].iter().sum();
    let colour = counts.map(|counts| {
        let mut below = 0;
        let median = counts.iter().position(|count| {
            below += count;
            2 * below >= total
        });
        median.unwrap_or(0) as u8
    });
    let same = hidden().filter(|pixel| alike(colour, [pixel[0], pixel[1], pixel[2]])).count();
    (total > 0 && same as f64 >= FLAT_SHARE * total as f64).then_some(colour)
}

fn alike(a: [u8; 3], b: [u8; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= SAME_COLOUR)
}

/// The border pixels of the frame.
struct Border {
    /// Share of transparent ones.
    clear_share: f64,
    /// Whether any of them is not transparent.
    kept: bool,
}

impl Border {
    fn of(image: &RgbaImage) -> Self {
        let (width, height) = image.dimensions();
        let across = (0..width).flat_map(|x| [(x, 0), (x, height - 1)]);
        let down = (0..height).flat_map(|y| [(0, y), (width - 1, y)]);
        let (mut clear, mut all, mut kept) = (0_u32, 0_u32, false);
        for (x, y) in across.chain(down) {
            let alpha = image.get_pixel(x, y)[3];
            clear += u32::from(alpha <= CLEAR);
            all += 1;
            kept |= alpha > u8::MAX / 2;
        }
        Self { clear_share: f64::from(clear) / f64::from(all), kept }
    }
}

/// Hash of the transparent region, to compare photos.
fn outline(image: &RgbaImage) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.dimensions().hash(&mut hasher);
    let mut kept = false;
    for (index, pixel) in image.pixels().enumerate() {
        if (pixel[3] > u8::MAX / 2) != kept {
            kept = !kept;
            index.hash(&mut hasher);
        }
    }
    hasher.finish()
}
