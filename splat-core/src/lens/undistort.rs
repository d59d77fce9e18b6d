//! Undistortion: the pinhole camera for a lens, and the resampling of photos to it.

use glam::{DVec2, DVec3};
use rayon::prelude::*;

use super::{Lens, LensProjector, Pinhole};
use crate::{Error, Result};

/// Maximum field of view of an undistorted image; a wider one would consist mostly of stretched borders.
const MAX_FIELD_OF_VIEW_DEG: f64 = 170.0;
/// COLMAP's bounds on the undistorted size relative to the photo's.
const SCALE_RANGE: (f64, f64) = (0.2, 2.0);
/// Bytes of one RGBA pixel.
const CHANNELS: usize = 4;

impl Lens {
    /// The pinhole camera to undistort this lens's photos to: it has the lens's focal length and relative principal point, and the
    /// largest size without blank pixels.
    ///
    /// A lens without distortion is returned unchanged.
    ///
    /// # Errors
    /// [`Error::InvalidLens`]; [`Error::CannotUndistort`] for 170 degrees of view or more, and for a lens without rays at the photo's
    /// edges.
    ///
    /// # Source
    /// The rule of COLMAP's `image_undistorter` with `blank_pixels = 0`, so that poses and sizes agree with datasets undistorted by
    /// COLMAP.
    pub fn undistorted_pinhole(&self) -> Result<Pinhole> {
        self.validate()?;
        if let Some(pinhole) = self.as_pinhole() {
            return Ok(pinhole);
        }
        let model = self.model.name();
        let refuse = |why| Error::CannotUndistort { model, why };
        let Some(([fx, fy, cx, cy], _)) = self.split() else {
            return Err(refuse("it sees the whole sphere, which no flat picture can".to_owned()));
        };
        let projector =
            self.projector().ok_or_else(|| refuse("its parameters contradict each other".to_owned()))?;
        let field_of_view = self.field_of_view_deg(&projector).ok_or_else(|| {
            refuse("its calibration gives no ray for the photo's edges, as with a circular fisheye or a wrong calibration".to_owned())
        })?;
        if field_of_view > MAX_FIELD_OF_VIEW_DEG {
            return Err(refuse(format!(
                "it sees {field_of_view:.0} degrees and a flat picture ends at {MAX_FIELD_OF_VIEW_DEG:.0}"
            )));
        }
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let to_flat = |x: f64, y: f64| {
            let ray = projector.unproject(DVec2::new(x, y)).filter(|ray| ray.z > 0.0)?;
            Some(DVec2::new(fx, fy) * ray.truncate() / ray.z + DVec2::new(cx, cy))
        };
        let rows = || (0..self.height).map(|y| f64::from(y) + 0.5);
        let columns = || (0..self.width).map(|x| f64::from(x) + 0.5);
        let left = rows().filter_map(|y| to_flat(0.5, y)).map(|p| p.x).fold(f64::MIN, f64::max);
        let right = rows().filter_map(|y| to_flat(width - 0.5, y)).map(|p| p.x).fold(f64::MAX, f64::min);
        let top = columns().filter_map(|x| to_flat(x, 0.5)).map(|p| p.y).fold(f64::MIN, f64::max);
        let bottom = columns().filter_map(|x| to_flat(x, height - 0.5)).map(|p| p.y).fold(f64::MAX, f64::min);

        let scale = |size: f64, centre: f64, low: f64, high: f64| {
            let shrink = (centre / (centre - low)).max((size - 0.5 - centre) / (high - centre));
            // NaN comes from a principal point on the edge or outside the photo.
            if shrink > 0.0 { (1.0 / shrink).clamp(SCALE_RANGE.0, SCALE_RANGE.1) } else { 1.0 }
        };
        let new_width = (scale(width, cx, left, right) * width).floor().max(1.0);
        let new_height = (scale(height, cy, top, bottom) * height).floor().max(1.0);
        Ok(Pinhole {
            width: new_width as u32,
            height: new_height as u32,
            fx,
            fy,
            cx: cx * new_width / width,
            cy: cy * new_height / height,
        })
    }

    /// The wider of the horizontal and vertical fields of view, through the principal point; `None` if the lens has no ray for an edge.
    fn field_of_view_deg(&self, projector: &LensProjector) -> Option<f64> {
        let ([_, _, cx, cy], _) = self.split()?;
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let (cx, cy) = (cx.clamp(0.5, width - 0.5), cy.clamp(0.5, height - 0.5));
        let axis = projector.unproject(DVec2::new(cx, cy))?;
        let angle = |x: f64, y: f64| -> Option<f64> {
            let ray: DVec3 = projector.unproject(DVec2::new(x, y))?;
            Some(ray.dot(axis).clamp(-1.0, 1.0).acos())
        };
        let across = angle(0.5, cy)? + angle(width - 0.5, cy)?;
        let down = angle(cx, 0.5)? + angle(cx, height - 0.5)?;
        Some(across.max(down).to_degrees())
    }
}

