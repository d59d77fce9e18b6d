//! Refinement of the cameras' poses during training.
//!
//! Each step of a view gives the gradient of the loss with respect to its pose (`shaders/pose_total.wgsl`), from which Adam
//! updates the pose. The gradient reaches the host a few steps late and is used at the view's next turn, so results do not depend
//! on when it arrives. Accurate poses from structure-from-motion would become worse; so poses are refined only if a view's
//! gradients point in the same direction from turn to turn, see [`Poses::decide`].
//!
//! # Source
//! Joint refinement by photometric gradients: BARF (Lin et al. 2021); with Gaussians: gsplat's `pose_opt` (Ye et al. 2024).

use std::collections::BTreeMap;

use glam::{DQuat, DVec3};
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::frame::SceneFrame;
use super::view_pose::{PoseRows, Scale, ViewPose, beginning, points_in};
use crate::camera::{LensCamera, Pose};
use crate::dataset::Dataset;

crate::words! {
    /// What to do with a dataset's poses.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum PoseMode {
        #[default]
        Auto = "auto", "Refine the cameras' poses if the first part of training shows that they are off";
        Fixed = "fixed", "Keep the poses as they are given";
        Refine = "refine", "Refine them while training";
    }
}

/// Share of the run before the first gradient is used: Gaussians must settle first.
const FROM: f32 = 0.1;
/// [`PoseMode::Auto`] decides after this many turns of every view. A single gradient is not sufficient: much of it differs from
/// turn to turn.
const TURNS: u32 = 4;
/// If these turns take a larger share of the run than this, poses are not refined, since too few steps would be left.
const DECIDES_BY: f32 = 0.6;
/// Minimum number of steps until a gradient is used: more than are in flight.
const DELAY: u32 = 3;
/// How far an update moves the image at the first step of a run of 30,000, pixels of the full training size. With cameras of the
/// public benchmark rotated by 0.3 degrees and moved by 0.5 % of their extent, 500 steps at 240 pixels give 26.1 dB and SSIM
/// 0.841 with fixed poses, 26.9 and 0.882 with refined ones.
const RATE_PX: f64 = 0.25;
/// Share of that rate that is left at the last step.
const RATE_FINAL: f64 = 0.05;
/// [`PoseMode::Auto`] refines poses if the agreement of gradients exceeds this; see [`Poses::agreement`]. It is 2.0 for the
/// benchmark's poses, which are from structure-from-motion, and 3.3 for the same poses rotated by 0.3 or 1 degree.
const LEAST_AGREEMENT: f64 = 2.6;
/// Current treatment of the poses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// They are fixed.
    #[default]
    Fixed,
    /// They are fixed, and their gradients recorded.
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
    /// The step before which [`Poses::settle`] last ran: a step that is run again must not settle twice.
    settled_before: Option<u32>,
}

impl Poses {
    /// The poses of a dataset's training views. Views with a rolling shutter have two poses, which are not refined.
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

    /// Stores a step's gradient for the next turn of its view.
    pub(super) fn keep(&mut self, view: usize, step: u32, rows: PoseRows, config: &TrainConfig) {
        if let Some(pose) = self.views.get_mut(&view)
            && config.progress(step) >= FROM
        {
            pose.waiting.push((step, rows));
        }
    }

    /// Updates a view's pose before its turn at `step`.
    pub(super) fn take_turn(&mut self, view: usize, step: u32, config: &TrainConfig) {
        if self.stage == Stage::Refined && step.is_multiple_of(self.views.len() as u32) {
            self.settle(step);
        }
        let (Some(pose), Some(&scale)) = (self.views.get_mut(&view), self.scales.get(&view)) else { return };
        for (of, rows) in std::mem::take(&mut pose.waiting) {
            if of + DELAY > step {
                pose.waiting.push((of, rows));
            } else if self.stage == Stage::Watched {
                pose.watch(&rows, scale);
            } else {
                let progress = f64::from(config.progress(of));
                let rate = RATE_PX * f64::from(config.rate_boost()) * RATE_FINAL.powf(progress);
                pose.update(&rows, scale, rate);
            }
        }
    }

    /// Removes the common motion of all cameras, before the first step of each round of views. Otherwise scene and cameras could
    /// drift away together, and held-out photos would no longer match.
    fn settle(&mut self, step: u32) {
        if self.settled_before.replace(step) == Some(step) {
            return;
        }
        let count = self.views.len().max(1) as f64;
        let pairs =
            || self.views.iter().filter_map(|(view, pose)| Some((pose.pose(), self.scales.get(view)?.given)));
        // The drift maps a point of the given world to `turn * point + shift`.
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
            pose.set(Pose { rotation, translation: -(rotation * centre) });
        }
    }

    /// A camera in the run's frame with the current pose of its view.
    pub(super) fn camera(&self, view: usize, camera: LensCamera) -> LensCamera {
        let cam_from_world = self.refined(view).unwrap_or(camera.cam_from_world);
        LensCamera { cam_from_world, ..camera }
    }
}

/// State of the poses in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedPoses {
    stage: Stage,
    views: BTreeMap<usize, ViewPose>,
}

impl Poses {
    /// For a checkpoint; `None` if poses are fixed.
    pub(super) fn saved(&self) -> Option<SavedPoses> {
        self.wants_gradient().then(|| SavedPoses { stage: self.stage, views: self.views.clone() })
    }

    /// The poses of a resumed run.
    pub(super) fn resumed(dataset: &Dataset, frame: SceneFrame, saved: Option<SavedPoses>) -> Self {
        let Some(SavedPoses { stage, views }) = saved else { return Self::default() };
        let mut poses = Self::of(dataset, frame, PoseMode::Auto);
        if poses.views.keys().eq(views.keys()) {
            (poses.stage, poses.views) = (stage, views);
        }
        poses
    }

    /// Whether [`Poses::decide`] is due before a step, given the progress of the run.
    pub(super) fn decides_before(&self, progress: f32) -> bool {
        self.stage == Stage::Watched && (progress >= DECIDES_BY || self.turns() >= TURNS)
    }

    /// Minimum number of turns of any view.
    fn turns(&self) -> u32 {
        self.views.values().map(|pose| pose.turns + pose.waiting.len() as u32).min().unwrap_or(0)
    }

    /// Decides between refining and fixing the recorded poses. No step may be in flight.
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

    /// Mean of [`ViewPose::agreement`] over the views.
    fn agreement(&self) -> f64 {
        self.views.values().map(ViewPose::agreement).sum::<f64>() / self.views.len().max(1) as f64
    }

    /// A view's refined pose in the run's frame.
    pub(super) fn refined(&self, view: usize) -> Option<Pose> {
        self.views.get(&view).filter(|_| self.stage == Stage::Refined).map(ViewPose::pose)
    }
}

#[cfg(test)]
mod tests {
    use super::super::view_pose::moved;
    use super::super::view_pose::tests::{DEPTH, pose};
    use super::*;

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
