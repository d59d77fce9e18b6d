//! From the scene to a picture: rays through pixels, light, and what a sensor makes of it.

use glam::{DVec2, DVec3, Vec2, Vec3};
use image::RgbImage;
use rayon::prelude::*;

use super::light::{Light, sky_colour};
use super::material::Material;
use super::noise::{hash, unit};
use super::scene::{StillLife, Surface};
use super::shapes::Ray;

/// Four rays a pixel, on a turned square.
const SAMPLES: [(f64, f64); 4] = [(0.375, 0.125), (0.875, 0.375), (0.625, 0.875), (0.125, 0.625)];
/// Standard deviation of the sensor's noise, in encoded levels of 255.
const NOISE_LEVELS: f32 = 1.1;
/// Where the picture begins to bend towards white instead of clipping, linear.
const SHOULDER: f32 = 0.6;

/// Side of the blocks of pixels that share one search for what they may show.
const BLOCK: usize = 16;
/// How much wider than its corners a block's cone is taken: lenses bend lines a little.
const CONE_MARGIN: f32 = 1.2;

/// The world ray (origin, unit direction) through a place in the picture, in pixels.
type RayThrough<'a> = &'a (dyn Fn(DVec2) -> Option<(DVec3, DVec3)> + Sync);

/// A scene with its light, ready to be photographed.
#[derive(Debug)]
pub(super) struct Set {
    scene: StillLife,
    light: Light,
}

impl Set {
    pub(super) fn new(seed: u32) -> Self {
        let scene = StillLife::new(seed);
        let light = Light::new(&scene);
        Self { scene, light }
    }

    /// One picture of `width` x `height`; where no ray passes through, it stays black.
    pub(super) fn expose(
        &self,
        width: u32,
        height: u32,
        noise_seed: u32,
        ray_through: RayThrough<'_>,
    ) -> RgbImage {
        let pixel_angle = pixel_angle(width, height, ray_through);
        let mut picture = RgbImage::new(width, height);
        let band_bytes = width.max(1) as usize * 3 * BLOCK;
        picture.par_chunks_mut(band_bytes).enumerate().for_each(|(band, lines)| {
            let columns = width as usize;
            for left in (0..columns).step_by(BLOCK) {
                let block = (left, (left + BLOCK).min(columns), band * BLOCK, (band + 1) * BLOCK);
                let candidates = self.candidates(block, ray_through);
                for (row, line) in lines.chunks_exact_mut(3 * columns).enumerate() {
                    for (column, pixel) in line.chunks_exact_mut(3).enumerate().take(block.1).skip(left) {
                        let (x, y) = (column, band * BLOCK + row);
                        let linear = self.pixel(x as f64, y as f64, pixel_angle, &candidates, ray_through);
                        for (channel, (value, byte)) in linear.to_array().into_iter().zip(pixel).enumerate() {
                            let grain = NOISE_LEVELS * normal(x as i32, y as i32, channel as i32, noise_seed);
                            *byte = (255.0 * encode(value) + grain).round().clamp(0.0, 255.0) as u8;
                        }
                    }
                }
            }
        });
        picture
    }

    /// Mean light of a pixel's samples, linear.
    fn pixel(
        &self,
        x: f64,
        y: f64,
        pixel_angle: f32,
        candidates: &[usize],
        ray_through: RayThrough<'_>,
    ) -> Vec3 {
        let mut sum = Vec3::ZERO;
        for (dx, dy) in SAMPLES {
            if let Some((origin, direction)) = ray_through(DVec2::new(x + dx, y + dy)) {
                let ray = Ray { origin: origin.as_vec3(), direction: direction.as_vec3() };
                sum += shoulder(self.radiance(&ray, pixel_angle, candidates));
            }
        }
        sum / SAMPLES.len() as f32
    }

