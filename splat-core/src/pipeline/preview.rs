//! Previews: images of the scene during training.

use std::time::{Duration, Instant};

use super::Pipeline;
use super::pictures::save_png;
use crate::dataset::Dataset;
use crate::train::Trainer;
use crate::{Event, Result};

/// Longest side of the image in pixels: the width of a page on a phone, and cheap to render.
const LONGEST_SIDE: u32 = 640;
/// Maximum share of the time for rendering previews; the slower a preview, the longer the interval to the next.
const MOST_OF_THE_TIME: f64 = 0.03;

/// Schedules previews.
pub(super) struct PreviewClock {
    interval: Option<Duration>,
    due: Option<Instant>,
    begun: Instant,
}

impl PreviewClock {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        let now = Instant::now();
        Self { interval, due: interval.map(|interval| now + interval), begun: now }
    }

    /// Whether a preview is due.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| Instant::now() >= due)
    }

    /// Records the start of rendering.
    pub(super) fn begins(&mut self) {
        self.begun = Instant::now();
    }

    /// Schedules the next preview, depending on how long this one took.
    pub(super) fn drawn(&mut self) {
        let took = self.begun.elapsed();
        self.due =
            self.interval.map(|interval| Instant::now() + interval.max(took.div_f64(MOST_OF_THE_TIME)));
    }
}

/// The view rendered for previews.
pub(super) fn view_of(dataset: &Dataset) -> Option<usize> {
    let held_out = dataset.held_out.get(dataset.held_out.len() / 2);
    held_out.or_else(|| dataset.train.first()).copied()
}

impl Pipeline<'_> {
    /// Renders a held-out view (the first training view if there is none), always the same one, so that previews are comparable.
    pub(super) fn preview(&self, trainer: &mut Trainer) -> Result<()> {
        let Some(view) = view_of(trainer.dataset()) else { return Ok(()) };
        let render = trainer.render_view_within(view, LONGEST_SIDE)?;
        let path = self.output.preview();
        save_png(&path, render.width, render.height, &render.to_rgb8())?;
        self.emit(Event::Saved { path, kind: "preview".into() });
        Ok(())
    }
}
