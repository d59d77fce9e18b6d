//! The still life: what stands where. Metres, z up, the middle of the arrangement at the origin.

use glam::{Mat3, Vec2, Vec3};

use super::material::{Colour, Material, srgb};
use super::noise::random;
use super::shapes::{Plane, Ray, Solid, corners};

/// Distance of the courtyard's wall from the middle.
const WALL_RADIUS: f32 = 6.5;
/// Height of the courtyard's wall.
const WALL_HEIGHT: f32 = 2.6;

/// One thing in the scene.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) solid: Solid,
    pub(super) material: Material,
    /// Mean reflectance: what its neighbours see of it in their soft light.
    pub(super) bounce: Colour,
    pub(super) seed: u32,
    /// A sphere around it.
    centre: Vec3,
    reach: f32,
    local_from_world: Mat3,
}

/// What a ray met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    Ground,
    Wall,
    Object(usize),
}

/// Where a ray met something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    pub(super) distance: f32,
    pub(super) point: Vec3,
    pub(super) normal: Vec3,
    pub(super) surface: Surface,
    pub(super) face: usize,
}

/// The whole still life.
#[derive(Clone, Debug)]
pub(super) struct StillLife {
    pub(super) objects: Vec<Object>,
    pub(super) seed: u32,
}

impl Object {
    /// A point in the object's own frame, where its material lives.
    pub(super) fn local(&self, point: Vec3) -> Vec3 {
        self.local_from_world * (point - self.centre)
    }

    /// A direction from the object's own frame to the world.
    pub(super) fn to_world(&self, direction: Vec3) -> Vec3 {
        self.local_from_world.transpose() * direction
    }

    fn may_meet(&self, ray: &Ray) -> bool {
        let to_centre = self.centre - ray.origin;
        let along = to_centre.dot(ray.direction);
        let off_squared = to_centre.length_squared() - along * along;
        along > -self.reach && off_squared < self.reach * self.reach
    }
}

impl StillLife {
    /// The nearest surface along a ray, of the surroundings and the `candidates`; `None` is the sky.
    pub(super) fn meet(&self, ray: &Ray, candidates: &[usize]) -> Option<Meeting> {
        let mut nearest: Option<Meeting> = self.meet_surroundings(ray);
        for &index in candidates {
            let Some(object) = self.objects.get(index).filter(|object| object.may_meet(ray)) else {
                continue;
            };
            if let Some(hit) = object.solid.meet(ray)
                && nearest.is_none_or(|meeting| hit.distance < meeting.distance)
            {
                nearest = Some(Meeting {
                    distance: hit.distance,
                    point: ray.origin + ray.direction * hit.distance,
                    normal: hit.normal,
                    surface: Surface::Object(index),
                    face: hit.face,
                });
            }
        }
        nearest
    }

    /// The objects that rays within a cone may meet. `half_angle` is in radians; origins may lie up to
    /// `spread` metres from the given one.
    pub(super) fn in_cone(&self, origin: Vec3, axis: Vec3, half_angle: f32, spread: f32) -> Vec<usize> {
        let seen = |object: &Object| {
            let to_centre = object.centre - origin;
            let (distance, reach) = (to_centre.length(), object.reach + spread);
            distance <= reach
                || axis.dot(to_centre / distance).clamp(-1.0, 1.0).acos()
                    <= half_angle + (reach / distance).asin()
        };
        (0..self.objects.len()).filter(|index| self.objects.get(*index).is_some_and(seen)).collect()
    }

    /// The objects that reach above a plane through `origin` and look at least `narrowest` wide from
    /// there, as the tangent of half their angle.
    pub(super) fn above(&self, origin: Vec3, normal: Vec3, narrowest: f32) -> Vec<usize> {
        let seen = |object: &Object| {
            let to_centre = object.centre - origin;
            to_centre.dot(normal) > -object.reach && object.reach > narrowest * to_centre.length()
        };
        (0..self.objects.len()).filter(|index| self.objects.get(*index).is_some_and(seen)).collect()
    }

