//! A view of the scene while it trains, for those who watch.

use std::time::{Duration, Instant};

use super::Pipeline;
use super::pictures::save_png;
use crate::dataset::Dataset;
use crate::train::Trainer;
use crate::{Event, Result};

/// Longest side of the picture in pixels: a page's width on a phone, and cheap to draw.
const LONGEST_SIDE: u32 = 640;
/// Drawing may take this share of the time; where one picture takes long, the next waits longer.
const MOST_OF_THE_TIME: f64 = 0.03;

/// When the next picture is due.
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

    /// Whether a picture is to be drawn now.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| Instant::now() >= due)
    }

    /// Notes when drawing begins.
    pub(super) fn begins(&mut self) {
        self.begun = Instant::now();
    }

    /// Settles when the next one is due, from how long this one took.
    pub(super) fn drawn(&mut self) {
        let took = self.begun.elapsed();
        self.due =
            self.interval.map(|interval| Instant::now() + interval.max(took.div_f64(MOST_OF_THE_TIME)));
    }
}

/// The view that previews show.
pub(super) fn view_of(dataset: &Dataset) -> Option<usize> {
    let held_out = dataset.held_out.get(dataset.held_out.len() / 2);
    held_out.or_else(|| dataset.train.first()).copied()
}

impl Pipeline<'_> {
    /// Draws a held-out view (the first training view without any): always the same one, so that progress shows.
    pub(super) fn preview(&self, trainer: &mut Trainer) -> Result<()> {
        let Some(view) = view_of(trainer.dataset()) else { return Ok(()) };
        let render = trainer.render_view_within(view, LONGEST_SIDE)?;
        let path = self.output.preview();
        save_png(&path, render.width, render.height, &render.to_rgb8())?;
        self.emit(Event::Saved { path, kind: "preview".into() });
        Ok(())
    }
}
