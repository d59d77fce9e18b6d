//! Seeded procedural patterns: all textures of the demo scene are sums of these.
//!
//! Every pattern takes the footprint of a pixel in its own units and leaves out what is finer, so that
//! photos do not shimmer from view to view.

use glam::{Vec2, Vec3};

/// Mixes a lattice point and a seed to 32 well-spread bits.
pub(super) fn hash(x: i32, y: i32, z: i32, seed: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343)
        ^ (y as u32).wrapping_mul(0xd816_3841)
        ^ (z as u32).wrapping_mul(0xcb1a_b31f)
        ^ seed.wrapping_mul(0x9e37_79b9);
    h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}

/// Bits to 0..1.
pub(super) fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 / 16_777_216.0
}

/// A number in 0..1 for each seed and index.
pub(super) fn random(index: u32, seed: u32) -> f32 {
    unit(hash(index as i32, 17, 5, seed))
}

/// A value, and its gradient with respect to the point it was taken at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) value: f32,
    pub(super) gradient: Vec3,
}

/// Smooth noise in -1..1 with features of about one unit.
pub(super) fn noise(p: Vec3, seed: u32) -> Sample {
    let cell = p.floor();
    let f = p - cell;
    let w = f * f * (Vec3::splat(3.0) - 2.0 * f);
    let dw = 6.0 * f * (Vec3::ONE - f);
    let (x, y, z) = (cell.x as i32, cell.y as i32, cell.z as i32);
    let at = |dx: i32, dy: i32, dz: i32| unit(hash(x + dx, y + dy, z + dz, seed));
    let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let (c000, c100, c010, c110) = (at(0, 0, 0), at(1, 0, 0), at(0, 1, 0), at(1, 1, 0));
    let (c001, c101, c011, c111) = (at(0, 0, 1), at(1, 0, 1), at(0, 1, 1), at(1, 1, 1));
    let (y0z0, y1z0) = (mix(c000, c100, w.x), mix(c010, c110, w.x));
    let (y0z1, y1z1) = (mix(c001, c101, w.x), mix(c011, c111, w.x));
    let (z0, z1) = (mix(y0z0, y1z0, w.y), mix(y0z1, y1z1, w.y));
    let dx = mix(mix(c100 - c000, c110 - c010, w.y), mix(c101 - c001, c111 - c011, w.y), w.z);
    let dy = mix(y1z0 - y0z0, y1z1 - y0z1, w.z);
    Sample { value: 2.0 * mix(z0, z1, w.z) - 1.0, gradient: 2.0 * Vec3::new(dx, dy, z1 - z0) * dw }
}

/// Sum of octaves of [`noise`], each 2.17 times finer and 0.55 times as strong, in about -1..1.
pub(super) fn fbm(p: Vec3, octaves: u32, footprint: f32, seed: u32) -> Sample {
    let (mut sum, mut strength, mut frequency) = (Sample::default(), 0.55, 1.0);
    for octave in 0..octaves {
        let visible = band(frequency * footprint);
        if visible == 0.0 {
            break;
        }
        let sample = noise(p * frequency + Vec3::splat(7.3 * octave as f32), seed.wrapping_add(octave));
        sum.value += strength * visible * sample.value;
        sum.gradient += strength * visible * frequency * sample.gradient;
        strength *= 0.55;
        frequency *= 2.17;
    }
    sum
}

/// How much of a pattern shows whose period is 1 when a pixel spans `footprint` of it.
fn band(footprint: f32) -> f32 {
    (1.5 - 5.0 * footprint).clamp(0.0, 1.0)
}

/// A blot: how much of it covers the point (0..1), and bits to choose its colour by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blot {
    pub(super) cover: f32,
    pub(super) bits: u32,
}

/// Round blots of random size and place, one in each unit cell that `density` (0..1) lets have one.
///
/// A blot lies within its own cell, so one look-up decides; warp `p` first to hide the lattice.
pub(super) fn blots(p: Vec3, density: f32, footprint: f32, seed: u32) -> Blot {
    let cell = p.floor();
    let bits = hash(cell.x as i32, cell.y as i32, cell.z as i32, seed);
    let visible = band(0.7 * footprint);
    if visible == 0.0 || unit(bits) > density {
        return Blot { cover: 0.0, bits };
    }
    let more = hash(bits as i32, 3, 1, seed);
    let part = |shift: u32| ((more >> shift) & 0xff) as f32 / 255.0;
    let radius = 0.18 + 0.27 * part(0);
    let room = 1.0 - 2.0 * radius;
    let centre = Vec3::splat(radius) + room * Vec3::new(part(8), part(16), part(24));
    let distance = (p - cell - centre).length();
    let edge = (0.03_f32).max(0.7 * footprint);
    let cover = ((radius - distance) / edge + 0.5).clamp(0.0, 1.0);
    Blot { cover: cover * visible, bits: more }
}

/// The cell of an irregular paving that a point lies in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Distance to the joint with the nearest neighbour, in cells.
    pub(super) to_edge: f32,
    /// Bits that belong to the stone.
    pub(super) bits: u32,
}

/// Voronoi cells of one jittered site per unit square.
pub(super) fn paving(p: Vec2, seed: u32) -> Cell {
    let base = p.floor();
    let (mut nearest, mut second) = ((f32::MAX, Vec2::ZERO, 0), (f32::MAX, Vec2::ZERO));
    for dy in -1..=1 {
        for dx in -1..=1 {
            let (x, y) = (base.x as i32 + dx, base.y as i32 + dy);
            let bits = hash(x, y, 0, seed);
            let jitter = Vec2::new((bits & 0xffff) as f32, (bits >> 16) as f32) / 65_535.0;
            let site = Vec2::new(x as f32, y as f32) + Vec2::splat(0.12) + 0.76 * jitter;
            let distance = site.distance_squared(p);
            if distance < nearest.0 {
                second = (nearest.0, nearest.1);
                nearest = (distance, site, bits);
            } else if distance < second.0 {
                second = (distance, site);
            }
        }
    }
    let across = (second.1 - nearest.1).length().max(1e-3);
    Cell { to_edge: (second.0 - nearest.0) / (2.0 * across), bits: hash(nearest.2 as i32, 1, 2, seed) }
}