    /// The candidate that a ray meets first, if any.
    pub(super) fn blocker(&self, ray: &Ray, candidates: &[usize]) -> Option<&Object> {
        let mut nearest: Option<(f32, &Object)> = None;
        for object in candidates.iter().filter_map(|index| self.objects.get(*index)) {
            if object.may_meet(ray)
                && let Some(hit) = object.solid.meet(ray)
                && nearest.is_none_or(|(distance, _)| hit.distance < distance)
            {
                nearest = Some((hit.distance, object));
            }
        }
        nearest.map(|(_, object)| object)
    }

    fn meet_surroundings(&self, ray: &Ray) -> Option<Meeting> {
        let at = |distance: f32| ray.origin + ray.direction * distance;
        if ray.direction.z < -1e-6 {
            let distance = -ray.origin.z / ray.direction.z;
            let point = at(distance);
            if point.truncate().length_squared() <= WALL_RADIUS * WALL_RADIUS {
                let surface = Surface::Ground;
                return Some(Meeting { distance, point, normal: Vec3::Z, surface, face: 0 });
            }
        }
        let (origin, direction) = (ray.origin.truncate(), ray.direction.truncate());
        let (a, half_b) = (direction.length_squared(), origin.dot(direction));
        let discriminant = half_b * half_b - a * (origin.length_squared() - WALL_RADIUS * WALL_RADIUS);
        if !(a > 1e-9 && discriminant > 0.0) {
            return None;
        }
        let distance = (-half_b + discriminant.sqrt()) / a; // from inside: the far side
        let point = at(distance);
        let normal = -(point.truncate() / WALL_RADIUS).extend(0.0);
        (distance > 0.0 && (0.0..=WALL_HEIGHT).contains(&point.z)).then_some(Meeting {
            distance,
            point,
            normal,
            surface: Surface::Wall,
            face: 0,
        })
    }

    /// Sets everything up. Seeds change patterns, rocks and pebbles, not the arrangement.
    pub(super) fn new(seed: u32) -> Self {
        let mut scene = Self { objects: Vec::new(), seed };
        scene.add_centre_piece();
        scene.add_surroundings();
        scene.add_pebbles();
        scene
    }

    fn add(&mut self, solid: Solid, material: Material) {
        let index = self.objects.len() as u32;
        let (centre, reach) = bounding_sphere(&solid);
        let bounce = match &material {
            Material::Stone { light, dark } | Material::Wood { light, dark } => 0.5 * (*light + *dark),
            Material::Paint { palette } => palette.iter().sum::<Vec3>() / 5.0,
            Material::Paving | Material::Mural => Vec3::splat(0.3),
        };
        // Patterns are turned with each object, so that neighbours of one material differ.
        let local_from_world = Mat3::from_rotation_z(2.4 * index as f32) * Mat3::from_rotation_x(0.3);
        let seed = self.seed.wrapping_mul(31).wrapping_add(index);
        self.objects.push(Object { solid, material, bounce, seed, centre, reach, local_from_world });
    }

