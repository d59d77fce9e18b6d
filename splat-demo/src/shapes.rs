//! The solids of the demo scene and where rays meet them. World units are metres, z is up.

use glam::{Mat3, Vec2, Vec3};

/// A half-line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ray {
    pub(super) origin: Vec3,
    /// Of length 1.
    pub(super) direction: Vec3,
}

/// Where a ray enters a solid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) distance: f32,
    pub(super) normal: Vec3,
    /// Index of the face: each has its own light map and its own paint.
    pub(super) face: usize,
}

/// A flat side of a solid, or the ground: all points with `normal · p = offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    pub(super) normal: Vec3,
    pub(super) offset: f32,
}

/// A solid.
#[derive(Clone, Debug)]
pub(super) enum Solid {
    /// The points behind all planes: boxes and broken rocks.
    Convex(Vec<Plane>),
    /// Image of the unit sphere.
    Ellipsoid { centre: Vec3, world_from_unit: Mat3, unit_from_world: Mat3 },
    /// Upright; face 0 is the side, face 1 the top.
    Cylinder { foot: Vec3, radius: f32, height: f32 },
}

impl Solid {
    /// A box of full `size` around `centre`.
    pub(super) fn cuboid(centre: Vec3, size: Vec3, rotation: Mat3) -> Self {
        let planes = [Vec3::X, Vec3::Y, Vec3::Z]
            .into_iter()
            .flat_map(|axis| [axis, -axis])
            .map(|axis| {
                let normal = rotation * axis;
                Plane { normal, offset: normal.dot(centre) + 0.5 * size.dot(axis.abs()) }
            })
            .collect();
        Self::Convex(planes)
    }

    /// An ellipsoid with half-axes `radii`.
    pub(super) fn ellipsoid(centre: Vec3, radii: Vec3, rotation: Mat3) -> Self {
        let world_from_unit = rotation * Mat3::from_diagonal(radii);
        let unit_from_world = Mat3::from_diagonal(radii.recip()) * rotation.transpose();
        Self::Ellipsoid { centre, world_from_unit, unit_from_world }
    }

    /// The first meeting in front of the ray's origin, from outside.
    pub(super) fn meet(&self, ray: &Ray) -> Option<Hit> {
        match self {
            Self::Convex(planes) => meet_convex(planes, ray),
            Self::Ellipsoid { centre, unit_from_world, .. } => {
                let origin = *unit_from_world * (ray.origin - *centre);
                let direction = *unit_from_world * ray.direction;
                let (a, half_b) = (direction.length_squared(), origin.dot(direction));
                let discriminant = half_b * half_b - a * (origin.length_squared() - 1.0);
                if !(discriminant > 0.0 && half_b < 0.0) {
                    return None;
                }
                let distance = (-half_b - discriminant.sqrt()) / a;
                let normal = unit_from_world.transpose() * (origin + direction * distance);
                (distance > 0.0).then(|| Hit { distance, normal: normal.normalize_or(Vec3::Z), face: 0 })
            }
            Self::Cylinder { foot, radius, height } => meet_cylinder(*foot, *radius, *height, ray),
        }
    }
}

fn meet_convex(planes: &[Plane], ray: &Ray) -> Option<Hit> {
    let (mut enter, mut leave, mut face) = (0.0, f32::MAX, None);
    for (index, plane) in planes.iter().enumerate() {
        let slope = plane.normal.dot(ray.direction);
        let gap = plane.offset - plane.normal.dot(ray.origin);
        if slope < -1e-7 {
            let distance = gap / slope;
            if distance > enter {
                enter = distance;
                face = Some(index);
            }
        } else if slope > 1e-7 {
            leave = f32::min(leave, gap / slope);
        } else if gap < 0.0 {
            return None;
        }
        if enter > leave {
            return None;
        }
    }
    face.map(|face| Hit { distance: enter, normal: planes[face].normal, face })
}

fn meet_cylinder(foot: Vec3, radius: f32, height: f32, ray: &Ray) -> Option<Hit> {
    let origin = ray.origin - foot;
    let (flat_origin, flat_direction) = (origin.truncate(), ray.direction.truncate());
    let (a, half_b) = (flat_direction.length_squared(), flat_origin.dot(flat_direction));
    let discriminant = half_b * half_b - a * (flat_origin.length_squared() - radius * radius);
    if a > 1e-9 && discriminant > 0.0 {
        let distance = (-half_b - discriminant.sqrt()) / a;
        let z = origin.z + distance * ray.direction.z;
        if distance > 0.0 && (0.0..=height).contains(&z) {
            let out = (flat_origin + flat_direction * distance) / radius;
            return Some(Hit { distance, normal: out.extend(0.0), face: 0 });
        }
    }
    if ray.direction.z < -1e-7 && origin.z > height {
        let distance = (height - origin.z) / ray.direction.z;
        if (flat_origin + flat_direction * distance).length_squared() <= radius * radius {
            return Some(Hit { distance, normal: Vec3::Z, face: 1 });
        }
    }
    None
}

/// A solid's corners: the points where three planes meet and that no plane cuts off.
pub(super) fn corners(planes: &[Plane]) -> Vec<Vec3> {
    let mut corners = Vec::new();
    for (i, a) in planes.iter().enumerate() {
        for (j, b) in planes.iter().enumerate().skip(i + 1) {
            for c in planes.iter().skip(j + 1) {
                let system = Mat3::from_cols(a.normal, b.normal, c.normal).transpose();
                if system.determinant().abs() < 1e-4 {
                    continue;
                }
                let point = system.inverse() * Vec3::new(a.offset, b.offset, c.offset);
                if planes.iter().all(|plane| plane.normal.dot(point) <= plane.offset + 1e-4) {
                    corners.push(point);
                }
            }
        }
    }
    corners
}

/// A rectangle in a plane, `origin + s u + t v` for `s, t` in 0..1: what a flat light map covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rectangle {
    pub(super) origin: Vec3,
    pub(super) u: Vec3,
    pub(super) v: Vec3,
}

impl Rectangle {
    /// The smallest one around `points` whose sides follow the plane's own axes.
    pub(super) fn around(plane: &Plane, points: &[Vec3]) -> Self {
        let u = plane.normal.any_orthonormal_vector();
        let v = plane.normal.cross(u);
        let (mut low, mut high) = (Vec2::MAX, Vec2::MIN);
        for point in points {
            let flat = Vec2::new(point.dot(u), point.dot(v));
            (low, high) = (low.min(flat), high.max(flat));
        }
        let size = (high - low).max(Vec2::splat(1e-3));
        let origin = plane.normal * plane.offset + u * low.x + v * low.y;
        Self { origin, u: u * size.x, v: v * size.y }
    }

    pub(super) fn coordinates(&self, point: Vec3) -> Vec2 {
        let offset = point - self.origin;
        Vec2::new(offset.dot(self.u) / self.u.length_squared(), offset.dot(self.v) / self.v.length_squared())
    }
}
