//! Refinement of the cameras' poses while the scene is trained.
//!
//! Each step of a view gives the gradient of the loss with respect to its pose (`shaders/pose_total.wgsl`), from which the view's pose
//! is moved by Adam. It reaches the host a few steps late and is used when the view has its turn again, so results do not depend on
//! when it arrives. Poses that structure-from-motion made are good already and become worse; what decides is whether a view's gradients
//! point the same way from turn to turn, see [`Poses::decide`].
//!
//! # Source
//! Joint refinement by photometric gradients: BARF (Lin et al. 2021); with Gaussians: gsplat's `pose_opt` (Ye et al. 2024).

use std::collections::BTreeMap;

use glam::{DMat3, DQuat, DVec3};
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::frame::SceneFrame;
use crate::camera::{LensCamera, Pose};
use crate::dataset::Dataset;

/// Rows of the gradient of `cam_from_world`, of which the last entries are the translation's.
pub(super) type PoseRows = [[f32; 4]; 3];

/// What becomes of the poses that a dataset has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoseMode {
    /// Refined if the first part of the run shows that they are off.
    #[default]
    Auto,
    /// Kept.
    Fixed,
    /// Refined.
    Refine,
}

crate::words! { PoseMode:
    Auto = "auto", "Refine the cameras' poses if the first part of training shows that they are off";
    Fixed = "fixed", "Keep the poses as they are given";
    Refine = "refine", "Refine them while training";
}

/// Share of the run before the first gradient is used: Gaussians have to find their place first.
const FROM: f32 = 0.1;
/// [`PoseMode::Auto`] decides after so many turns of every view. One gradient says nothing of the pose: half of it is noise.
const TURNS: u32 = 4;
/// Where these take a larger share of the run than this, what is left is too little to refine poses, and they are kept.
const DECIDES_BY: f32 = 0.6;
/// A gradient is used this many steps after its own step at the earliest: more than are in flight.
const DELAY: u32 = 3;
/// How far a step moves a picture at the first step of a run of 30,000, pixels of the full training size. Where cameras of the public
/// benchmark are turned by 0.3 degrees and moved by 0.5 % of their extent, 500 steps at 240 pixels give 26.1 dB and SSIM 0.841 with poses
/// fixed, 26.8 and 0.877 with 0.25, 25.2 and 0.835 with 0.5.
const RATE_PX: f64 = 0.25;
/// Share of that rate that is left at the last step.
const RATE_FINAL: f64 = 0.05;
/// [`PoseMode::Auto`] refines poses whose gradients agree more than this; see [`Poses::agreement`]. It is 2.0 for the benchmark's poses,
/// which structure-from-motion made, and 3.3 for those turned by 0.3 or 1 degree.
const LEAST_AGREEMENT: f64 = 2.6;
/// Decay of the moments: shorter than the Gaussians', since a view has its turn seldom.
const BETAS: [f64; 2] = [0.8, 0.98];

/// One view's pose and what its optimizer remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ViewPose {
    /// `cam_from_world` in the run's frame: rotation (x, y, z, w) and translation.
    rotation: [f64; 4],
    translation: [f64; 3],
    /// Moments of the gradient: three rotations, then three translations.
    first: [f64; 6],
    second: [f64; 6],
    updates: u32,
    /// Sums of gradients, and of their squares, since [`FROM`].
    sum: [f64; 6],
    squares: [f64; 6],
    turns: u32,
    /// Gradients that wait for the view's next turn, with their steps.
    waiting: Vec<(u32, PoseRows)>,
}

/// What is fixed of a view.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Typical depth of what it sees, units of the frame: rotations are about the point at that depth in front of the camera, so that
    /// they and translations change the picture in different ways.
    depth: f64,
    focal_px: f64,
    /// The pose that the dataset has.
    given: Pose,
}

/// What happens to the poses at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// They are kept.
    #[default]
    Fixed,
    /// They are kept, and their gradients looked at.
    Watched,
    /// They are refined.
    Refined,
}

/// The poses of the training views.
#[derive(Clone, Debug, Default)]
pub(super) struct Poses {
    stage: Stage,
    views: BTreeMap<usize, ViewPose>,
    scales: BTreeMap<usize, Scale>,
    /// The step before which [`Poses::settle`] was last done: a step that is run again must not do it twice.
    settled_before: Option<u32>,
}

