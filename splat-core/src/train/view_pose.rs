//! The pose of one view during its refinement.

use glam::{DMat3, DQuat, DVec3};
use serde::{Deserialize, Serialize};

use super::frame::SceneFrame;
use crate::camera::Pose;
use crate::dataset::Dataset;
use crate::gaussians::median;

/// Rows of the gradient of `cam_from_world`; the last entries are that of the translation.
pub(super) type PoseRows = [[f32; 4]; 3];

/// Decay of the moments: faster than for Gaussians, since a view's turns are rare.
const BETAS: [f64; 2] = [0.8, 0.98];

/// One view's pose and the state of its optimizer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ViewPose {
    /// `cam_from_world` in the run's frame: rotation (x, y, z, w) and translation.
    rotation: [f64; 4],
    translation: [f64; 3],
    /// Moments of the gradient: three rotations, then three translations.
    first: [f64; 6],
    second: [f64; 6],
    updates: u32,
    /// Sums of the recorded gradients, and of their squares.
    sum: [f64; 6],
    squares: [f64; 6],
    pub(super) turns: u32,
    /// Gradients to be used at the view's next turn, with their steps.
    pub(super) waiting: Vec<(u32, PoseRows)>,
}

/// Constants of a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Typical depth of what it sees, units of the frame: rotations are about the point at that depth in front of the camera, so
    /// that they and translations change the image in different ways.
    pub(super) depth: f64,
    pub(super) focal_px: f64,
    /// The dataset's pose.
    pub(super) given: Pose,
}

impl ViewPose {
    pub(super) fn of(pose: Pose) -> Self {
        Self {
            rotation: pose.rotation.to_array(),
            translation: pose.translation.to_array(),
            first: [0.0; 6],
            second: [0.0; 6],
            updates: 0,
            sum: [0.0; 6],
            squares: [0.0; 6],
            turns: 0,
            waiting: Vec::new(),
        }
    }

    pub(super) fn pose(&self) -> Pose {
        Pose { rotation: DQuat::from_array(self.rotation), translation: DVec3::from_array(self.translation) }
    }

    /// One step of Adam, which moves the image by about `rate_px`.
    pub(super) fn update(&mut self, rows: &PoseRows, scale: Scale, rate_px: f64) {
        let gradient = motion_gradient(&self.pose(), scale.depth, rows);
        if !gradient.iter().all(|g| g.is_finite()) {
            return;
        }
        self.updates += 1;
        let [beta1, beta2] = BETAS;
        let corrections = BETAS.map(|beta| 1.0 - beta.powi(self.updates as i32));
        let mut step = [0.0; 6];
        for (i, g) in gradient.into_iter().enumerate() {
            self.first[i] = beta1 * self.first[i] + (1.0 - beta1) * g;
            self.second[i] = beta2 * self.second[i] + (1.0 - beta2) * g * g;
            let length = if i < 3 { 1.0 } else { scale.depth };
            let mean = self.first[i] / corrections[0];
            let deviation = (self.second[i] / corrections[1]).sqrt();
            step[i] = -rate_px / scale.focal_px * length * mean / deviation.max(f64::MIN_POSITIVE);
        }
        self.set(moved(&self.pose(), scale.depth, &step));
    }

    pub(super) fn set(&mut self, pose: Pose) {
        self.rotation = pose.rotation.to_array();
        self.translation = pose.translation.to_array();
    }

    /// Adds a gradient to the sums of [`ViewPose::agreement`].
    pub(super) fn watch(&mut self, rows: &PoseRows, scale: Scale) {
        self.turns += 1;
        for (i, g) in motion_gradient(&self.pose(), scale.depth, rows).into_iter().enumerate() {
            self.sum[i] += g;
            self.squares[i] += g * g;
        }
    }

    /// Agreement of the recorded gradients: the square of their sum over the sum of their squares, averaged over the degrees of
    /// freedom. It is 1 for uncorrelated gradients, and their number for equal ones.
    pub(super) fn agreement(&self) -> f64 {
        let of = |(sum, squares): (&f64, &f64)| sum * sum / squares.max(f64::MIN_POSITIVE);
        self.sum.iter().zip(&self.squares).map(of).sum::<f64>() / 6.0
    }
}

/// Gradient with respect to a motion `(w, v)` of a camera's image: rotations about the axes (radians) through the point `p` at
/// `depth` in front of it, then translations. It maps a pose `(R, t)` to `(exp(w) R, exp(w) (t - p) + p + v)`.
fn motion_gradient(pose: &Pose, depth: f64, rows: &PoseRows) -> [f64; 6] {
    let rotation = DMat3::from_quat(pose.rotation);
    let row = |i: usize| DVec3::new(rows[i][0].into(), rows[i][1].into(), rows[i][2].into());
    // Columns of the gradient of R.
    let v_rotation = DMat3::from_cols(row(0), row(1), row(2)).transpose();
    let v_translation = DVec3::new(rows[0][3].into(), rows[1][3].into(), rows[2][3].into());
    // d(R, t) = (w x R, w x (t - p) + v), and a . (w x b) = w . (b x a).
    let turn = (0..3).map(|k| rotation.col(k).cross(v_rotation.col(k))).sum::<DVec3>()
        + (pose.translation - DVec3::new(0.0, 0.0, depth)).cross(v_translation);
    [turn.x, turn.y, turn.z, v_translation.x, v_translation.y, v_translation.z]
}

