//! What the surfaces of the demo scene are painted with: matte, irregular, rich at every scale from
//! a hand's width to a few pixels, so that feature detectors find plenty and no place looks like another.

use glam::Vec3;

use super::noise::{Sample, blots, fbm, noise, paving, random, unit};

/// Linear reflectance, 0..1.
pub(super) type Colour = Vec3;

/// A surface's look at a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) albedo: Colour,
    /// Slope of the fine relief, in the space the point was given in.
    pub(super) relief: Vec3,
}

/// A kind of surface.
#[derive(Clone, Copy, Debug)]
pub(super) enum Material {
    /// Mottled stone with veins, grains, and lichen on top.
    Stone { light: Colour, dark: Colour },
    /// Splashed paint in a palette, another mixture on each face.
    Paint { palette: [Colour; 5] },
    /// Boards with grain and knots.
    Wood { light: Colour, dark: Colour },
    /// Irregular flagstones with joints, moss and grit.
    Paving,
    /// A plastered wall with a faded mural and stains.
    Mural,
}

/// Linear colour of an sRGB triple as designers write it.
pub(super) fn srgb(hex: u32) -> Colour {
    let channel = |shift: u32| {
        let encoded = ((hex >> shift) & 0xff) as f32 / 255.0;
        if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
    };
    Vec3::new(channel(16), channel(8), channel(0))
}

impl Material {
    /// The look at `p` (metres, in the object's own frame) on a face, for a pixel that spans
    /// `footprint` metres there.
    pub(super) fn look(&self, p: Vec3, face: usize, footprint: f32, seed: u32) -> Look {
        match self {
            Self::Stone { light, dark } => stone(p, footprint, seed, *light, *dark),
            Self::Paint { palette } => paint(p, face, footprint, seed, palette),
            Self::Wood { light, dark } => wood(p, footprint, seed, *light, *dark),
            Self::Paving => flagstones(p, footprint, seed),
            Self::Mural => mural(p, footprint, seed),
        }
    }
}

fn stone(p: Vec3, footprint: f32, seed: u32, light: Colour, dark: Colour) -> Look {
    let mottle = fbm(p * 7.0, 5, footprint * 7.0, seed);
    let vein = noise(p * 5.0 + 0.6 * mottle.gradient.normalize_or_zero(), seed ^ 0x51).value.abs();
    let mut albedo = dark.lerp(light, (0.5 + 0.75 * mottle.value).clamp(0.0, 1.0));
    albedo *= 1.0 - 0.45 * (1.0 - vein * 9.0).clamp(0.0, 1.0);
    let warped = p + 0.02 * mottle.gradient.clamp_length_max(1.0);
    for (scale, strength) in [(9.0, 0.45), (17.0, 0.7), (34.0, 0.7)] {
        let grain = blots(turned(warped) * scale, 0.26, footprint * scale, seed ^ scale as u32);
        let tint = if grain.bits & 1 == 0 { dark * 0.35 } else { (light * 1.5).min(Vec3::splat(0.85)) };
        albedo = albedo.lerp(tint, strength * grain.cover);
    }
    Look { albedo, relief: mottle.gradient * 0.16 }
}

fn paint(p: Vec3, face: usize, footprint: f32, seed: u32, palette: &[Colour; 5]) -> Look {
    // Another part of the pattern on each face, so that no two look alike.
    let p = p + Vec3::new(3.7, 1.9, 5.3) * (face as f32 + 1.0);
    let ground = (random(face as u32, seed) * 5.0) as usize;
    let flow = fbm(p * 6.0, 3, footprint * 6.0, seed ^ 0x77);
    let pick = |bits: u32| palette[(ground + 1 + bits as usize % 4) % 5];
    let mut albedo = palette[ground % 5];
    let warped = p + 0.035 * flow.gradient.clamp_length_max(1.5);
    for (scale, density) in [(4.3, 0.75), (8.0, 0.5), (15.0, 0.42), (29.0, 0.3)] {
        let blot = blots(turned(warped) * scale, density, footprint * scale, seed ^ scale as u32);
        let shade = 0.75 + 0.5 * unit(blot.bits.rotate_left(11));
        albedo = albedo.lerp(pick(blot.bits >> 3) * shade, 0.92 * blot.cover);
    }
    let grain = fbm(p * Vec3::new(30.0, 30.0, 90.0), 3, footprint * 60.0, seed ^ 0x99);
    albedo *= 1.0 + 0.16 * flow.value + 0.18 * grain.value;
    Look { albedo, relief: grain.gradient * 0.002 + flow.gradient * 0.03 }
}

fn wood(p: Vec3, footprint: f32, seed: u32, light: Colour, dark: Colour) -> Look {
    let board = (p.z * 9.0).floor();
    let joint = ((p.z * 9.0 - board) * 14.0).min(1.0);
    let shift = Vec3::new(board * 3.1, board * 1.7, 0.0);
    let bend = fbm(p * Vec3::new(2.0, 2.0, 8.0) + shift, 3, footprint * 8.0, seed);
    let rings =
        noise(Vec3::new(p.x + p.y, 0.0, p.z) * Vec3::new(3.0, 1.0, 60.0) + shift + 2.0 * bend.value, seed);
    let fibre = fbm(p * Vec3::new(14.0, 14.0, 150.0) + shift, 2, footprint * 100.0, seed ^ 5);
    let mut albedo = dark.lerp(light, (0.5 + 0.4 * rings.value + 0.35 * fibre.value).clamp(0.0, 1.0));
    albedo *= 0.8 + 0.5 * random(board.abs() as u32, seed);
    let knot = blots(p * 9.0 + 0.3 * bend.value, 0.4, footprint * 9.0, seed ^ 31);
    albedo = albedo.lerp(dark * 0.3, 0.8 * knot.cover);
    let nick = blots(turned(p) * 38.0, 0.3, footprint * 38.0, seed ^ 41);
    albedo = albedo.lerp(if nick.bits & 1 == 0 { dark * 0.3 } else { light * 1.25 }, 0.8 * nick.cover);
    Look { albedo: albedo * (0.25 + 0.75 * joint), relief: bend.gradient * 0.03 }
}

