//! The recordings, split into a development half and a kept half.

use std::path::Path;

use splat_gesture::{Frame, LabelledFrames, Layout, read_landmarks};

use crate::hands::{difference, grafted};

/// The halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// Every other letter from the first on, and the first author's hands: used to choose constants.
    Development,
    /// The other letters and the other author's hands: used only after constants were chosen.
    Kept,
}

/// The data of a measurement.
pub(crate) struct Data {
    pub(crate) half: Half,
    /// Sign letters of one signer, image coordinates.
    pub(crate) letters: Vec<LabelledFrames>,
    /// Paper, rock, scissors and `one`, world coordinates.
    pub(crate) world: Vec<LabelledFrames>,
    /// Open hand, fist and pointer of another author in two dimensions, without handedness. Not in the development half.
    pub(crate) flat: Vec<LabelledFrames>,
}

fn read(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Data {
    pub(crate) fn read(folder: &Path, half: Half) -> Self {
        let letters = read_landmarks(&read(folder, "asl_letters_a_to_m.csv"), Layout::Image).unwrap();
        let remainder = usize::from(half == Half::Kept);
        let letters =
            letters.into_iter().enumerate().filter(|(i, _)| i % 2 == remainder).map(|(_, letter)| letter);
        let mut world = read_landmarks(&read(folder, "ghostouch_base_v1.csv"), Layout::World).unwrap();
        world.extend(read_landmarks(&read(folder, "ghostouch_incremental_one.csv"), Layout::World).unwrap());
        let flat = match half {
            Half::Development => Vec::new(),
            Half::Kept => flat(&read(folder, "kazuhito_keypoint.csv")),
        };
        Self { half, letters: letters.collect(), world, flat }
    }

    /// Composite gestures: one or two fingers of one letter on the hand of another, frame by frame, so that they move as
    /// recordings do. Those that resemble a letter or each other are left out; at most `most` are kept, spread over all.
    pub(crate) fn grafts(&self, most: usize) -> Vec<LabelledFrames> {
        const FINGERS: [&[usize]; 7] = [&[0], &[1], &[2], &[4], &[1, 2], &[3, 4], &[0, 1]];
        const UNLIKE: f32 = 0.14;
        let mut grafts: Vec<LabelledFrames> = Vec::new();
        for (i, letter) in self.letters.iter().enumerate() {
            for (_, other) in self.letters.iter().enumerate().filter(|(j, _)| *j != i) {
                for fingers in FINGERS {
                    let graft =
                        |at: usize| grafted(&letter.frames[at], &other.frames[at], fingers, Layout::Image);
                    let count = letter.frames.len().min(other.frames.len());
                    let known = self.letters.iter().chain(&grafts);
                    let known: Vec<Frame> =
                        known.flat_map(|known| known.frames.iter().step_by(20).copied()).collect();
                    let unlike = |at: usize| {
                        let hand = graft(at);
                        known.iter().all(|known| difference(known, &hand) > UNLIKE)
                    };
                    if [count / 4, count / 2, count * 3 / 4].into_iter().all(unlike) {
                        let taken: String = fingers.iter().map(usize::to_string).collect();
                        let label = format!("{}{}{taken}", letter.label, other.label);
                        grafts.push(LabelledFrames { label, frames: (0..count).map(graft).collect() });
                    }
                }
            }
        }
        let kept = (0..most.min(grafts.len())).map(|i| i * grafts.len() / most.min(grafts.len()));
        kept.map(|i| grafts[i].clone()).collect()
    }
}

/// `label, x1, y1, ... x21, y21` per line, no header.
fn flat(text: &str) -> Vec<LabelledFrames> {
    let mut groups: Vec<LabelledFrames> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut fields = line.split(',');
        let label = fields.next().unwrap().to_owned();
        let numbers: Vec<f32> = fields.map(|field| field.parse().unwrap()).collect();
        let mut values: Vec<f32> = numbers.chunks(2).flat_map(|xy| [xy[0], xy[1], 0.0]).collect();
        values.push(-1.0);
        // Scales a hand that fills the picture to one within it, as detectors report it.
        values[..63].iter_mut().for_each(|value| *value *= 0.3);
        let frame = Frame::parse(&values, Layout::Image, 0).unwrap();
        match groups.iter_mut().find(|group| group.label == label) {
            Some(group) => group.frames.push(frame),
            None => groups.push(LabelledFrames { label, frames: vec![frame] }),
        }
    }
    groups
}