/// A pose after that motion.
pub(super) fn moved(pose: &Pose, depth: f64, motion: &[f64; 6]) -> Pose {
    let [a, b, c, x, y, z] = *motion;
    let turn = DQuat::from_scaled_axis(DVec3::new(a, b, c));
    let centre = DVec3::new(0.0, 0.0, depth);
    Pose {
        rotation: (turn * pose.rotation).normalize(),
        translation: turn * (pose.translation - centre) + centre + DVec3::new(x, y, z),
    }
}

impl Scale {
    fn of(pose: &Pose, focal_px: f64, points: &[DVec3]) -> Self {
        let depths = points.iter().map(|&point| pose.transform_point(point).z).filter(|&z| z > 0.0);
        // Without points, the distance of the frame's origin, the centre of the cameras, is used.
        let depth = median(depths.collect()).unwrap_or_else(|| pose.translation.length());
        Self { depth: depth.max(1e-3), focal_px: focal_px.max(1.0), given: *pose }
    }
}

/// One view whose pose is optimized for its photo.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pose: ViewPose,
    scale: Scale,
}

impl Probe {
    /// Starts from the dataset's pose.
    pub(super) fn of(dataset: &Dataset, frame: SceneFrame, view: usize) -> Self {
        let (pose, scale) = beginning(dataset, frame, view, &points_in(dataset, frame));
        Self { pose, scale }
    }

    pub(super) fn pose(&self) -> Pose {
        self.pose.pose()
    }

    /// Moves the image by about `rate_px`.
    pub(super) fn update(&mut self, rows: &PoseRows, rate_px: f64) {
        self.pose.update(rows, self.scale, rate_px);
    }
}

/// The dataset's points in the run's frame.
pub(super) fn points_in(dataset: &Dataset, frame: SceneFrame) -> Vec<DVec3> {
    (dataset.scene.points.iter())
        .map(|point| DVec3::from_array(frame.point(point).position))
        .filter(|point| point.is_finite())
        .collect()
}

/// A view's state before the first step.
pub(super) fn beginning(
    dataset: &Dataset,
    frame: SceneFrame,
    view: usize,
    points: &[DVec3],
) -> (ViewPose, Scale) {
    let camera = dataset.pinhole_camera(view);
    let pose = frame.camera(&camera.into()).cam_from_world;
    (ViewPose::of(pose), Scale::of(&pose, camera.intrinsics.fx, points))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const DEPTH: f64 = 2.5;

    pub(crate) fn pose() -> Pose {
        let rotation = DQuat::from_scaled_axis(DVec3::new(0.3, -0.7, 0.4));
        Pose { rotation, translation: DVec3::new(0.2, -0.5, 1.7) }
    }

    /// A loss that is linear in the rows of a pose, so that its gradient is constant.
    fn loss(pose: &Pose, rows: &PoseRows) -> f64 {
        let rotation = DMat3::from_quat(pose.rotation).transpose();
        let of_row = |(i, row): (usize, &[f32; 4])| {
            let [a, b, c, d] = row.map(f64::from);
            DVec3::new(a, b, c).dot(rotation.col(i)) + d * pose.translation[i]
        };
        rows.iter().enumerate().map(of_row).sum()
    }

    #[test]
    fn the_gradient_of_a_motion_is_that_of_finite_differences() {
        let rows = [[0.3, -1.2, 0.7, 0.4], [2.0, 0.1, -0.6, -1.1], [-0.8, 0.9, 1.3, 0.2]];
        let gradient = motion_gradient(&pose(), DEPTH, &rows);
        for (i, g) in gradient.into_iter().enumerate() {
            let at = |step: f64| {
                let mut motion = [0.0; 6];
                motion[i] = step;
                loss(&moved(&pose(), DEPTH, &motion), &rows)
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((difference - g).abs() < 1e-6, "{i}: {g}, by differences {difference}");
        }
    }

    #[test]
    fn a_rotation_is_about_what_the_camera_sees() {
        let turned = moved(&pose(), DEPTH, &[0.1, -0.2, 0.3, 0.0, 0.0, 0.0]);
        let in_front = pose().inverse().transform_point(DVec3::new(0.0, 0.0, DEPTH));
        assert!(turned.transform_point(in_front).abs_diff_eq(DVec3::new(0.0, 0.0, DEPTH), 1e-12));
    }
}