impl ViewPose {
    fn of(pose: Pose) -> Self {
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

    fn pose(&self) -> Pose {
        Pose { rotation: DQuat::from_array(self.rotation), translation: DVec3::from_array(self.translation) }
    }

    /// One step of Adam that moves the picture by about `rate_px`.
    fn update(&mut self, rows: &PoseRows, scale: Scale, rate_px: f64) {
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
        let moved = moved(&self.pose(), scale.depth, &step);
        self.rotation = moved.rotation.to_array();
        self.translation = moved.translation.to_array();
    }

    /// Adds a gradient to the sums by which [`Poses::decide`] judges.
    fn watch(&mut self, rows: &PoseRows, scale: Scale) {
        self.turns += 1;
        for (i, g) in motion_gradient(&self.pose(), scale.depth, rows).into_iter().enumerate() {
            self.sum[i] += g;
            self.squares[i] += g * g;
        }
    }
}

/// Gradient with respect to a motion `(w, v)` of a camera's picture: rotations about the axes (radians) through the point `p` at `depth`
/// in front of it, then translations. It maps a pose `(R, t)` to `(exp(w) R, exp(w) (t - p) + p + v)`.
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

/// A pose after such a motion.
fn moved(pose: &Pose, depth: f64, motion: &[f64; 6]) -> Pose {
    let [a, b, c, x, y, z] = *motion;
    let turn = DQuat::from_scaled_axis(DVec3::new(a, b, c));
    let centre = DVec3::new(0.0, 0.0, depth);
    Pose {
        rotation: (turn * pose.rotation).normalize(),
        translation: turn * (pose.translation - centre) + centre + DVec3::new(x, y, z),
    }
}

impl Poses {
    /// The poses of a dataset's training views. With a rolling shutter a view has two, and they are kept.
    pub(super) fn of(dataset: &Dataset, frame: SceneFrame, mode: PoseMode) -> Self {
        let stage = match mode {
            PoseMode::Fixed => Stage::Fixed,
            _ if dataset.keeps_rolling_shutter() => Stage::Fixed,
            PoseMode::Auto => Stage::Watched,
            PoseMode::Refine => Stage::Refined,
        };
        if stage == Stage::Fixed {
            return Self::default();
        }
        let points = points_in(dataset, frame);
        let mut poses = Self { stage, ..Self::default() };
        for &index in &dataset.train {
            let (pose, scale) = beginning(dataset, frame, index, &points);
            poses.views.insert(index, pose);
            poses.scales.insert(index, scale);
        }
        poses
    }

    /// Whether a step (from 0) needs its pose's gradient.
    pub(super) fn wants_gradient(&self) -> bool {
        self.stage != Stage::Fixed
    }

    /// Keeps a step's gradient for the next turn of its view.
    pub(super) fn keep(&mut self, view: usize, step: u32, rows: PoseRows, config: &TrainConfig) {
        if let Some(pose) = self.views.get_mut(&view)
            && config.progress(step) >= FROM
        {
            pose.waiting.push((step, rows));
        }
    }

    /// Moves a view before its turn at `step`.
    pub(super) fn take_turn(&mut self, view: usize, step: u32, config: &TrainConfig) {
        if self.stage == Stage::Refined && step.is_multiple_of(self.views.len() as u32) {
            self.settle(step);
        }
        let (Some(pose), Some(&scale)) = (self.views.get_mut(&view), self.scales.get(&view)) else { return };
        for (of, rows) in std::mem::take(&mut pose.waiting) {
            if of + DELAY > step {
                pose.waiting.push((of, rows));
            } else {
                pose.watch(&rows, scale);
                if self.stage == Stage::Refined {
                    let progress = config.progress(of);
                    let rate =
                        RATE_PX * f64::from(config.rate_boost()) * RATE_FINAL.powf(f64::from(progress));
                    pose.update(&rows, scale, rate);
                }
            }
        }
    }

