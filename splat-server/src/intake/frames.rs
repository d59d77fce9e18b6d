//! Selects the frames of a video that become photos: the sharpest ones, at equal steps of motion.
//!
//! Frames are compared as small grey images. A camera that stands still yields few of them, however long it stands; one that
//! moves fast yields more; and within each step the least blurred frame is chosen.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

/// Side of the square grey images by which frames are compared, in pixels.
pub(super) const SIDE: usize = 320;
/// Side of the blocks whose means are compared: larger than noise and compression artefacts.
const BLOCK: usize = 8;
const BLOCKS: usize = SIDE / BLOCK;
/// A step with less motion shows nothing new. Motion is the mean difference of blocks over their standard deviation: 0 for
/// identical images, about 1.1 for unrelated ones; a pan by a tenth of the image gives 0.2 to 0.5.
const LEAST_STEP: f32 = 0.15;
/// Motion that noise and compression cause in a still image.
const NOISE: f32 = 0.02;

/// Scores of one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FrameScore {
    /// Difference of pixels from their neighbours, relative to the contrast of the image. Motion blur and lack of focus lower it.
    sharpness: f32,
    /// Motion since the previous frame.
    motion: f32,
}

/// Scores the grey images in a file, [`SIDE`] x [`SIDE`] bytes each. A truncated last one is ignored.
///
/// # Errors
/// An I/O error if the file cannot be read.
pub(super) fn score(path: &Path) -> std::io::Result<Vec<FrameScore>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut picture = vec![0; SIDE * SIDE];
    let mut before: Option<Vec<f32>> = None;
    let mut scores = Vec::new();
    loop {
        match file.read_exact(&mut picture) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(scores),
            result => result?,
        }
        let blocks = blocks(&picture);
        let motion = before.as_ref().map_or(0.0, |before| motion(before, &blocks));
        scores.push(FrameScore { sharpness: sharpness(&picture), motion });
        before = Some(blocks);
    }
}

/// Indices of up to `wanted` frames, but at least `fewest` if there are that many, in order.
pub(super) fn choose(scores: &[FrameScore], wanted: usize, fewest: usize) -> Vec<usize> {
    let moved = |score: &FrameScore| (score.motion - NOISE).max(0.0);
    let total: f32 = scores.iter().map(moved).sum();
    let steps = (total / LEAST_STEP).round() as usize;
    let count = steps.clamp(fewest.min(wanted), wanted).min(scores.len());
    let mut along = 0.0;
    let by_motion = scores.iter().map(|score| {
        along += moved(score);
        along / total.max(LEAST_STEP)
    });
    let chosen = sharpest(scores, by_motion, count);
    if chosen.len() >= fewest.min(count) {
        return chosen;
    }
    // Almost nothing moves, or everything moves at once.
    let by_time = (0..scores.len()).map(|place| place as f32 / scores.len() as f32);
    sharpest(scores, by_time, count)
}

/// The sharpest frame of each of `count` parts, where `along` gives each frame's position from 0 to 1.
fn sharpest(scores: &[FrameScore], along: impl Iterator<Item = f32>, count: usize) -> Vec<usize> {
    let mut best: Vec<Option<usize>> = vec![None; count];
    for ((place, score), along) in scores.iter().enumerate().zip(along) {
        let part = ((along * count as f32) as usize).min(count.saturating_sub(1));
        let Some(slot) = best.get_mut(part) else { continue };
        if slot.is_none_or(|best| scores[best].sharpness < score.sharpness) {
            *slot = Some(place);
        }
    }
    best.into_iter().flatten().collect()
}

fn sharpness(picture: &[u8]) -> f32 {
    let at = |x: usize, y: usize| f32::from(picture[y * SIDE + x]);
    let (mut edges, mut sum, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
    for y in 1..SIDE - 1 {
        for x in 1..SIDE - 1 {
            let value = at(x, y);
            let around = at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1);
            edges += f64::from((4.0 * value - around).powi(2));
            sum += f64::from(value);
            squares += f64::from(value * value);
        }
    }
    let pixels = ((SIDE - 2) * (SIDE - 2)) as f64;
    let variance = (squares / pixels - (sum / pixels).powi(2)).max(1.0);
    (edges / pixels / variance) as f32
}