    fn add_centre_piece(&mut self) {
        let turn = Mat3::from_rotation_z;
        // A stone slab that carries most of it.
        let slab = polygon_prism(6, 0.82, 0.13, 0.2);
        self.add(slab, stone(0xc9bda4, 0x857862));
        // Painted boxes, one upon another.
        let warm = paint([0xc23b22, 0xe8b23a, 0xf1e3c6, 0x2d4a7c, 0x3f7d58]);
        let cool = paint([0x1f6f8b, 0xe6d8b8, 0x99305b, 0xf0a03c, 0x24344f]);
        let fresh = paint([0x5a9e4b, 0xf3e9d2, 0xd1495b, 0x30638e, 0xedae49]);
        self.add(Solid::cuboid(Vec3::new(0.3, -0.12, 0.33), Vec3::splat(0.4), turn(0.45)), warm);
        self.add(Solid::cuboid(Vec3::new(0.27, -0.1, 0.645), Vec3::new(0.24, 0.2, 0.23), turn(1.1)), cool);
        self.add(Solid::cuboid(Vec3::new(-0.22, -0.42, 0.36), Vec3::new(0.2, 0.3, 0.46), turn(-0.35)), fresh);
        // A column with base, capital and a painted ball.
        let marble = stone(0xe6e0d2, 0xa8927c);
        self.add(Solid::cuboid(Vec3::new(-0.3, 0.24, 0.17), Vec3::new(0.36, 0.36, 0.08), turn(0.2)), marble);
        let foot = Vec3::new(-0.3, 0.24, 0.21);
        self.add(Solid::Cylinder { foot, radius: 0.13, height: 0.72 }, stone(0xd9cfba, 0x8f6f5a));
        let capital = Vec3::new(-0.3, 0.24, 0.97);
        self.add(Solid::cuboid(capital, Vec3::new(0.34, 0.34, 0.09), turn(0.2)), marble);
        let ball = paint([0x2c6e91, 0xe9c46a, 0xe76f51, 0xf4ede0, 0x264653]);
        self.add(Solid::ellipsoid(Vec3::new(-0.3, 0.24, 1.185), Vec3::splat(0.17), turn(0.0)), ball);
        // Tins, and a ball that rolled off.
        let tin = paint([0xb23a48, 0xf2e2ba, 0x3d405b, 0x81b29a, 0xe07a5f]);
        let other_tin = paint([0x3d5a80, 0xee6c4d, 0xe0fbfc, 0x293241, 0x98c1d9]);
        self.add(Solid::Cylinder { foot: Vec3::new(0.12, -0.52, 0.13), radius: 0.09, height: 0.24 }, tin);
        self.add(
            Solid::Cylinder { foot: Vec3::new(0.05, 0.42, 0.13), radius: 0.12, height: 0.17 },
            other_tin,
        );
        let melon = paint([0xd8a23c, 0x5c7c3a, 0xf0e2b6, 0xa8432f, 0x79a35b]);
        self.add(
            Solid::ellipsoid(Vec3::new(0.52, 0.32, 0.29), Vec3::new(0.21, 0.17, 0.16), turn(0.8)),
            melon,
        );
        // A board that leans on the column.
        let lean = turn(0.75) * Mat3::from_rotation_y(0.42);
        let board = Solid::cuboid(Vec3::new(-0.04, 0.5, 0.37), Vec3::new(0.05, 0.26, 0.7), lean);
        self.add(board, wood(0xc79a63, 0x6e4526));
    }

    fn add_surroundings(&mut self) {
        let turn = Mat3::from_rotation_z;
        let crate_at = Vec3::new(-0.98, 0.6, 0.16);
        self.add(Solid::cuboid(crate_at, Vec3::new(0.4, 0.3, 0.32), turn(0.6)), wood(0xb98a55, 0x5f3c22));
        let red = paint([0xa8322d, 0xe9d8a6, 0x005f73, 0xee9b00, 0x94d2bd]);
        self.add(Solid::cuboid(Vec3::new(0.75, -0.86, 0.14), Vec3::new(0.42, 0.3, 0.28), turn(-0.5)), red);
        self.add(
            Solid::ellipsoid(Vec3::new(-0.78, -0.72, 0.2), Vec3::splat(0.2), turn(0.0)),
            paint([0xf2cc8f, 0x3d405b, 0xe07a5f, 0x81b29a, 0xf4f1de]),
        );
        let rocks = [
            (1.0, 0.62, 0.23, 0xa39a8b, 0x5d5650),
            (-0.2, 1.1, 0.2, 0xb08d6e, 0x654a3a),
            (1.22, -0.22, 0.16, 0x9aa09a, 0x4d5552),
            (-1.2, -0.2, 0.2, 0xb7a68a, 0x6b5c48),
            (0.05, -1.15, 0.2, 0x9d7f78, 0x57413f),
            (0.5, 1.2, 0.15, 0xc0b49a, 0x7a6c55),
            (-0.55, -1.25, 0.14, 0x8d9086, 0x4a4f49),
            // Farther out, behind the photographer's ring.
            (4.3, 1.4, 0.8, 0xa39a8b, 0x5d5650),
            (-1.7, 4.6, 0.7, 0xb08d6e, 0x654a3a),
            (-4.4, -1.6, 0.9, 0x9aa09a, 0x4d5552),
            (1.9, -4.4, 0.75, 0xb7a68a, 0x6b5c48),
            (4.1, -2.7, 0.5, 0x9d7f78, 0x57413f),
            (-3.6, 3.2, 0.55, 0xc0b49a, 0x7a6c55),
        ];
        for (index, (x, y, size, light, dark)) in rocks.into_iter().enumerate() {
            let shape = rock(Vec2::new(x, y), size, self.seed.wrapping_add(index as u32));
            self.add(shape, stone(light, dark));
        }
        let far = paint([0x8c4a3b, 0xe0c9a0, 0x3a6b6e, 0xd48f3a, 0x55604a]);
        self.add(Solid::cuboid(Vec3::new(3.4, 3.6, 0.5), Vec3::splat(1.0), turn(0.3)), far);
        self.add(Solid::cuboid(Vec3::new(-3.2, -3.9, 0.4), Vec3::new(1.2, 0.7, 0.8), turn(0.9)), far);
    }