    /// Takes back what the cameras moved by together, before the first step of each round of views. Scene and cameras could drift away
    /// together, and photos that are held out would be left behind.
    fn settle(&mut self, step: u32) {
        if self.settled_before.replace(step) == Some(step) {
            return;
        }
        let count = self.views.len().max(1) as f64;
        let pairs =
            || self.views.iter().filter_map(|(view, pose)| Some((pose.pose(), self.scales.get(view)?.given)));
        // The drift takes a point of the given world to `turn * point + shift`.
        let turned = |(now, given): (Pose, Pose)| {
            let by = now.rotation.conjugate() * given.rotation;
            if by.w < 0.0 { (-by).to_scaled_axis() } else { by.to_scaled_axis() }
        };
        let turn = DQuat::from_scaled_axis(pairs().map(turned).sum::<DVec3>() / count);
        let shift = pairs().map(|(now, given)| now.centre() - turn * given.centre()).sum::<DVec3>() / count;
        for pose in self.views.values_mut() {
            let now = pose.pose();
            let rotation = (now.rotation * turn).normalize();
            let centre = turn.conjugate() * (now.centre() - shift);
            pose.rotation = rotation.to_array();
            pose.translation = (-(rotation * centre)).to_array();
        }
    }

    /// A camera of the run's frame with the pose that its view has now.
    pub(super) fn camera(&self, view: usize, camera: LensCamera) -> LensCamera {
        let cam_from_world = self.refined(view).unwrap_or(camera.cam_from_world);
        LensCamera { cam_from_world, ..camera }
    }
}

/// One view whose pose is looked for.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pose: ViewPose,
    scale: Scale,
}

impl Probe {
    /// Begins at the pose that the dataset has.
    pub(super) fn of(dataset: &Dataset, frame: SceneFrame, view: usize) -> Self {
        let (pose, scale) = beginning(dataset, frame, view, &points_in(dataset, frame));
        Self { pose, scale }
    }

    pub(super) fn pose(&self) -> Pose {
        self.pose.pose()
    }

    /// Moves the picture by about `rate_px`.
    pub(super) fn update(&mut self, rows: &PoseRows, rate_px: f64) {
        self.pose.update(rows, self.scale, rate_px);
    }
}

/// The dataset's points in the run's frame.
fn points_in(dataset: &Dataset, frame: SceneFrame) -> Vec<DVec3> {
    (dataset.scene.points.iter())
        .map(|point| DVec3::from_array(frame.point(point).position))
        .filter(|point| point.is_finite())
        .collect()
}

/// A view as it is before the first step.
fn beginning(dataset: &Dataset, frame: SceneFrame, view: usize, points: &[DVec3]) -> (ViewPose, Scale) {
    let camera = dataset.pinhole_camera(view);
    let pose = frame.camera(&camera.into()).cam_from_world;
    (ViewPose::of(pose), Scale::of(&pose, camera.intrinsics.fx, points))
}

/// What a checkpoint holds of the poses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedPoses {
    stage: Stage,
    views: BTreeMap<usize, ViewPose>,
}

impl Poses {
    /// For a checkpoint; `None` where poses are kept.
    pub(super) fn saved(&self) -> Option<SavedPoses> {
        self.wants_gradient().then(|| SavedPoses { stage: self.stage, views: self.views.clone() })
    }

    /// The poses of a run that goes on.
    pub(super) fn resumed(dataset: &Dataset, frame: SceneFrame, saved: Option<SavedPoses>) -> Self {
        let Some(SavedPoses { stage, views }) = saved else { return Self::default() };
        let mut poses = Self::of(dataset, frame, PoseMode::Auto);
        if poses.views.keys().eq(views.keys()) {
            (poses.stage, poses.views) = (stage, views);
        }
        poses
    }

    /// Whether [`Poses::decide`] is due before a step, with that share of the run done.
    pub(super) fn decides_before(&self, progress: f32) -> bool {
        self.stage == Stage::Watched && (progress >= DECIDES_BY || self.turns() >= TURNS)
    }

    /// Turns of the view that had the fewest, each with a gradient.
    fn turns(&self) -> u32 {
        self.views.values().map(|pose| pose.turns + pose.waiting.len() as u32).min().unwrap_or(0)
    }

    /// Chooses between refining and keeping the poses that have been watched. No step may be in flight.
    pub(super) fn decide(&mut self) {
        let enough = self.turns() >= TURNS;
        for (view, pose) in &mut self.views {
            if let Some(&scale) = self.scales.get(view) {
                for (_, rows) in std::mem::take(&mut pose.waiting) {
                    pose.watch(&rows, scale);
                }
            }
        }
        let agreement = self.agreement();
        self.stage = if enough && agreement > LEAST_AGREEMENT { Stage::Refined } else { Stage::Fixed };
        if self.stage == Stage::Fixed {
            self.views.clear();
        }
    }