    /// The objects that a block of pixels (left, right, top, bottom) may show, by the cone of its rays.
    fn candidates(
        &self,
        (left, right, top, bottom): (usize, usize, usize, usize),
        ray_through: RayThrough<'_>,
    ) -> Vec<usize> {
        let middle = (0.5 * (left + right) as f64, 0.5 * (top + bottom) as f64);
        let corners = [(left, top), (right, top), (left, bottom), (right, bottom)];
        let corners = corners.map(|(x, y)| ray_through(DVec2::new(x as f64, y as f64)));
        let (Some((origin, axis)), [Some(a), Some(b), Some(c), Some(d)]) =
            (ray_through(middle.into()), corners)
        else {
            return (0..self.scene.objects.len()).collect(); // at the rim of what the lens sees
        };
        let (mut half_angle, mut spread) = (0.0_f64, 0.0_f64);
        for (corner_origin, direction) in [a, b, c, d] {
            half_angle = half_angle.max(axis.angle_between(direction));
            spread = spread.max(origin.distance(corner_origin));
        }
        self.scene.in_cone(
            origin.as_vec3(),
            axis.as_vec3(),
            CONE_MARGIN * half_angle as f32,
            CONE_MARGIN * spread as f32 + 1e-4,
        )
    }

    /// Light that comes back along a ray. `pixel_angle` is a pixel's width in radians.
    fn radiance(&self, ray: &Ray, pixel_angle: f32, candidates: &[usize]) -> Vec3 {
        let Some(meeting) = self.scene.meet(ray, candidates) else {
            return sky_colour(ray.direction);
        };
        let grazing = meeting.normal.dot(ray.direction).abs().max(0.2);
        let footprint = meeting.distance * pixel_angle / grazing.sqrt();
        let look = match meeting.surface {
            Surface::Ground => Material::Paving.look(meeting.point, 0, footprint, self.scene.seed),
            Surface::Wall => Material::Mural.look(meeting.point, 0, footprint, self.scene.seed ^ 0xa11),
            Surface::Object(index) => {
                let Some(object) = self.scene.objects.get(index) else { return Vec3::ZERO };
                let local = object.local(meeting.point);
                let mut look = object.material.look(local, meeting.face, footprint, object.seed);
                look.relief = object.to_world(look.relief);
                look
            }
        };
        let slope = look.relief - meeting.normal * meeting.normal.dot(look.relief);
        let normal = (meeting.normal - slope.clamp_length_max(0.6)).normalize_or(meeting.normal);
        look.albedo * self.light.arriving(&meeting, normal)
    }
}

/// Angle between neighbouring pixels in the middle of the picture.
fn pixel_angle(width: u32, height: u32, ray_through: RayThrough<'_>) -> f32 {
    let middle = 0.5 * DVec2::new(f64::from(width), f64::from(height));
    let (here, beside) = (ray_through(middle), ray_through(middle + DVec2::X));
    here.zip(beside).map_or(1e-3, |((_, a), (_, b))| a.distance(b) as f32)
}

/// Bends bright values towards 1 so that nothing bright is a flat white patch.
fn shoulder(linear: Vec3) -> Vec3 {
    let room = 1.0 - SHOULDER;
    let bend = |value: f32| {
        if value <= SHOULDER { value } else { SHOULDER + room * (1.0 - (-(value - SHOULDER) / room).exp()) }
    };
    Vec3::new(bend(linear.x), bend(linear.y), bend(linear.z))
}

/// Linear light to the sRGB curve, 0..1.
fn encode(linear: f32) -> f32 {
    let linear = linear.clamp(0.0, 1.0);
    if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

/// A normally distributed number for each pixel and channel (Box and Muller 1958).
fn normal(x: i32, y: i32, channel: i32, seed: u32) -> f32 {
    let bits = hash(x, y, channel, seed);
    let (a, b) = (unit(bits), unit(hash(bits as i32, x, y, !seed)));
    let turn = Vec2::from_angle(std::f32::consts::TAU * b);
    (-2.0 * (1.0 - a).ln()).sqrt() * turn.x
}