    fn add_pebbles(&mut self) {
        let hues = [0xd6cbb5, 0x8a7a6a, 0xa55c46, 0x5f6b73, 0xc7a36b, 0x7d8b6a];
        for index in 0..26 {
            let part = |k: u32| random(index * 8 + k, self.seed ^ 0xbeb);
            let angle = (index as f32 + 0.8 * part(0)) * 2.399; // the golden angle spreads them
            let out = 0.95 + 0.95 * part(1);
            let size = 0.035 + 0.05 * part(2);
            let radii = size * Vec3::new(1.0 + 0.5 * part(3), 0.8 + 0.3 * part(4), 0.55 + 0.3 * part(5));
            let centre = Vec3::new(out * angle.cos(), out * angle.sin(), 0.8 * radii.z);
            let hue = hues[(part(6) * 5.99) as usize];
            let solid = Solid::ellipsoid(centre, radii, Mat3::from_rotation_z(6.0 * part(7)));
            self.add(solid, Material::Stone { light: srgb(hue) * 1.2, dark: srgb(hue) * 0.5 });
        }
    }
}

fn stone(light: u32, dark: u32) -> Material {
    Material::Stone { light: srgb(light), dark: srgb(dark) }
}

fn wood(light: u32, dark: u32) -> Material {
    Material::Wood { light: srgb(light), dark: srgb(dark) }
}

fn paint(palette: [u32; 5]) -> Material {
    Material::Paint { palette: palette.map(srgb) }
}

/// An upright prism on the ground over a regular polygon.
fn polygon_prism(sides: u32, radius: f32, height: f32, turn: f32) -> Solid {
    let mut planes = vec![Plane { normal: Vec3::Z, offset: height }, Plane { normal: -Vec3::Z, offset: 0.0 }];
    for side in 0..sides {
        let angle = turn + std::f32::consts::TAU * side as f32 / sides as f32;
        planes.push(Plane { normal: Vec3::new(angle.cos(), angle.sin(), 0.0), offset: radius });
    }
    Solid::Convex(planes)
}

/// A broken rock: a lump cut by random planes, standing on the ground.
fn rock(place: Vec2, size: f32, seed: u32) -> Solid {
    const CUTS: u32 = 16;
    let centre = place.extend(0.55 * size);
    let mut planes = vec![Plane { normal: -Vec3::Z, offset: 0.02 }];
    for cut in 0..CUTS {
        // A spiral over the sphere, jittered: no direction is left without a cut.
        let z = 1.0 - 2.0 * (cut as f32 + 0.5) / CUTS as f32;
        let angle = 2.399 * cut as f32 + 0.9 * random(cut, seed);
        let flat = (1.0 - z * z).sqrt();
        let normal =
            Vec3::new(flat * angle.cos(), flat * angle.sin(), z + 0.3 * random(cut + 50, seed) - 0.15);
        let normal = normal.normalize_or(Vec3::Z);
        if normal.z < -0.35 {
            continue; // broad at the foot
        }
        let distance = size * (0.68 + 0.42 * random(cut + 100, seed));
        planes.push(Plane { normal, offset: normal.dot(centre) + distance });
    }
    Solid::Convex(planes)
}