fn flagstones(p: Vec3, footprint: f32, seed: u32) -> Look {
    const STONES_PER_METRE: f32 = 2.3;
    let wobble = fbm(p * 3.0, 3, footprint * 3.0, seed ^ 2);
    let cell = paving((p + 0.05 * wobble.gradient.clamp_length_max(2.0)).truncate() * STONES_PER_METRE, seed);
    let hues = [0x9c8f7a, 0xb39b78, 0x8a8d8c, 0xa67f63, 0x7d8577, 0xbfae92, 0x8f7f86];
    let hue = srgb(hues[(cell.bits >> 5) as usize % hues.len()]) * (0.75 + 0.5 * unit(cell.bits));
    let mut look = stone(p + 0.37 * (cell.bits & 0xff) as f32, footprint, seed ^ 9, hue * 1.15, hue * 0.6);
    let joint = (1.0 - (cell.to_edge / STONES_PER_METRE - 0.008) / 0.012_f32.max(footprint)).clamp(0.0, 1.0);
    let sand = srgb(0x5a4d3c) * (1.0 + 0.5 * fbm(p * 45.0, 2, footprint * 45.0, seed ^ 8).value);
    look.albedo = look.albedo.lerp(sand, joint * 0.9);
    let damp = fbm(p * 0.9, 4, footprint * 0.9, seed ^ 6).value;
    let moss = fbm(p * 19.0, 3, footprint * 19.0, seed ^ 7).value;
    let green = srgb(0x55702c).lerp(srgb(0x96a24a), (0.5 + moss).clamp(0.0, 1.0));
    look.albedo = look.albedo.lerp(green, ((damp + 0.6 * moss + 0.5 * joint - 0.42) * 5.0).clamp(0.0, 0.85));
    look.albedo = fallen(p, footprint, seed, look.albedo);
    look.relief *= 0.7;
    look
}

/// Petals and leaves that lie about.
fn fallen(p: Vec3, footprint: f32, seed: u32, below: Colour) -> Colour {
    let hues = [0xc8452c, 0xd99a2b, 0x7a2f3d, 0xe3d7b0, 0x4c6a2d, 0xb86a8c];
    let mut albedo = below;
    for (scale, density) in [(7.0, 0.16), (13.0, 0.14)] {
        let flat = turned(Vec3::new(p.x, p.y, 0.0)) * scale;
        let blot =
            blots(flat * Vec3::new(1.0, 1.6, 1.0), density, footprint * scale, seed ^ scale as u32 ^ 77);
        let hue = srgb(hues[(blot.bits >> 4) as usize % hues.len()]);
        albedo = albedo.lerp(hue * (0.7 + 0.6 * unit(blot.bits.rotate_left(9))), 0.95 * blot.cover);
    }
    albedo
}

fn mural(p: Vec3, footprint: f32, seed: u32) -> Look {
    let palette = [0xd8c9a8, 0xb5603f, 0x4f7f8c, 0xd9a441, 0x6d7f52, 0xe8dcc4, 0x8c5a6b].map(srgb);
    let warp: Sample = fbm(p * 0.8, 4, footprint * 0.8, seed);
    let bent = p + 0.5 * warp.gradient.clamp_length_max(1.0);
    let mut albedo = palette[0] * (1.0 + 0.25 * warp.value);
    for (scale, density) in [(0.5, 0.85), (1.1, 0.6), (2.3, 0.45), (5.0, 0.3), (11.0, 0.2)] {
        let blot = blots(turned(bent) * scale, density, footprint * scale, seed ^ (scale * 10.0) as u32);
        let hue = palette[(blot.bits >> 3) as usize % palette.len()];
        albedo = albedo.lerp(hue * (0.7 + 0.5 * unit(blot.bits.rotate_left(7))), 0.85 * blot.cover);
    }
    let stain = fbm(p * Vec3::new(5.0, 5.0, 1.6), 4, footprint * 5.0, seed ^ 3);
    albedo *= (1.0 + 0.5 * stain.value) * (0.7 + 0.3 * (p.z / 0.5).clamp(0.0, 1.0));
    Look { albedo: albedo.max(Vec3::splat(0.01)), relief: stain.gradient * 0.05 }
}

/// Turned off the axes, so that lattices of different patterns do not line up with faces.
fn turned(p: Vec3) -> Vec3 {
    Vec3::new(
        0.71 * p.x - 0.52 * p.y + 0.48 * p.z,
        0.67 * p.x + 0.71 * p.y - 0.21 * p.z,
        -0.23 * p.x + 0.47 * p.y + 0.85 * p.z,
    )
}
