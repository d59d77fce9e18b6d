//! A gesture as a model stores it: example hands, and the radius of acceptance around them.
//!
//! A gesture that is made in motion has examples along the whole motion, and the radius around each of them is no larger than for
//! a gesture held still.

use crate::axes::{AXES, Axes, Place};
use crate::dataset::Gesture;
use crate::features::{FEATURES, UPRIGHT, features};
use crate::frame::Frame;
use crate::quantile::quantile;
use crate::rounded::{of_step, step};

/// Penalty of gestures with a larger radius: a hand between two gestures more likely belongs to the one with less variation (a
/// Gaussian's density falls with its width).
const NARROWNESS: f32 = 1.5;
/// Maximum number of examples of a recorded gesture. Exports store examples in blocks of this size.
pub(crate) const BLOCK: usize = 12;
/// Number of blocks of a gesture of synthetic hands, which cover all people and views.
pub(crate) const MADE_UP_BLOCKS: usize = 5;
/// Minimum squared distance from an example at which the score of a recorded gesture is 0.5. Of sign letters from 100 frames, 95
/// % of the later frames are within 23, and within 36 if the bones are another person's; of hands with one or two fingers in
/// another position 0.3 % are within this, and 1 % within 62.
pub(crate) const REACH: f32 = 42.0;
/// Parts of a recording, in time, of which each is compared with the others.
pub(crate) const PARTS: usize = 4;

/// The radius of a recorded gesture, squared: `margin` times a quantile of the distances of its parts from each other, within limits.
struct Radius {
    /// The rest of the frames may be strays, which widen no gesture.
    quantile: f64,
    margin: f32,
    least: f32,
    /// A short recording shows less of its gesture: the least grows by this over the number of frames.
    shortness: f32,
    most: f32,
}

const RADIUS: Radius = Radius { quantile: 0.85, margin: 4.0, least: REACH, shortness: 12.0, most: 80.0 };
/// For landmarks without depth, which have their own axes.
const FLAT_RADIUS: Radius = Radius { quantile: 0.95, margin: 3.0, least: 15.0, shortness: 20.0, most: 70.0 };
/// For landmarks without depth an example must represent more than this share of a recording's frames. Recordings in two
/// dimensions seem to contain a few frames of another gesture or of the transition to this one, and an example at each of them
/// accepts unknown hands: 18 % of one author's third gesture, 9 % with this limit.
const FLAT_EXAMPLE_SHARE: f32 = 0.03;
/// Clusters whose distance is smaller than this are merged.
const SAME_PLACE: f32 = 5.0;
/// Iterations of [`clusters`].
const ROUNDS: usize = 6;
/// Coordinates of examples are quantised to a byte each, within this many units.
pub(crate) const SPAN: f32 = 48.0;

/// Coordinates on the axes, and the direction of the palm in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hand {
    pub(crate) place: Place,
    pub(crate) palm: [f32; 2],
}

/// A gesture of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    /// Its examples, quantised to a byte per number.
    pub(crate) examples: Vec<Hand>,
    /// Squared distance from the nearest example at which its score is 0.5.
    pub(crate) reach: f32,
    /// Weight of the squared difference of the palm's direction: 0 unless the gesture differs from another one by that only.
    pub(crate) turn: f32,
}

impl Hand {
    pub(crate) fn new(axes: &Axes, x: &[f32; FEATURES]) -> Self {
        Self { place: axes.place(x), palm: [x[UPRIGHT], x[UPRIGHT + 1]] }
    }

    /// Coordinates on the axes only.
    pub(crate) fn squared_distance(&self, other: &Self) -> f32 {
        let mut sum = 0.0;
        for (a, b) in self.place.iter().zip(&other.place) {
            sum += (a - b) * (a - b);
        }
        sum
    }

    pub(crate) fn of(axes: &Axes, frame: &Frame) -> Self {
        Self::new(axes, &features(frame, axes.flat))
    }

    fn of_frames(axes: &Axes, frames: &[Frame]) -> Vec<Self> {
        frames.iter().map(|frame| Self::of(axes, frame)).collect()
    }

