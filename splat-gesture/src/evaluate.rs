//! Evaluation of a model on frames that it was not trained on.

use serde::{Deserialize, Serialize};

use crate::folds::Fold;
use crate::frame::Frame;
use crate::model::Model;

/// Confusion matrix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Gestures, in the order of the labels.
    pub labels: Vec<String>,
    /// `[truth][answer]`; the last answer of each row is "none".
    pub counts: Vec<Vec<u32>>,
}

impl Confusion {
    /// Recognises every frame of every gesture; `frames` is in the order of the model's labels.
    #[must_use]
    pub fn measure<'a, I>(model: &Model, labels: &[String], frames: I) -> Self
    where
        I: IntoIterator<Item = &'a [Frame]>,
    {
        let none = model.gestures();
        let counts = frames
            .into_iter()
            .map(|frames| {
                let mut row = vec![0; none + 1];
                for frame in frames {
                    row[model.predict(frame).gesture.unwrap_or(none)] += 1;
                }
                row
            })
            .collect();
        Self { labels: labels.to_vec(), counts }
    }

    /// The same for the folds of each gesture, with frames transformed by `view`.
    pub(crate) fn of_folds(labels: &[String], folds: &[Vec<Fold>], view: impl Fn(&Frame) -> Frame) -> Self {
        let none = labels.len();
        let row = |folds: &Vec<Fold>| {
            let mut row = vec![0; none + 1];
            for fold in folds {
                for frame in &fold.frames {
                    row[fold.model.predict(&view(frame)).gesture.unwrap_or(none)] += 1;
                }
            }
            row
        };
        Self { labels: labels.to_vec(), counts: folds.iter().map(row).collect() }
    }

    /// Share of a gesture's frames that were recognised correctly; 1 if it has none.
    #[must_use]
    pub fn recall(&self, gesture: usize) -> f64 {
        let Some(row) = self.counts.get(gesture) else { return 1.0 };
        let total: u32 = row.iter().sum();
        if total == 0 { 1.0 } else { f64::from(row.get(gesture).copied().unwrap_or(0)) / f64::from(total) }
    }

    /// The same as a count: "8 of 8 frames".
    #[must_use]
    pub fn right_of(&self, gesture: usize) -> String {
        let (right, frames) = self.right(gesture);
        format!("{right} of {frames} frames")
    }

    /// Number of a gesture's frames that were recognised correctly, and of all.
    pub(crate) fn right(&self, gesture: usize) -> (u32, u32) {
        let row = self.counts.get(gesture).map_or(&[][..], |row| row);
        (row.get(gesture).copied().unwrap_or(0), row.iter().sum())
    }

    /// Mean recall of the gestures in `range`, weighted equally; 1 if the range is empty.
    #[must_use]
    pub fn accuracy(&self, range: std::ops::Range<usize>) -> f64 {
        let count = range.len();
        if count == 0 { 1.0 } else { range.map(|gesture| self.recall(gesture)).sum::<f64>() / count as f64 }
    }

    /// Share of one gesture's frames that were recognised as another gesture.
    #[must_use]
    pub fn taken_for(&self, truth: usize, answer: usize) -> f64 {
        let Some(row) = self.counts.get(truth) else { return 0.0 };
        let total: u32 = row.iter().sum();
        if total == 0 { 0.0 } else { f64::from(row.get(answer).copied().unwrap_or(0)) / f64::from(total) }
    }
}