/// Means of the blocks, minus the mean of all: changes in brightness are not motion.
fn blocks(picture: &[u8]) -> Vec<f32> {
    let mut means = vec![0.0; BLOCKS * BLOCKS];
    for (y, row) in picture.chunks_exact(SIDE).enumerate() {
        for (x, &value) in row.iter().enumerate() {
            means[y / BLOCK * BLOCKS + x / BLOCK] += f32::from(value) / (BLOCK * BLOCK) as f32;
        }
    }
    let mean = means.iter().sum::<f32>() / means.len() as f32;
    means.iter_mut().for_each(|value| *value -= mean);
    means
}

fn motion(before: &[f32], after: &[f32]) -> f32 {
    let blocks = before.len() as f32;
    let difference: f32 = before.iter().zip(after).map(|(a, b)| (a - b).abs()).sum();
    let spread: f32 = before.iter().chain(after).map(|value| value * value).sum();
    // Uniform images have no spread: their differences are noise.
    difference / blocks / (spread / (2.0 * blocks)).sqrt().max(2.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn still(frames: usize) -> Vec<FrameScore> {
        (0..frames).map(|i| FrameScore { sharpness: (i % 7) as f32, motion: NOISE }).collect()
    }

    #[test]
    fn a_camera_that_stands_gives_few_frames_and_one_that_moves_many() {
        let mut scores = still(100);
        assert_eq!(choose(&scores, 50, 3).len(), 3);
        for score in &mut scores[40..60] {
            score.motion = NOISE + LEAST_STEP;
        }
        let chosen = choose(&scores, 50, 3);
        assert!((18..=20).contains(&chosen.len()), "{chosen:?}");
        assert!(chosen[1..18].iter().all(|place| (40..60).contains(place)), "{chosen:?}");
        assert!(chosen.is_sorted_by(|a, b| a < b));
        assert_eq!(choose(&scores, 7, 3).len(), 7);
    }

    #[test]
    fn the_sharpest_frame_of_a_step_is_taken() {
        let scores: Vec<FrameScore> = (0..40)
            .map(|i| FrameScore {
                sharpness: if i % 4 == 2 { 9.0 } else { 1.0 },
                motion: NOISE + LEAST_STEP / 4.0,
            })
            .collect();
        let chosen = choose(&scores, 100, 3);
        assert!(chosen.len() >= 9, "{chosen:?}");
        assert!(chosen.iter().filter(|place| **place % 4 == 2).count() >= 9, "{chosen:?}");
    }

    #[test]
    fn no_number_of_frames_is_too_small() {
        for frames in 0..5 {
            for wanted in 0..5 {
                let chosen = choose(&still(frames), wanted, 3);
                assert_eq!(chosen.len(), frames.min(wanted).min(3), "{frames} {wanted}");
            }
        }
    }

    /// A blurred image is less sharp, a shifted one has moved, a brighter one has not.
    #[test]
    fn pictures_are_compared_by_what_they_show() {
        let pattern =
            |x: usize, y: usize| (((x / 9 * 37 + y / 7 * 59) * 2_654_435_761_usize) >> 9) as u8 % 200;
        let shown = |dx: usize, light: u8| -> Vec<u8> {
            (0..SIDE * SIDE).map(|i| pattern(i % SIDE + dx, i / SIDE) + light).collect()
        };
        let blurred: Vec<u8> = shown(0, 0)
            .chunks_exact(SIDE)
            .flat_map(|row| {
                (0..SIDE)
                    .map(|x| (row[x.max(4) - 4..=x].iter().map(|&v| u32::from(v)).sum::<u32>() / 5) as u8)
            })
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("frames");
        let mut bytes = [shown(0, 0), shown(0, 30), shown(40, 30), blurred].concat();
        bytes.extend([0; 100]);
        std::fs::write(&path, bytes).unwrap();
        let scores = score(&path).unwrap();
        assert_eq!(scores.len(), 4);
        assert!(scores[1].motion < NOISE && scores[2].motion > LEAST_STEP, "{scores:?}");
        assert!((scores[1].sharpness / scores[0].sharpness - 1.0).abs() < 0.01, "{scores:?}");
        // The blur is along rows only.
        assert!(scores[3].sharpness < 0.7 * scores[0].sharpness, "{scores:?}");
    }
}
