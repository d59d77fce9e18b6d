//! Light of the demo scene: one low-contrast sun, a sky, and soft shadows of both.
//!
//! The scene is matte and still, so what arrives at each surface is worked out once, into light maps, and
//! every photo looks it up: all photos then agree exactly.

use glam::{Mat3, Vec2, Vec3, Vec4};
use rayon::prelude::*;

use super::scene::{Meeting, Object, StillLife, Surface};
use super::shapes::{Plane, Ray, Rectangle, Solid, corners};

/// Light of the sun on a surface that faces it.
const SUN: Vec3 = Vec3::new(1.36, 1.22, 1.0);
/// Light of the whole sky on a surface that faces up.
const SKY: Vec3 = Vec3::new(0.36, 0.42, 0.50);
/// Mean reflectance of the ground, which lights what faces down.
const GROUND_BOUNCE: Vec3 = Vec3::new(0.24, 0.21, 0.17);
/// Share of full daylight that blockers pass on to a surface that sees them.
const BLOCKER_LIGHT: f32 = 0.75;
/// Half the sun's apparent width, as a tangent: larger than the real one, for a hazy day.
const SUN_SPREAD: f32 = 0.06;
/// Side of a light map's texel.
const TEXEL_METRES: f32 = 0.025;
/// Half the side of the ground's light maps: a fine one in the middle, a coarse one to the wall.
const GROUND_HALF_METRES: [f32; 2] = [2.5, 6.5];
/// Samples per side of the squares that stand for sun and sky.
const SUN_SIDE: u32 = 6;
const SKY_SIDE: u32 = 7;
/// Blockers of the sky narrower than this, as a tangent, are left out: they hide a thousandth of it.
const SMALLEST_BLOCKER: f32 = 0.06;
/// Gap between a surface and the rays that leave it.
const LIFT_METRES: f32 = 2e-3;

fn towards_sun() -> Vec3 {
    Vec3::new(0.47, -0.38, 0.8).normalize()
}

/// What arrives at a point: colour of the sky's light, and how much of the sun is seen.
#[derive(Clone, Debug)]
struct LightMap {
    width: usize,
    height: usize,
    /// Sky's light in xyz, the sun's share in w.
    texels: Vec<Vec4>,
    /// Whether the left side joins the right one.
    wraps: bool,
}

impl LightMap {
    fn at(&self, place: Vec2) -> Vec4 {
        let x = place.x.clamp(0.0, 1.0) * self.width as f32 - 0.5;
        let y = place.y.clamp(0.0, 1.0) * self.height as f32 - 0.5;
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let texel = |dx: f32, dy: f32| {
            let limit = |value: f32, size: usize| value.clamp(0.0, size as f32 - 1.0) as usize;
            let column = if self.wraps {
                (left + dx).rem_euclid(self.width as f32) as usize % self.width
            } else {
                limit(left + dx, self.width)
            };
            self.texels.get(limit(top + dy, self.height) * self.width + column).copied().unwrap_or(Vec4::ONE)
        };
        texel(0.0, 0.0).lerp(texel(1.0, 0.0), fx).lerp(texel(0.0, 1.0).lerp(texel(1.0, 1.0), fx), fy)
    }
}

/// Where the light map of a face lies: map coordinates in 0..1 to points, and back.
#[derive(Clone, Debug)]
enum Chart {
    Flat {
        rectangle: Rectangle,
        normal: Vec3,
    },
    /// The sphere unfolded to a square through an octahedron.
    Round {
        centre: Vec3,
        world_from_unit: Mat3,
        unit_from_world: Mat3,
    },
    Side {
        foot: Vec3,
        radius: f32,
        height: f32,
    },
}

impl Chart {
    fn point(&self, place: Vec2) -> (Vec3, Vec3) {
        match self {
            Self::Flat { rectangle: r, normal } => (r.origin + place.x * r.u + place.y * r.v, *normal),
            Self::Round { centre, world_from_unit, unit_from_world } => {
                let unit = unfold(place);
                let normal = (unit_from_world.transpose() * unit).normalize_or(Vec3::Z);
                (*centre + *world_from_unit * unit, normal)
            }
            Self::Side { foot, radius, height } => {
                let angle = (place.x - 0.5) * std::f32::consts::TAU;
                let out = Vec3::new(angle.cos(), angle.sin(), 0.0);
                (*foot + *radius * out + Vec3::Z * (place.y * height), out)
            }
        }
    }

    fn place(&self, point: Vec3) -> Vec2 {
        match self {
            Self::Flat { rectangle, .. } => rectangle.coordinates(point),
            Self::Round { centre, unit_from_world, .. } => fold(*unit_from_world * (point - *centre)),
            Self::Side { foot, height, .. } => {
                let offset = point - *foot;
                Vec2::new(offset.y.atan2(offset.x) / std::f32::consts::TAU + 0.5, offset.z / height)
            }
        }
    }

