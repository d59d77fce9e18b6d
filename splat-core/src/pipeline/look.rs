//! Pictures of the scene while it trains, from wherever somebody looks.

use std::time::{Duration, Instant};

use glam::DVec3;

use super::Pipeline;
use crate::camera::{Camera, LensCamera, Pose};
use crate::dataset::Dataset;
use crate::flight::looked_at;
use crate::images::divided;
use crate::train::Trainer;
use crate::{Result, RollingShutter};

/// Drawing for viewers may take this share of the time. With previews, which take another 3 %, it stays below a tenth.
const SHARE: f64 = 0.06;
/// So much drawing may be owed to viewers who have not asked for a while: the first pictures of a turn come without a wait.
const MOST_SAVED: Duration = Duration::from_millis(400);
/// Longest sides of pictures that may be asked for, in pixels.
pub const PICTURE_SIDES: std::ops::RangeInclusive<u32> = 32..=1280;

/// Who looks at the scene while it trains. Both functions are called between steps and must not wait for anything.
pub trait Viewer: Sync {
    /// The next picture that is asked for; `None` where nobody asks now.
    fn next_look(&self) -> Option<Look>;
    /// Takes the picture that was asked for last.
    fn show(&self, picture: Picture);
}

/// A picture that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// World to camera; `None` for where the previews are taken from.
    pub cam_from_world: Option<Pose>,
    /// Most pixels along the picture's longest side, of [`PICTURE_SIDES`]. It has as many as fit a whole fraction of the photos' size.
    pub longest_side: u32,
}

/// A picture for a viewer.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The colours `[H*W*3]`.
    pub rgb: Vec<u8>,
    /// Where it was taken from; of a lens that bends, the pinhole nearest to it. Its size is that of the picture.
    pub camera: Camera,
    /// What the photos show, to turn around.
    pub around: Around,
    /// Steps done.
    pub step: u32,
}

impl Picture {
    /// The colours as a JPEG.
    ///
    /// # Errors
    /// When `rgb` has another size than the camera, or one that JPEG does not know.
    pub fn to_jpeg(&self) -> std::io::Result<Vec<u8>> {
        super::pictures::jpeg(self.camera.intrinsics.width, self.camera.intrinsics.height, &self.rgb)
    }
}

/// What viewers turn around.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Around {
    /// The point in the world that the training cameras look at.
    pub point: DVec3,
    /// Which way is up in the world; of length 1.
    pub up: DVec3,
}

impl Around {
    /// Of a dataset, for who begins at the camera of `view`. Cameras that look at no common point leave one in front of that camera, as far
    /// as the scene's points are.
    fn of(dataset: &Dataset, view: usize) -> Self {
        let cameras: Vec<Camera> = dataset.train.iter().map(|&view| dataset.pinhole_camera(view)).collect();
        let up: DVec3 =
            cameras.iter().map(|camera| camera.cam_from_world.inverse().rotation * DVec3::NEG_Y).sum();
        let point = looked_at(&cameras).unwrap_or_else(|| {
            let pose = dataset.pinhole_camera(view).cam_from_world;
            let depth = |point: &crate::SeedPoint| pose.transform_point(DVec3::from_array(point.position)).z;
            let mut depths: Vec<f64> = dataset.scene.points.iter().map(depth).filter(|z| *z > 0.0).collect();
            depths.sort_by(f64::total_cmp);
            let middle = depths.get(depths.len() / 2).copied().unwrap_or(1.0);
            pose.inverse().transform_point(middle * DVec3::Z)
        });
        Self { point, up: up.normalize_or(DVec3::NEG_Y) }
    }
}

/// How much drawing for viewers is owed to them, in seconds. Below zero they wait.
pub(super) struct LookClock {
    saved_s: f64,
    since: Instant,
}

impl LookClock {
    pub(super) fn new() -> Self {
        Self { saved_s: MOST_SAVED.as_secs_f64(), since: Instant::now() }
    }

