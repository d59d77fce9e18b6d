//! An orbit around the point that the training cameras look at.

use std::f64::consts::{PI, TAU};

use glam::{DMat3, DVec3};

use super::path::interpolate;
use crate::{Camera, GaussianCloud, Pinhole, Pose};

/// If the training cameras leave a wider gap than this around the subject, the orbit swings back and forth instead of showing the side
/// that was not photographed.
const WIDEST_GAP: f64 = 2.0 * PI / 3.0;

/// `frames` cameras around the point that `cameras` look at, at their mean distance and height.
///
/// If cameras look outwards or in parallel there is no such point; the frames then follow the cameras themselves, in order. Empty if
/// there are no cameras.
#[must_use]
pub fn orbit(cameras: &[Camera], frames: u32) -> Vec<Camera> {
    let Some(first) = cameras.first() else { return Vec::new() };
    let with = |cam_from_world| Camera { intrinsics: first.intrinsics, cam_from_world };
    let Some(centre) = looked_at(cameras) else {
        let keys: Vec<Pose> = cameras.iter().map(|camera| camera.cam_from_world.inverse()).collect();
        let between = (frames as usize / keys.len()) as u32;
        let flight = interpolate(&keys, between);
        // Evenly spaced; the last frame is the end.
        let index = |i: u32| i as usize * (flight.len() - 1) / (frames.max(2) - 1) as usize;
        return (0..frames).map(|i| with(flight[index(i)].inverse())).collect();
    };
    let down =
        mean(cameras.iter().map(|c| c.cam_from_world.inverse().rotation * DVec3::Y)).normalize_or(DVec3::Y);
    let east = down.any_orthonormal_vector();
    let north = down.cross(east);
    let offsets: Vec<DVec3> = cameras.iter().map(|c| c.cam_from_world.centre() - centre).collect();
    let height = mean(offsets.iter().map(|offset| down * offset.dot(down)));
    let flat = |offset: &DVec3| (offset.dot(east), offset.dot(north));
    let radius = offsets.iter().map(|o| f64::hypot(flat(o).0, flat(o).1)).sum::<f64>() / offsets.len() as f64;
    let mut angles: Vec<f64> =
        offsets.iter().map(|o| f64::atan2(flat(o).1, flat(o).0).rem_euclid(TAU)).collect();
    angles.sort_by(f64::total_cmp);
    let (start, arc) = photographed_arc(&angles);
    (0..frames)
        .map(|i| {
            let turn = f64::from(i) / f64::from(frames);
            let angle = if TAU - arc > WIDEST_GAP {
                start + arc * (0.5 - 0.5 * (TAU * turn).cos())
            } else {
                start + TAU * turn
            };
            let eye = centre + height + radius * (angle.cos() * east + angle.sin() * north);
            with(Pose::look_at(eye, centre, down))
        })
        .collect()
}

/// `frames` cameras around a cloud without known cameras: level in COLMAP's axes, far enough to see the densest four fifths of it.
/// `origin` are the world coordinates of the cloud's origin; cameras are in world coordinates.
#[must_use]
pub fn orbit_of_cloud(cloud: &GaussianCloud, origin: [f64; 3], frames: u32) -> Vec<Camera> {
    const SIZE: (u32, u32) = (960, 720);
    const FOCAL_PX: f64 = 800.0;
    const DISTANCE_PER_RADIUS: f64 = 2.0;
    let means: Vec<DVec3> =
        cloud.means.iter().map(|m| DVec3::from_array(m.map(f64::from))).filter(|m| m.is_finite()).collect();
    if means.is_empty() {
        return Vec::new();
    }
    let middle = |axis: usize| quantile(means.iter().map(|m| m[axis]), 0.5);
    let centre = DVec3::new(middle(0), middle(1), middle(2));
    let origin = DVec3::from_array(origin);
    let radius = quantile(means.iter().map(|m| (*m - centre).length()), 0.8).max(1e-6) * DISTANCE_PER_RADIUS;
    let intrinsics = Pinhole {
        width: SIZE.0,
        height: SIZE.1,
        fx: FOCAL_PX,
        fy: FOCAL_PX,
        cx: f64::from(SIZE.0) / 2.0,
        cy: f64::from(SIZE.1) / 2.0,
    };
    (0..frames)
        .map(|i| {
            let angle = TAU * f64::from(i) / f64::from(frames);
            let eye = centre + radius * DVec3::new(angle.sin(), -0.25, -angle.cos());
            let cam_from_world = Pose::look_at(eye, centre, DVec3::Y).rebased(-origin, 1.0);
            Camera { intrinsics, cam_from_world }
        })
        .collect()
}