fn bounding_sphere(solid: &Solid) -> (Vec3, f32) {
    match solid {
        Solid::Convex(planes) => {
            let corners = corners(planes);
            let (low, high) = corners
                .iter()
                .fold((Vec3::MAX, Vec3::MIN), |(low, high), corner| (low.min(*corner), high.max(*corner)));
            let centre = 0.5 * (low + high);
            let reach = corners.iter().map(|corner| corner.distance(centre)).fold(0.0, f32::max);
            (centre, reach + 1e-3)
        }
        Solid::Ellipsoid { centre, world_from_unit, .. } => {
            let axes = [world_from_unit.x_axis, world_from_unit.y_axis, world_from_unit.z_axis];
            (*centre, axes.iter().map(|axis| axis.length()).fold(0.0, f32::max) + 1e-3)
        }
        Solid::Cylinder { foot, radius, height } => {
            (*foot + Vec3::Z * (0.5 * height), radius.hypot(0.5 * height) + 1e-3)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_stands_in_the_courtyard() {
        for seed in 0..20 {
            let scene = StillLife::new(seed);
            assert!(scene.objects.len() > 40);
            for (index, object) in scene.objects.iter().enumerate() {
                let out = object.centre.truncate().length() + object.reach;
                assert!(object.reach.is_finite() && object.reach > 0.01, "object {index} of seed {seed}");
                assert!(out < WALL_RADIUS, "object {index} of seed {seed} reaches {out} m");
            }
        }
    }

    #[test]
    fn rays_from_above_meet_the_scene_and_rays_upwards_the_sky() {
        let scene = StillLife::new(1);
        let all: Vec<usize> = (0..scene.objects.len()).collect();
        let down = Ray { origin: Vec3::new(-0.3, 0.24, 5.0), direction: -Vec3::Z };
        let meeting = scene.meet(&down, &all);
        // The top of the painted ball.
        assert!(
            meeting.is_some_and(|m| (m.point.z - 1.355).abs() < 1e-3 && m.normal.z > 0.99),
            "{meeting:?}"
        );
        assert!(scene.meet(&Ray { origin: down.origin, direction: Vec3::Z }, &all).is_none());
        let level = Ray { origin: Vec3::new(0.0, 0.0, 2.0), direction: Vec3::X };
        assert!(scene.meet(&level, &all).is_some_and(|m| m.surface == Surface::Wall && m.normal.x < -0.99));
    }

    /// Leaving objects out of the search must not change what is met.
    #[test]
    fn cones_hold_all_that_their_rays_meet() {
        let scene = StillLife::new(1);
        let all: Vec<usize> = (0..scene.objects.len()).collect();
        let (mut met, mut left_out) = (0, 0);
        for step in 0..400 {
            let part = |k: u32| 2.0 * random(step * 8 + k, 3) - 1.0;
            let origin = Vec3::new(3.0 * part(0), 3.0 * part(1), 1.0 + 0.5 * part(2));
            let axis =
                (Vec3::new(0.0, 0.0, 0.3) - origin + 0.6 * Vec3::new(part(3), part(4), part(5))).normalize();
            let aside = axis.any_orthonormal_vector();
            let direction = (axis + 0.099 * part(6) * aside).normalize();
            let candidates = scene.in_cone(origin, axis, 0.1, 0.05);
            let ray = Ray { origin: origin + 0.049 * aside, direction };
            let of = |candidates: &[usize]| scene.meet(&ray, candidates).map(|m| (m.surface, m.distance));
            assert_eq!(of(&candidates), of(&all), "ray {step}");
            met += usize::from(matches!(of(&all), Some((Surface::Object(_), _))));
            left_out += all.len() - candidates.len();
        }
        assert!(met > 50 && left_out > 400 * 20, "{met} rays met objects, {left_out} were left out");
    }
}
