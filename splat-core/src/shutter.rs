//! Rolling shutters: sensors that are read out line by line while the camera moves.
//!
//! The first line read has the pose at the start, the last one that at the end; poses in between are interpolated, translations
//! linearly and rotations along the shortest arc (as in gsplat).

use glam::{DMat3, DQuat, DVec2, DVec3};

use crate::lens::LensProjector;
use crate::pose::Pose;

/// Iterations of the fixed point between a point's pixel and the time at which that pixel is read.
pub const SHUTTER_ROUNDS: usize = 10;

/// Order in which a sensor's lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShutterDirection {
    /// Rows, downwards: most sensors.
    TopToBottom,
    /// Rows, upwards.
    BottomToTop,
    /// Columns, to the right.
    LeftToRight,
    /// Columns, to the left.
    RightToLeft,
}

/// Motion of a camera during readout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RollingShutter {
    /// In which order lines are read.
    pub direction: ShutterDirection,
    /// World to camera when the first line is read.
    pub start: Pose,
    /// World to camera when the last line is read.
    pub end: Pose,
}

impl ShutterDirection {
    /// All directions.
    pub const ALL: [Self; 4] = [Self::TopToBottom, Self::BottomToTop, Self::LeftToRight, Self::RightToLeft];

    /// Whether lines are columns.
    #[must_use]
    pub const fn reads_columns(self) -> bool {
        matches!(self, Self::LeftToRight | Self::RightToLeft)
    }

    /// Whether the last row or column is read first.
    #[must_use]
    pub const fn is_reversed(self) -> bool {
        matches!(self, Self::BottomToTop | Self::RightToLeft)
    }

    /// Number of lines of an image of that size.
    #[must_use]
    pub const fn lines(self, width: u32, height: u32) -> u32 {
        if self.reads_columns() { width } else { height }
    }

    /// Time at which a line is read: 0 for the first, 1 for the last.
    #[must_use]
    pub fn time_of_line(self, line: f64, lines: u32) -> f64 {
        let last = f64::from(lines.max(2) - 1);
        let time = (line / last).clamp(0.0, 1.0);
        if self.is_reversed() { 1.0 - time } else { time }
    }

    /// Time at which a point of the image (pixel (0,0) has its centre at (0.5, 0.5)) is read.
    #[must_use]
    pub fn time_at(self, place: DVec2, width: u32, height: u32) -> f64 {
        let along = if self.reads_columns() { place.x } else { place.y };
        self.time_of_line(along - 0.5, self.lines(width, height))
    }
}

impl RollingShutter {
    /// World to camera at a time between 0 (start) and 1 (end).
    #[must_use]
    pub fn pose_at(&self, time: f64) -> Pose {
        Pose {
            rotation: self.start.rotation.slerp(self.end.rotation, time).normalize(),
            translation: self.start.translation.lerp(self.end.translation, time),
        }
    }

    /// World to camera in the middle of the exposure: the pose used for sorting, view-dependent colours, and wherever the shutter is
    /// treated as global.
    #[must_use]
    pub fn middle(&self) -> Pose {
        self.pose_at(0.5)
    }

    /// The pixel of a world point; `None` if the lens maps it neither from the first pose nor from the last.
    ///
    /// # Source
    /// 3DGUT (Wu et al. 2025), section 3.4: at most [`SHUTTER_ROUNDS`] iterations between pixel and time, beginning with the start.
    #[must_use]
    pub fn project(&self, lens: &LensProjector, size: (u32, u32), point_world: DVec3) -> Option<DVec2> {
        let see = |pose: Pose| lens.project(pose.transform_point(point_world));
        let mut pixel = see(self.start).or_else(|| see(self.end))?;
        for _ in 0..SHUTTER_ROUNDS {
            let next = see(self.pose_at(self.direction.time_at(pixel, size.0, size.1)))?;
            let moved = next.distance(pixel);
            pixel = next;
            if moved < 1e-9 {
                break;
            }
        }
        Some(pixel)
    }

    /// For each line of an image: the transform from the camera at the line's time to the camera in the middle of the exposure, as
    /// rotation and camera centre.
    pub(crate) fn lines(&self, width: u32, height: u32) -> impl Iterator<Item = (DQuat, DVec3)> + '_ {
        let lines = self.direction.lines(width, height);
        let middle = self.middle();
        (0..lines).map(move |line| {
            let pose = self.pose_at(self.direction.time_of_line(f64::from(line), lines));
            let rotation = middle.rotation * pose.rotation.conjugate();
            (rotation, middle.translation - rotation * pose.translation)
        })
    }

    /// The derivatives of the camera's rotation at a time with respect to small rotations (about the camera's axes, applied after the
    /// pose) of the start and of the end.
    ///
    /// With `phi` the rotation vector from start to end, the camera at `time` is rotated by `exp(time phi)` from the start;
    /// `J` is the left Jacobian of the rotation group.
    pub(crate) fn turn_shares(&self, time: f64) -> [DMat3; 2] {
        let between = self.end.rotation * self.start.rotation.conjugate();
        let between = if between.w < 0.0 { -between } else { between };
        let phi = between.to_scaled_axis();
        let jacobian = left_jacobian(phi);
        let along = time * left_jacobian(time * phi);
        let end = along * jacobian.inverse();
        let start =
            DMat3::from_quat(DQuat::from_scaled_axis(time * phi)) - along * jacobian.transpose().inverse();
        [start, end]
    }
}