/// A resampling map: the position in the distorted photo of each pixel of the undistorted image. Computed once per camera and applied
/// to each of its photos.
#[derive(Clone, Debug)]
pub struct Remap {
    source_size: (u32, u32),
    target_size: (u32, u32),
    /// `[H*W]` photo positions, x and y in pixels (pixel (0,0) has its centre at (0.5, 0.5)); NaN
    /// outside of the photo. f32 is precise to 1/1000 pixel in a photo of 16,384 pixels.
    positions: Vec<[f32; 2]>,
}

impl Remap {
    /// The map from photos of `lens` to images of `pinhole` in the same pose.
    ///
    /// # Errors
    /// [`Error::InvalidLens`].
    pub fn new(lens: &Lens, pinhole: &Pinhole) -> Result<Self> {
        lens.validate()?;
        let what = "its parameters contradict each other".to_owned();
        let projector = lens.projector().ok_or(Error::InvalidLens { model: lens.model.name(), what })?;
        let (width, height) = (f64::from(lens.width), f64::from(lens.height));
        let mut positions = vec![[f32::NAN; 2]; pinhole.width as usize * pinhole.height as usize];
        positions.par_chunks_mut(pinhole.width.max(1) as usize).enumerate().for_each(|(row, line)| {
            let y = (row as f64 + 0.5 - pinhole.cy) / pinhole.fy;
            for (column, position) in line.iter_mut().enumerate() {
                let x = (column as f64 + 0.5 - pinhole.cx) / pinhole.fx;
                let pixel = projector.project(DVec3::new(x, y, 1.0));
                if let Some(p) = pixel
                    && p.cmpge(DVec2::ZERO).all()
                    && p.cmple(DVec2::new(width, height)).all()
                {
                    *position = p.as_vec2().to_array();
                }
            }
        });
        let target_size = (pinhole.width, pinhole.height);
        Ok(Self { source_size: (lens.width, lens.height), target_size, positions })
    }

    /// Width and height of the undistorted image.
    #[must_use]
    pub fn target_size(&self) -> (u32, u32) {
        self.target_size
    }

    /// Resamples a photo (`[H*W*4]` RGBA, straight alpha) bilinearly to `[H'*W'*4]`. Pixels outside
    /// the photo become transparent black; colours are weighted by alpha, so that masked pixels do not bleed into others. Between pixels
    /// of alpha 0 their colours are kept: the colours under a transparent background decide the meaning of the alpha channel.
    ///
    /// # Errors
    /// [`Error::ImageSize`] for a photo of another size than the lens's.
    pub fn apply(&self, rgba: &[u8]) -> Result<Vec<u8>> {
        let (width, height) = self.source_size;
        let expected = width as usize * height as usize * CHANNELS;
        if rgba.len() != expected {
            let why =
                format!("a photo of {width}x{height} pixels takes {expected} bytes, not {}", rgba.len());
            return Err(Error::ImageSize { why });
        }
        let (pixels, _) = rgba.as_chunks::<CHANNELS>();
        let mut out = vec![0_u8; self.positions.len() * CHANNELS];
        let row = self.target_size.0.max(1) as usize;
        out.par_chunks_mut(row * CHANNELS).zip(self.positions.par_chunks(row)).for_each(
            |(line, positions)| {
                for (target, &[x, y]) in line.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(positions) {
                    if x.is_finite() {
                        *target = sample(pixels, width as usize, height as usize, x, y);
                    }
                }
            },
        );
        Ok(out)
    }
}

fn sample(pixels: &[[u8; CHANNELS]], width: usize, height: usize, x: f32, y: f32) -> [u8; CHANNELS] {
    // Within half a pixel of the border the outermost pixel is repeated.
    let x = (x - 0.5).clamp(0.0, (width - 1) as f32);
    let y = (y - 0.5).clamp(0.0, (height - 1) as f32);
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = ((x0 + 1).min(width - 1), (y0 + 1).min(height - 1));
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let corners = [
        (pixels[y0 * width + x0], (1.0 - fx) * (1.0 - fy)),
        (pixels[y0 * width + x1], fx * (1.0 - fy)),
        (pixels[y1 * width + x0], (1.0 - fx) * fy),
        (pixels[y1 * width + x1], fx * fy),
    ];
    let hidden = corners.iter().all(|&([.., a], weight)| a == 0 || weight <= 0.0);
    let mut colour = [0.0_f32; 3];
    let mut sum_of_weights = 0.0_f32;
    for ([r, g, b, a], weight) in corners {
        let weight = if hidden { weight } else { weight * f32::from(a) };
        sum_of_weights += weight;
        for (sum, c) in colour.iter_mut().zip([r, g, b]) {
            *sum += weight * f32::from(c);
        }
    }
    let [r, g, b] = colour.map(|sum| (sum / sum_of_weights + 0.5) as u8);
    [r, g, b, if hidden { 0 } else { (sum_of_weights + 0.5) as u8 }]
}
