//! Live views: images of the training scene from cameras chosen by clients.

use std::time::{Duration, Instant};

use glam::DVec3;

use super::Pipeline;
use crate::camera::{Camera, LensCamera, Pose};
use crate::dataset::Dataset;
use crate::flight::looked_at;
use crate::images::divided;
use crate::train::Trainer;
use crate::{Result, RollingShutter};

/// Maximum share of the time for rendering live views. With previews, which take another 3 %, it is below a tenth.
const SHARE: f64 = 0.06;
/// Maximum rendering time saved up while no views are requested, so that the first ones are rendered without delay.
const MOST_SAVED: Duration = Duration::from_millis(400);
/// Allowed lengths of the longest side, in pixels.
pub const PICTURE_SIDES: std::ops::RangeInclusive<u32> = 32..=1280;

/// Source of requests for live views. Both functions are called between steps and must not block.
pub trait Viewer: Sync {
    /// The next requested view; `None` if there is no request.
    fn next_look(&self) -> Option<Look>;
    /// Receives the view that was requested last.
    fn show(&self, picture: Picture);
}

/// A requested view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// World to camera; `None` for the camera of previews.
    pub cam_from_world: Option<Pose>,
    /// Maximum length of the longest side in pixels, within [`PICTURE_SIDES`]. The actual size is the photos' size divided by an
    /// integer.
    pub longest_side: u32,
}

/// A rendered view.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The colours `[H*W*3]`.
    pub rgb: Vec<u8>,
    /// The camera; for a lens with distortion, the closest pinhole. Its size is that of the image.
    pub camera: Camera,
    /// What to orbit around.
    pub around: Around,
    /// Steps done.
    pub step: u32,
}

impl Picture {
    /// Encodes the colours as JPEG.
    ///
    /// # Errors
    /// If the length of `rgb` does not match the camera's size, or JPEG does not support the size.
    pub fn to_jpeg(&self) -> std::io::Result<Vec<u8>> {
        super::pictures::jpeg(self.camera.intrinsics.width, self.camera.intrinsics.height, &self.rgb)
    }
}

/// What to orbit around.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Around {
    /// The point in the world that the training cameras look at.
    pub point: DVec3,
    /// Up direction in the world, of length 1.
    pub up: DVec3,
}

impl Around {
    /// For a dataset, if the initial camera is that of `view`. If the cameras do not look at a common point, the point is in
    /// front of that camera, at the distance of the scene's points.
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

/// Rendering time available for live views, in seconds. While it is negative, requests wait.
pub(super) struct LookClock {
    saved_s: f64,
    since: Instant,
}

impl LookClock {
    pub(super) fn new() -> Self {
        Self { saved_s: MOST_SAVED.as_secs_f64(), since: Instant::now() }
    }

    /// Whether a view may be rendered now.
    pub(super) fn allows(&mut self) -> bool {
        self.passed(self.since.elapsed());
        self.since = Instant::now();
        self.saved_s > 0.0
    }

    fn passed(&mut self, time: Duration) {
        self.saved_s = (self.saved_s + SHARE * time.as_secs_f64()).min(MOST_SAVED.as_secs_f64());
    }

    /// Records the duration of a view.
    pub(super) fn drawn(&mut self, took: Duration) {
        self.saved_s -= took.as_secs_f64();
    }
}

impl Pipeline<'_> {
    /// Renders the requested view, if there is one and its time is available.
    pub(super) fn look(&self, clock: &mut LookClock, trainer: &mut Trainer) -> Result<()> {
        let Some(viewer) = self.viewer.filter(|_| clock.allows()) else { return Ok(()) };
        let Some(look) = viewer.next_look() else { return Ok(()) };
        // Steps in flight are not part of the view's cost.
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

/// The camera of `view` with its lens, moved to the requested pose. A run only has kernels for the lenses of its photos.
fn camera_of(dataset: &Dataset, view: usize, look: Look) -> LensCamera {
    let whole = dataset.pinhole_camera(view).intrinsics;
    let side = look.longest_side.clamp(*PICTURE_SIDES.start(), *PICTURE_SIDES.end());
    let factor = whole.width.max(whole.height).div_ceil(side);
    let camera = dataset.camera_at(view, divided(whole.width, factor), divided(whole.height, factor));
    let Some(pose) = look.cam_from_world else { return camera };
    // A live view has a global shutter.
    let rolling_shutter =
        camera.rolling_shutter.map(|shutter| RollingShutter { start: pose, end: pose, ..shutter });
    LensCamera { cam_from_world: pose, rolling_shutter, ..camera }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However frequent requests are, and however long a view takes, rendering keeps within its share.
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