    /// The hand as exports store it.
    fn rounded(&self) -> Self {
        Self {
            place: self.place.map(|value| SPAN * of_step(step(value / SPAN))),
            palm: self.palm.map(|value| of_step(step(value))),
        }
    }

    pub(crate) fn is_rounded(&self) -> bool {
        *self == self.rounded()
    }
}

impl Known {
    /// Coordinates of all stored frames of a gesture.
    pub(crate) fn of(axes: &Axes, gesture: &Gesture) -> Self {
        if gesture.is_made_up() {
            return Self::made_up(axes, &gesture.train, &gesture.held_out);
        }
        let rows: Vec<Frame> = gesture.rows().copied().collect();
        Self::recorded(axes, &rows)
    }

    /// A gesture from at least one recorded frame.
    pub(crate) fn recorded(axes: &Axes, frames: &[Frame]) -> Self {
        let hands = Hand::of_frames(axes, frames);
        let share = if axes.flat { FLAT_EXAMPLE_SHARE } else { 0.0 };
        let mut distances = Vec::new();
        for part in 0..PARTS {
            let bounds = [part, part + 1].map(|part| hands.len() * part / PARTS);
            let (before, rest) = hands.split_at(bounds[0]);
            let (own, after) = rest.split_at(bounds[1] - bounds[0]);
            let others: Vec<Hand> = before.iter().chain(after).copied().collect();
            let known = Self { examples: clusters(&others, BLOCK, share), reach: REACH, turn: 0.0 };
            distances
                .extend(own.iter().map(|hand| known.distance(hand)).filter(|distance| distance.is_finite()));
        }
        let radius = if axes.flat { FLAT_RADIUS } else { RADIUS };
        let least = radius.least * (1.0 + radius.shortness / hands.len().max(1) as f32);
        let reach = (radius.margin * quantile(distances, radius.quantile)).clamp(least, radius.most);
        Self { examples: clusters(&hands, BLOCK, share), reach, turn: 0.0 }
    }

    /// A gesture of synthetic hands. Its radius exceeds the distance of `others` of the same kind from the examples: no real hand
    /// is quite like those.
    pub(crate) fn made_up(axes: &Axes, frames: &[Frame], others: &[Frame]) -> Self {
        const QUANTILE: f64 = 0.9;
        const MARGIN: f32 = 2.3;
        let examples = clusters(&Hand::of_frames(axes, frames), BLOCK * MADE_UP_BLOCKS, 0.0);
        let mut known = Self { examples, reach: REACH, turn: 0.0 };
        let distances = Hand::of_frames(axes, others).iter().map(|hand| known.distance(hand)).collect();
        known.reach = MARGIN * quantile(distances, QUANTILE).max(1.0);
        known
    }

    /// Squared distance from the nearest example.
    pub(crate) fn distance(&self, hand: &Hand) -> f32 {
        self.examples.iter().fold(f32::INFINITY, |least, example| {
            let [u, v] = [0, 1].map(|axis| example.palm[axis] - hand.palm[axis]);
            least.min(example.squared_distance(hand) + self.turn * (u * u + v * v))
        })
    }

    /// Penalty that decides between two equally near gestures.
    pub(crate) fn narrowness(&self) -> f32 {
        -NARROWNESS * (self.reach / REACH).ln()
    }

    /// Whether a hand could be accepted by both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let apart = (self.reach.sqrt() + other.reach.sqrt()).powi(2);
        self.examples.iter().any(|a| other.examples.iter().any(|b| a.squared_distance(b) < apart))
    }
}