/// The point in the world nearest to all optical axes, if it is in front of most cameras; `None` if they look in parallel or outwards.
#[must_use]
pub fn looked_at(cameras: &[Camera]) -> Option<DVec3> {
    // Least squares: sum (I - d d^T) (x - p) = 0.
    let mut normal = DMat3::ZERO;
    let mut right = DVec3::ZERO;
    let rays: Vec<(DVec3, DVec3)> = cameras
        .iter()
        .map(|camera| (camera.cam_from_world.centre(), camera.cam_from_world.inverse().rotation * DVec3::Z))
        .collect();
    for (origin, direction) in &rays {
        let across = DMat3::IDENTITY
            - DMat3::from_cols(*direction * direction.x, *direction * direction.y, *direction * direction.z);
        normal += across;
        right += across * *origin;
    }
    // With parallel axes the depth is undetermined; below this determinant it is noise.
    let scale = rays.len() as f64;
    let open = normal.determinant() / (scale * scale * scale);
    if open.is_nan() || open <= 1e-5 {
        return None;
    }
    let point = normal.inverse() * right;
    let in_front = rays.iter().filter(|(origin, direction)| (point - *origin).dot(*direction) > 0.0).count();
    (point.is_finite() && 2 * in_front > rays.len()).then_some(point)
}

/// Start and length of the smallest arc that holds all `angles` (sorted, 0..2 pi).
fn photographed_arc(angles: &[f64]) -> (f64, f64) {
    let mut best = (angles.first().copied().unwrap_or(0.0), 0.0);
    let mut widest_gap = -1.0;
    for (i, angle) in angles.iter().enumerate() {
        let next = angles.get(i + 1).copied().unwrap_or(angles[0] + TAU);
        if next - angle > widest_gap {
            widest_gap = next - angle;
            best = (next.rem_euclid(TAU), TAU - widest_gap);
        }
    }
    best
}

fn mean(vectors: impl Iterator<Item = DVec3>) -> DVec3 {
    let (sum, count) = vectors.fold((DVec3::ZERO, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    sum / f64::max(count, 1.0)
}

fn quantile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(((values.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTRINSICS: Pinhole = Pinhole { width: 40, height: 30, fx: 30.0, fy: 30.0, cx: 20.0, cy: 15.0 };
    const TARGET: DVec3 = DVec3::new(5.0, -1.0, 2.0);

    fn ring(from: f64, to: f64) -> Vec<Camera> {
        (0..12)
            .map(|i| {
                let angle = from + (to - from) * f64::from(i) / 12.0;
                let eye = TARGET + DVec3::new(3.0 * angle.cos(), -1.0, 3.0 * angle.sin());
                Camera { intrinsics: INTRINSICS, cam_from_world: Pose::look_at(eye, TARGET, DVec3::Y) }
            })
            .collect()
    }

    fn angles(frames: &[Camera]) -> Vec<f64> {
        frames
            .iter()
            .map(|camera| {
                let offset = camera.cam_from_world.centre() - TARGET;
                offset.z.atan2(offset.x)
            })
            .collect()
    }

    #[test]
    fn a_ring_is_followed_all_around() {
        let frames = orbit(&ring(0.0, TAU), 36);
        for camera in &frames {
            let target_cam = camera.cam_from_world.transform_point(TARGET);
            assert!((target_cam - DVec3::Z * 10f64.sqrt()).length() < 1e-6, "{target_cam}");
        }
        let mut seen = angles(&frames);
        seen.sort_by(f64::total_cmp);
        let widest = seen.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(widest < 0.2, "{widest}");
    }

    #[test]
    fn one_side_is_swept_there_and_back() {
        let cameras = ring(0.3, 1.5);
        let seen = angles(&orbit(&cameras, 36));
        let (lowest, highest) = seen.iter().fold((9.0, -9.0), |(l, h), a| (f64::min(l, *a), f64::max(h, *a)));
        assert!(lowest > 0.29 && highest < 1.5, "{lowest} to {highest}");
        assert!(highest - lowest > 1.0);
    }

    #[test]
    fn parallel_cameras_are_flown_past() {
        let cameras: Vec<_> = (0..5)
            .map(|i| {
                let eye = DVec3::X * f64::from(i);
                Camera {
                    intrinsics: INTRINSICS,
                    cam_from_world: Pose::look_at(eye, eye + DVec3::Z, DVec3::Y),
                }
            })
            .collect();
        for count in [1, 2, 7, 60] {
            let frames = orbit(&cameras, count);
            assert_eq!(frames.len(), count as usize);
            assert!(frames.iter().all(|f| f.cam_from_world.centre().is_finite()));
        }
        let frames = orbit(&cameras, 60);
        assert!((frames[59].cam_from_world.centre() - DVec3::X * 4.0).length() < 1e-9);
        assert!(orbit(&[], 9).is_empty());
        assert_eq!(orbit(&cameras[..1], 3).len(), 3);
    }

    #[test]
    fn a_bare_cloud_is_seen_from_around() {
        let cloud = GaussianCloud {
            means: vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, f32::NAN, 0.0], [0.0, 0.0, 2.0]],
            ..GaussianCloud::default()
        };
        let frames = orbit_of_cloud(&cloud, [0.0; 3], 8);
        assert_eq!(frames.len(), 8);
        assert!(frames.iter().all(|f| f.cam_from_world.centre().is_finite()));
        assert!(orbit_of_cloud(&GaussianCloud::default(), [0.0; 3], 8).is_empty());
    }
}