    /// Whether a picture may be drawn now.
    pub(super) fn allows(&mut self) -> bool {
        self.passed(self.since.elapsed());
        self.since = Instant::now();
        self.saved_s > 0.0
    }

    fn passed(&mut self, time: Duration) {
        self.saved_s = (self.saved_s + SHARE * time.as_secs_f64()).min(MOST_SAVED.as_secs_f64());
    }

    /// Notes how long one took.
    pub(super) fn drawn(&mut self, took: Duration) {
        self.saved_s -= took.as_secs_f64();
    }
}

impl Pipeline<'_> {
    /// Draws what somebody asks for, if anybody does and the time for it is there.
    pub(super) fn look(&self, clock: &mut LookClock, trainer: &mut Trainer) -> Result<()> {
        let Some(viewer) = self.viewer.filter(|_| clock.allows()) else { return Ok(()) };
        let Some(look) = viewer.next_look() else { return Ok(()) };
        // Steps under way are not part of the picture's cost.
        trainer.flush()?;
        let begun = Instant::now();
        let drawn = self.picture(trainer, look)?;
        if let Some(picture) = drawn {
            viewer.show(picture);
        }
        clock.drawn(begun.elapsed());
        Ok(())
    }

    fn picture(&self, trainer: &mut Trainer, look: Look) -> Result<Option<Picture>> {
        let Some(view) = super::preview::view_of(trainer.dataset()) else { return Ok(None) };
        let camera = camera_of(trainer.dataset(), view, look);
        let render = trainer.render_camera(&camera)?;
        let dataset = trainer.dataset();
        let intrinsics = dataset.pinhole_camera(view).intrinsics.resized(render.width, render.height);
        Ok(Some(Picture {
            rgb: render.to_rgb8(),
            camera: Camera { intrinsics, cam_from_world: camera.middle() },
            around: Around::of(dataset, view),
            step: trainer.steps_done(),
        }))
    }
}

/// The camera of `view`, its lens and all, moved to where somebody looks from. A run has kernels for the lenses of its photos alone.
fn camera_of(dataset: &Dataset, view: usize, look: Look) -> LensCamera {
    let whole = dataset.pinhole_camera(view).intrinsics;
    let side = look.longest_side.clamp(*PICTURE_SIDES.start(), *PICTURE_SIDES.end());
    let factor = whole.width.max(whole.height).div_ceil(side);
    let camera = dataset.camera_at(view, divided(whole.width, factor), divided(whole.height, factor));
    let Some(pose) = look.cam_from_world else { return camera };
    // Who looks stands still.
    let rolling_shutter =
        camera.rolling_shutter.map(|shutter| RollingShutter { start: pose, end: pose, ..shutter });
    LensCamera { cam_from_world: pose, rolling_shutter, ..camera }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However fast somebody asks, and however long a picture takes, drawing keeps to its share.
    #[test]
    fn pictures_keep_to_their_share_of_the_time() {
        for (took_ms, step_ms) in [(3, 5), (50, 20), (900, 400)] {
            let (took, step) = (Duration::from_millis(took_ms), Duration::from_millis(step_ms));
            let mut clock = LookClock::new();
            let (mut drawing, mut all, mut pictures) = (Duration::ZERO, Duration::ZERO, 0);
            while all < Duration::from_secs(600) {
                all += step;
                clock.passed(step);
                if clock.saved_s > 0.0 {
                    clock.drawn(took);
                    clock.passed(took);
                    drawing += took;
                    all += took;
                    pictures += 1;
                }
            }
            let share = drawing.as_secs_f64() / all.as_secs_f64();
            assert!((0.8 * SHARE..1.1 * SHARE).contains(&share), "{took_ms} ms each: {share}");
            assert!(pictures > 10, "{pictures}");
        }
    }

    #[test]
    fn the_first_pictures_of_a_turn_come_at_once() {
        let mut clock = LookClock::new();
        for _ in 0..10 {
            assert!(clock.allows());
            clock.drawn(Duration::from_millis(30));
        }
    }
}
