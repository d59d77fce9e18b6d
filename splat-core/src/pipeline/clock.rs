//! Training time (without evaluation) and recent speed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Speed is measured over at least this long ...
const WINDOW: Duration = Duration::from_secs(10);
/// ... with at most this many marks, to bound memory at thousands of steps per second.
const WINDOW_MARKS: usize = 256;

/// A clock that runs during training and is paused during evaluation.
#[derive(Debug)]
pub(super) struct TrainClock {
    before: Duration,
    running_since: Option<Instant>,
    marks: VecDeque<Mark>,
}

/// Total progress at some training time.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Duration,
    steps: f64,
    /// Work in units of constant duration; see [`super::advice::Work`].
    work: f64,
}

/// Recent progress per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Speed {
    pub(super) steps_per_s: f64,
    pub(super) work_per_s: f64,
}

impl TrainClock {
    /// A running clock that starts at `elapsed_s`.
    pub(super) fn start(elapsed_s: f64) -> Self {
        let before = Duration::try_from_secs_f64(elapsed_s).unwrap_or_default();
        Self { before, running_since: Some(Instant::now()), marks: VecDeque::new() }
    }

    /// Training time so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.before + self.running_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Training time so far in seconds.
    pub(super) fn elapsed_s(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }

    /// Runs `work` with the clock paused.
    pub(super) fn paused<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.before = self.elapsed();
        self.running_since = None;
        let result = work();
        self.running_since = Some(Instant::now());
        result
    }

    /// Records the total number of steps and the total work so far.
    pub(super) fn mark(&mut self, steps: u32, work: f64) {
        self.mark_at(self.elapsed(), f64::from(steps), work);
    }

    /// Discards all marks, when the speed is about to change.
    pub(super) fn forget(&mut self) {
        self.marks.clear();
    }

    fn mark_at(&mut self, at: Duration, steps: f64, work: f64) {
        // Thin out the marks, so that they span the window at any speed.
        let spacing = WINDOW / WINDOW_MARKS as u32;
        let crowded = match (self.marks.iter().nth_back(1), self.marks.back()) {
            (Some(before), Some(_)) => at.saturating_sub(before.at) < 2 * spacing,
            _ => false,
        };
        if crowded {
            self.marks.pop_back();
        }
        self.marks.push_back(Mark { at, steps, work });
        while self.marks.len() > 2
            && self.marks.get(1).is_some_and(|mark| at.saturating_sub(mark.at) > WINDOW)
        {
            self.marks.pop_front();
        }
    }

    /// Recent progress per second; `None` before there are two marks.
    pub(super) fn speed(&self) -> Option<Speed> {
        let (first, last) = (self.marks.front()?, self.marks.back()?);
        let seconds = last.at.checked_sub(first.at)?.as_secs_f64();
        (seconds > 0.0).then(|| Speed {
            steps_per_s: (last.steps - first.steps) / seconds,
            work_per_s: (last.work - first.work) / seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_while_paused() {
        let mut clock = TrainClock::start(100.0);
        clock.paused(|| std::thread::sleep(Duration::from_millis(300)));
        assert!((100.0..100.2).contains(&clock.elapsed_s()), "{}", clock.elapsed_s());
    }

    #[test]
    fn speed_is_of_the_recent_past() {
        let mut clock = TrainClock::start(0.0);
        assert_eq!(clock.speed(), None);
        // A minute with one step per millisecond and work 0.1, then a minute with one step per millisecond and work 0.01.
        let mut work = 0.0;
        for ms in 1..=120_000_u32 {
            work += if ms <= 60_000 { 0.1 } else { 0.01 };
            clock.mark_at(Duration::from_millis(u64::from(ms)), f64::from(ms), work);
        }
        let Some(speed) = clock.speed() else { panic!("no speed after {} marks", clock.marks.len()) };
        assert!(
            (speed.steps_per_s - 1000.0).abs() < 1.0 && (speed.work_per_s - 10.0).abs() < 0.1,
            "{speed:?}"
        );
        assert!(clock.marks.len() <= 2 * WINDOW_MARKS, "{}", clock.marks.len());
    }
}