fn nearest(hands: &[Hand], hand: &Hand) -> usize {
    let distance = |index: &usize| hands[*index].squared_distance(hand);
    (0..hands.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}

fn mean<'a>(hands: impl Iterator<Item = &'a Hand>) -> Option<Hand> {
    let mut sum = Hand { place: [0.0; AXES], palm: [0.0; 2] };
    let mut count = 0.0;
    for hand in hands {
        sum.place.iter_mut().zip(hand.place).for_each(|(sum, value)| *sum += value);
        sum.palm.iter_mut().zip(hand.palm).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    let mean = Hand { place: sum.place.map(|sum| sum / count), palm: sum.palm.map(|sum| sum / count) };
    (count > 0.0).then_some(mean)
}

/// At most `most` hands that stand for all of these, which are at least one: means of clusters (Lloyd 1982) that begin as far from each
/// other as they can (Gonzalez 1985). Clusters of no more than `share` of the hands, which is less
/// than one in `most`, are left out.
fn clusters(hands: &[Hand], most: usize, share: f32) -> Vec<Hand> {
    let Some(middle) = mean(hands.iter()) else { return Vec::new() };
    let mut centres = vec![hands[nearest(hands, &middle)]];
    let mut distances: Vec<f32> = hands.iter().map(|hand| hand.squared_distance(&centres[0])).collect();
    while centres.len() < most {
        let farthest = (0..hands.len()).max_by(|a, b| distances[*a].total_cmp(&distances[*b])).unwrap_or(0);
        if distances[farthest] < SAME_PLACE {
            break;
        }
        centres.push(hands[farthest]);
        for (distance, hand) in distances.iter_mut().zip(hands) {
            *distance = distance.min(hand.squared_distance(&hands[farthest]));
        }
    }
    for _ in 0..ROUNDS {
        let owner: Vec<usize> = hands.iter().map(|hand| nearest(&centres, hand)).collect();
        for (index, centre) in centres.iter_mut().enumerate() {
            let own = hands.iter().zip(&owner).filter(|(_, owner)| **owner == index).map(|(hand, _)| hand);
            *centre = mean(own).unwrap_or(*centre);
        }
    }
    let mut sizes = vec![0; centres.len()];
    hands.iter().for_each(|hand| sizes[nearest(&centres, hand)] += 1);
    let least = (share * hands.len() as f32) as usize;
    let counts = |(_, size): &(&Hand, &usize)| share == 0.0 || **size > least;
    centres.iter().zip(&sizes).filter(counts).map(|(centre, _)| centre.rounded()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn hand(first: f32, random: &mut Random) -> Hand {
        let mut place = [(); AXES].map(|()| 0.3 * random.normal());
        place[0] += first;
        Hand { place, palm: [0.0, -1.0] }
    }

    #[test]
    fn a_gesture_in_motion_reaches_along_itself_and_no_farther_beside_it_than_one_held_still() {
        let mut random = Random::new(2, 9);
        let still: Vec<Hand> = (0..100).map(|_| hand(0.0, &mut random)).collect();
        let moving: Vec<Hand> = (0..100).map(|i| hand(0.4 * i as f32 - 20.0, &mut random)).collect();
        let known = |hands: &[Hand]| Known { examples: clusters(hands, BLOCK, 0.0), reach: REACH, turn: 0.0 };
        let (still, moves) = (known(&still), known(&moving));
        assert!(moves.examples.len() == BLOCK && moves.examples.iter().all(Hand::is_rounded));
        assert!(moving.iter().all(|hand| moves.distance(hand) < REACH));
        assert!(moving.iter().filter(|hand| still.distance(hand) < REACH).count() < 40);
        let beside = |known: &Known| {
            let mut away = hand(0.0, &mut Random::new(1, 1));
            away.place[7] = 7.0;
            known.distance(&away)
        };
        assert!(beside(&moves) > REACH && beside(&still) > REACH);
    }

    #[test]
    fn a_few_frames_of_another_hand_are_no_example() {
        let mut random = Random::new(3, 9);
        let mut hands: Vec<Hand> = (0..117).map(|_| hand(0.0, &mut random)).collect();
        hands.extend((0..3).map(|_| hand(30.0, &mut random)));
        let strays =
            |share| clusters(&hands, BLOCK, share).iter().filter(|hand| hand.place[0] > 20.0).count();
        assert!(strays(0.0) > 0 && strays(FLAT_EXAMPLE_SHARE) == 0);
    }
}