    /// How much the gradients of a view agree from turn to turn: the square of their sum over the sum of their squares, which is 1 for
    /// gradients that have nothing in common, as a mean over views and degrees of freedom.
    pub(super) fn agreement(&self) -> f64 {
        let of_view = |pose: &ViewPose| {
            let of = |(sum, squares): (&f64, &f64)| sum * sum / squares.max(f64::MIN_POSITIVE);
            pose.sum.iter().zip(&pose.squares).map(of).sum::<f64>() / 6.0
        };
        let watched: Vec<f64> = self.views.values().filter(|pose| pose.turns > 1).map(of_view).collect();
        watched.iter().sum::<f64>() / watched.len().max(1) as f64
    }

    /// A view's refined pose in the run's frame.
    pub(super) fn refined(&self, view: usize) -> Option<Pose> {
        self.views.get(&view).filter(|_| self.stage == Stage::Refined).map(ViewPose::pose)
    }
}

impl Scale {
    fn of(pose: &Pose, focal_px: f64, points: &[DVec3]) -> Self {
        let mut depths: Vec<f64> =
            points.iter().map(|&point| pose.transform_point(point).z).filter(|&z| z > 0.0).collect();
        let middle = depths.len() / 2;
        let median =
            (middle < depths.len()).then(|| *depths.select_nth_unstable_by(middle, f64::total_cmp).1);
        // Without points, the middle of the cameras is what is known.
        let depth = median.unwrap_or_else(|| pose.translation.length());
        Self { depth: depth.max(1e-3), focal_px: focal_px.max(1.0), given: *pose }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: f64 = 2.5;

    fn pose() -> Pose {
        let rotation = DQuat::from_scaled_axis(DVec3::new(0.3, -0.7, 0.4));
        Pose { rotation, translation: DVec3::new(0.2, -0.5, 1.7) }
    }

    /// A loss that is linear in the rows of a pose, so that its gradient with respect to them is the same everywhere.
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

    #[test]
    fn what_all_cameras_moved_by_is_taken_back() {
        let given: Vec<Pose> = (0..5)
            .map(|i| moved(&pose(), DEPTH, &[0.3 * f64::from(i), 0.1, 0.0, 0.0, 0.5, f64::from(i)]))
            .collect();
        let drift = Pose {
            rotation: DQuat::from_scaled_axis(DVec3::new(0.02, -0.01, 0.03)),
            translation: DVec3::new(0.1, 0.2, -0.1),
        };
        let mut poses = Poses { stage: Stage::Refined, ..Poses::default() };
        for (view, given) in given.iter().enumerate() {
            let rotation = given.rotation * drift.rotation.conjugate();
            let centre = drift.transform_point(given.centre());
            let drifted = Pose { rotation, translation: -(rotation * centre) };
            poses.views.insert(view, ViewPose::of(drifted));
            poses.scales.insert(view, Scale { depth: DEPTH, focal_px: 100.0, given: *given });
        }
        poses.settle(7);
        for (view, given) in given.iter().enumerate() {
            let settled =
                poses.refined(view).map(|pose| (pose.rotation.angle_between(given.rotation), pose.centre()));
            assert!(
                settled.is_some_and(|(angle, centre)| angle < 1e-6 && centre.distance(given.centre()) < 1e-6),
                "{settled:?}"
            );
        }
    }

    #[test]
    fn gradients_that_point_the_same_way_agree() {
        let scale = Scale { depth: DEPTH, focal_px: 100.0, given: pose() };
        let rows = |sign: f32| [[0.3 * sign, -1.2 * sign, 0.7, 0.4 * sign]; 3];
        let watched = |signs: [f32; 4]| {
            let mut view = ViewPose::of(Pose::IDENTITY);
            for sign in signs {
                view.watch(&rows(sign).map(|row| row.map(|x| x * sign.signum())), scale);
            }
            let views = BTreeMap::from([(0, view)]);
            Poses { stage: Stage::Watched, views, ..Poses::default() }.agreement()
        };
        let same = watched([1.0; 4]);
        assert!((same - 4.0).abs() < 1e-6, "{same}");
        assert!(watched([1.0, -1.0, 1.0, -1.0]) < same);
    }
}