/// The left Jacobian of the rotation group at a rotation vector (Sola et al. 2018, eq. 145).
fn left_jacobian(phi: DVec3) -> DMat3 {
    let cross = DMat3::from_cols(
        DVec3::new(0.0, phi.z, -phi.y),
        DVec3::new(-phi.z, 0.0, phi.x),
        DVec3::new(phi.y, -phi.x, 0.0),
    );
    let angle_squared = phi.length_squared();
    let angle = angle_squared.sqrt();
    // The series where the quotients lose precision.
    let (first, second) = if angle < 1e-3 {
        (0.5 - angle_squared / 24.0, 1.0 / 6.0 - angle_squared / 120.0)
    } else {
        ((1.0 - angle.cos()) / angle_squared, (angle - angle.sin()) / (angle_squared * angle))
    };
    DMat3::IDENTITY + first * cross + second * (cross * cross)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shutter() -> RollingShutter {
        let pose = |x: f64| {
            Pose::look_at(
                DVec3::new(x, 0.2 * x, -3.0),
                DVec3::new(0.4 * x, 0.0, 0.0),
                DVec3::new(0.3 * x, 1.0, 0.0),
            )
        };
        RollingShutter { direction: ShutterDirection::TopToBottom, start: pose(-0.2), end: pose(0.5) }
    }

    #[test]
    fn lines_are_read_in_their_order() {
        let size = |direction: ShutterDirection| {
            let corner = [DVec2::new(0.5, 0.5), DVec2::new(9.5, 4.5)];
            corner.map(|place| direction.time_at(place, 10, 5))
        };
        assert_eq!(size(ShutterDirection::TopToBottom), [0.0, 1.0]);
        assert_eq!(size(ShutterDirection::BottomToTop), [1.0, 0.0]);
        assert_eq!(size(ShutterDirection::LeftToRight), [0.0, 1.0]);
        assert_eq!(size(ShutterDirection::RightToLeft), [1.0, 0.0]);
        let middle = ShutterDirection::TopToBottom.time_at(DVec2::new(0.5, 2.5), 10, 5);
        assert!((middle - 0.5).abs() < 1e-12);
        assert_eq!(ShutterDirection::LeftToRight.lines(10, 5), 10);
    }

    #[test]
    fn turn_shares_are_the_derivatives() {
        const STEP: f64 = 1e-6;
        let shutter = shutter();
        for time in [0.0, 0.3, 0.5, 1.0] {
            let shares = shutter.turn_shares(time);
            for (which, share) in shares.iter().enumerate() {
                for (axis, column) in [DVec3::X, DVec3::Y, DVec3::Z].into_iter().zip(0..) {
                    let turned = |step: f64| {
                        let mut shutter = shutter;
                        let pose = if which == 0 { &mut shutter.start } else { &mut shutter.end };
                        pose.rotation = DQuat::from_axis_angle(axis, step) * pose.rotation;
                        shutter.pose_at(time).rotation
                    };
                    let turn = (turned(STEP) * turned(-STEP).conjugate()).to_scaled_axis() / (2.0 * STEP);
                    let off = turn.distance(share.col(column));
                    assert!(off < 1e-8, "time {time}, pose {which}, axis {column}: off by {off}");
                }
            }
        }
    }

    /// A point's pixel is where the camera at that pixel's time projects the point.
    #[test]
    fn projection_is_a_fixed_point() {
        let lens = crate::Lens {
            model: crate::LensModel::SimpleRadial,
            width: 64,
            height: 48,
            params: vec![50.0, 32.0, 24.0, -0.1],
        };
        let projector = lens.projector().expect("a valid lens");
        let mut seen = 0;
        for direction in ShutterDirection::ALL {
            let shutter = RollingShutter { direction, ..shutter() };
            for i in 0..30 {
                let point = DVec3::new(f64::from(i % 6) * 0.3 - 0.8, f64::from(i / 6) * 0.3 - 0.6, 0.2);
                let Some(pixel) = shutter.project(&projector, (64, 48), point) else { continue };
                let pose = shutter.pose_at(direction.time_at(pixel, 64, 48));
                let again = projector.project(pose.transform_point(point)).expect("it is seen there");
                assert!(again.distance(pixel) < 1e-4, "{direction:?}: {pixel} and {again}");
                seen += 1;
            }
        }
        assert!(seen > 100, "{seen}");
    }
}