    /// Texels along both sides.
    fn size(&self) -> (usize, usize) {
        let texels = |metres: f32, most: f32| (metres / TEXEL_METRES).ceil().clamp(4.0, most) as usize;
        match self {
            Self::Flat { rectangle, .. } => {
                (texels(rectangle.u.length(), 160.0), texels(rectangle.v.length(), 160.0))
            }
            Self::Round { world_from_unit, .. } => {
                let side = texels(4.0 * world_from_unit.x_axis.length(), 48.0);
                (side, side)
            }
            Self::Side { radius, height, .. } => {
                (texels(std::f32::consts::TAU * radius, 64.0), texels(*height, 64.0))
            }
        }
    }
}

/// A unit vector to a square, 0..1 (octahedral map).
fn fold(v: Vec3) -> Vec2 {
    let v = v / (v.x.abs() + v.y.abs() + v.z.abs()).max(1e-9);
    let flat = v.truncate();
    let signs = Vec2::new(1.0_f32.copysign(flat.x), 1.0_f32.copysign(flat.y));
    let folded = if v.z < 0.0 { (Vec2::ONE - Vec2::new(flat.y, flat.x).abs()) * signs } else { flat };
    0.5 * folded + Vec2::splat(0.5)
}

/// Inverse of [`fold`].
fn unfold(place: Vec2) -> Vec3 {
    let flat = 2.0 * place - Vec2::ONE;
    let z = 1.0 - flat.x.abs() - flat.y.abs();
    let signs = Vec2::new(1.0_f32.copysign(flat.x), 1.0_f32.copysign(flat.y));
    let inner = if z < 0.0 { (Vec2::ONE - Vec2::new(flat.y, flat.x).abs()) * signs } else { flat };
    inner.extend(z).normalize_or(Vec3::Z)
}

/// The scene's light, ready to be looked up.
#[derive(Debug)]
pub(super) struct Light {
    /// Fine, then coarse.
    ground: [(Chart, LightMap); 2],
    /// A map for each face of each object.
    objects: Vec<Vec<(Chart, LightMap)>>,
}

impl Light {
    /// Works out all light maps.
    pub(super) fn new(scene: &StillLife) -> Self {
        let directions = Directions::new();
        let ground = GROUND_HALF_METRES.map(|half| {
            let (u, v) = (Vec3::X * (2.0 * half), Vec3::Y * (2.0 * half));
            let rectangle = Rectangle { origin: Vec3::new(-half, -half, 0.0), u, v };
            bake(scene, &directions, Chart::Flat { rectangle, normal: Vec3::Z })
        });
        let objects = scene
            .objects
            .par_iter()
            .map(|object| charts(object).into_iter().map(|chart| bake(scene, &directions, chart)).collect())
            .collect();
        Self { ground, objects }
    }

    /// Light that arrives at a surface whose relief turns its normal to `normal`.
    pub(super) fn arriving(&self, meeting: &Meeting, normal: Vec3) -> Vec3 {
        let map = match meeting.surface {
            Surface::Ground => {
                let [fine, coarse] = &self.ground;
                let out = meeting.point.truncate().abs().max_element();
                Some(if out < GROUND_HALF_METRES[0] { fine } else { coarse })
            }
            Surface::Wall => None,
            Surface::Object(index) => self.objects.get(index).and_then(|faces| faces.get(meeting.face)),
        };
        // The wall stands free: half of what it sees is sky, the other half ground.
        let light = map.map_or((0.5 * SKY + 0.5 * GROUND_BOUNCE).extend(1.0), |(chart, map)| {
            map.at(chart.place(meeting.point))
        });
        let tilt = 1.0 + 0.35 * (normal.z - meeting.normal.z);
        SUN * (light.w * normal.dot(towards_sun()).max(0.0)) + light.truncate() * tilt
    }
}

/// Colour of the sky along a direction, as photos show it.
pub(super) fn sky_colour(direction: Vec3) -> Vec3 {
    let up = direction.z.max(0.0);
    Vec3::new(0.80, 0.84, 0.88).lerp(Vec3::new(0.33, 0.49, 0.72), (1.6 * up).min(1.0))
}

fn charts(object: &Object) -> Vec<Chart> {
    match &object.solid {
        Solid::Convex(planes) => {
            let corners = corners(planes);
            let flat = |plane: &Plane| {
                let on = |corner: &&Vec3| (plane.normal.dot(**corner) - plane.offset).abs() < 1e-3;
                let points: Vec<Vec3> = corners.iter().filter(on).copied().collect();
                // A plane that the others cut off entirely is never met.
                let points = if points.is_empty() { vec![plane.normal * plane.offset] } else { points };
                Chart::Flat { rectangle: Rectangle::around(plane, &points), normal: plane.normal }
            };
            planes.iter().map(flat).collect()
        }
        Solid::Ellipsoid { centre, world_from_unit, unit_from_world } => vec![Chart::Round {
            centre: *centre,
            world_from_unit: *world_from_unit,
            unit_from_world: *unit_from_world,
        }],
        Solid::Cylinder { foot, radius, height } => {
            let plane = Plane { normal: Vec3::Z, offset: foot.z + height };
            let low = *foot + Vec3::new(-radius, -radius, *height);
            let high = *foot + Vec3::new(*radius, *radius, *height);
            let rectangle = Rectangle::around(&plane, &[low, high, low.with_x(high.x), low.with_y(high.y)]);
            vec![
                Chart::Side { foot: *foot, radius: *radius, height: *height },
                Chart::Flat { rectangle, normal: Vec3::Z },
            ]
        }
    }
}

fn bake(scene: &StillLife, directions: &Directions, chart: Chart) -> (Chart, LightMap) {
    let (width, height) = chart.size();
    let texels = (0..width * height)
        .into_par_iter()
        .map(|index| {
            let (column, row) = (index % width, index / width);
            let place =
                Vec2::new(column as f32 + 0.5, row as f32 + 0.5) / Vec2::new(width as f32, height as f32);
            let (point, normal) = chart.point(place);
            gather(scene, directions, point, normal)
        })
        .collect();
    let wraps = matches!(chart, Chart::Side { .. });
    (chart, LightMap { width, height, texels, wraps })
}

/// The directions that light is gathered from, the same at every texel.
struct Directions {
    /// On the unit hemisphere around z, cosine-weighted.
    sky: Vec<Vec3>,
    /// Offsets from the sun's middle, as tangents.
    sun: Vec<Vec2>,
}

impl Directions {
    fn new() -> Self {
        // Uniform over the disc is cosine-weighted over the hemisphere.
        let lift = |disc: Vec2| disc.extend((1.0 - disc.length_squared()).max(0.0).sqrt());
        Self {
            sky: disc(SKY_SIDE).map(lift).collect(),
            sun: disc(SUN_SIDE).map(|place| SUN_SPREAD * place).collect(),
        }
    }
}

/// `side` x `side` places spread evenly over the unit disc.
fn disc(side: u32) -> impl Iterator<Item = Vec2> {
    (0..side * side).map(move |i| {
        // Rings are turned against each other, which spreads directions better than spokes.
        let (spoke, ring) = ((i % side) as f32 + 0.5, (i / side) as f32 + 0.5);
        let turn = (spoke + ring / side as f32) / side as f32;
        (ring / side as f32).sqrt() * Vec2::from_angle(std::f32::consts::TAU * turn)
    })
}

/// Sky's light in xyz and the sun's share in w, by rays over both.
fn gather(scene: &StillLife, directions: &Directions, point: Vec3, normal: Vec3) -> Vec4 {
    let mut origin = point + LIFT_METRES * normal;
    origin.z = origin.z.max(LIFT_METRES); // faces that reach below the ground see no more than its surface
    let (u, v) = normal.any_orthonormal_pair();
    let above = scene.above(origin, normal, SMALLEST_BLOCKER);
    let mut sky = Vec3::ZERO;
    for place in &directions.sky {
        let direction = (u * place.x + v * place.y + normal * place.z).normalize_or(normal);
        sky += match scene.blocker(&Ray { origin, direction }, &above) {
            Some(object) => BLOCKER_LIGHT * object.bounce * SKY,
            None if direction.z < 0.0 => GROUND_BOUNCE * (SKY + 0.7 * SUN * towards_sun().z),
            None => SKY,
        };
    }
    sky /= directions.sky.len() as f32;
    let sun = towards_sun();
    if normal.dot(sun) <= -0.2 {
        return sky.extend(0.0);
    }
    let (u, v) = sun.any_orthonormal_pair();
    let sunward = scene.in_cone(origin, sun, SUN_SPREAD, 0.0);
    let is_seen = |offset: &&Vec2| {
        let direction = (sun + u * offset.x + v * offset.y).normalize_or(sun);
        scene.blocker(&Ray { origin, direction }, &sunward).is_none()
    };
    let seen = directions.sun.iter().filter(is_seen).count();
    sky.extend(seen as f32 / directions.sun.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octahedral_map_goes_back_and_forth() {
        for z in [-0.9_f32, -0.3, 0.2, 0.95] {
            for step in 0..16 {
                let angle = 0.2 + step as f32 * 0.39;
                let flat = (1.0 - z * z).sqrt();
                let v = Vec3::new(flat * angle.cos(), flat * angle.sin(), z);
                assert!(unfold(fold(v)).distance(v) < 1e-5, "{v}");
            }
        }
    }

    #[test]
    fn things_cast_shadows_on_the_ground() {
        let (scene, directions) = (StillLife::new(1), Directions::new());
        let open = gather(&scene, &directions, Vec3::new(1.9, -1.6, 0.0), Vec3::Z);
        assert!(open.w > 0.99 && open.x > 0.9 * SKY.x, "open ground gets {open}");
        // On the slab, away from the sun, as far from the column as half of it is high.
        let slab = 0.13;
        let sun = towards_sun();
        let foot = Vec3::new(-0.3, 0.24, slab);
        let shaded = foot - (sun * 0.4 / sun.z).with_z(0.0);
        let light = gather(&scene, &directions, shaded, Vec3::Z);
        assert!(light.w < 0.05, "the column's shadow gets {light}");
        assert!(light.x < 0.9 * open.x, "the column hides no sky: {light}");
    }
}
