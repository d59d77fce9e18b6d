//! Training the network on a set of frames, and setting the gate around the result.

use crate::augment::{Variation, other_hand, vary};
use crate::error::{GestureError, Result};
use crate::features::{FEATURES, features};
use crate::frame::{Frame, Layout};
use crate::model::Model;
use crate::network::{Adam, LossWeights, Network, Target};
use crate::random::Random;
use crate::reject::Gate;

/// Samples of one gradient step.
const BATCH: usize = 32;
/// Validated and kept is the running mean of the weights over some 50 steps, which depends less on where training ends
/// (Polyak and Juditsky 1992).
const MEAN_KEEP: f32 = 0.98;
/// Weight decay of Adam.
const DECAY: f32 = 2e-3;
const LOSS: LossWeights = LossWeights { decoder: 2.5, smoothing: 0.02 };

/// How long and how fast to train.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) epochs: usize,
    /// Frames of each gesture an epoch.
    pub(crate) frames: usize,
    /// Hands of no gesture, times the frames of one gesture. The gate tells most of those; more of them here cost frames of
    /// gestures.
    pub(crate) others: f32,
    /// Adam's rate at the start; it falls to a twentieth along a cosine.
    pub(crate) rate: f32,
    /// Epochs without a better validation loss after which training ends.
    pub(crate) patience: usize,
}

/// Frames of every gesture, in the order of the labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) train: &'a [&'a [Frame]],
    pub(crate) validation: &'a [&'a [Frame]],
}

/// Looks after a training under way.
pub(crate) struct Watch<'a> {
    /// Told the share done, 0..1.
    pub(crate) progress: &'a dyn Fn(f32),
    /// Asked before every epoch.
    pub(crate) cancel: &'a dyn Fn() -> bool,
}

/// Mean cross entropy of frames never used for a gradient, every gesture counting alike.
fn validation_loss(network: &Network, validation: &[Vec<[f32; FEATURES]>]) -> f32 {
    let mut total = 0.0;
    for (gesture, frames) in validation.iter().enumerate() {
        let mut sum = 0.0;
        for x in frames {
            let probability = crate::network::softmax(&network.forward(x).logits)[gesture];
            sum -= probability.max(1e-12).ln();
        }
        total += sum / frames.len().max(1) as f32;
    }
    total / validation.len() as f32
}

/// Trains `network` in place and leaves the weights that did best on the validation frames. Gives the epochs taken.
pub(crate) fn fit(
    network: &mut Network,
    rows: Rows<'_>,
    others: &dyn Fn(&mut Random) -> Frame,
    schedule: Schedule,
    random: &mut Random,
    watch: &Watch<'_>,
) -> Result<usize> {
    let validation: Vec<Vec<_>> =
        rows.validation.iter().map(|frames| frames.iter().map(features).collect()).collect();
    let mut grads = Network::zeros_like(network);
    let mut adam = Adam::new(network);
    let mut mean = network.clone();
    let mut best = (f32::INFINITY, 0, network.clone());
    for epoch in 0..schedule.epochs {
        if (watch.cancel)() {
            return Err(GestureError::Cancelled);
        }
        let done = epoch as f32 / schedule.epochs as f32;
        (watch.progress)(done);
        let rate = schedule.rate * (0.05 + 0.95 * 0.5 * (1.0 + (std::f32::consts::PI * done).cos()));
        let mut samples = Vec::new();
        for (gesture, frames) in rows.train.iter().enumerate() {
            let order = random.permutation(frames.len());
            for turn in 0..schedule.frames {
                let frame = &frames[order[turn % frames.len()]];
                samples
                    .push((features(&vary(frame, &Variation::TRAINING, random)), Target::Gesture(gesture)));
            }
        }
        let count = (schedule.others * schedule.frames as f32) as usize;
        samples.extend((0..count).map(|_| (features(&others(random)), Target::Other)));
        let order = random.permutation(samples.len());
        for batch in order.chunks(BATCH) {
            for index in batch {
                let (x, target) = &samples[*index];
                network.backward(x, *target, LOSS, &mut grads);
            }
            adam.step(network, &mut grads, 1.0 / batch.len() as f32, rate, DECAY);
            mean.follow(network, MEAN_KEEP);
        }
        let loss = validation_loss(&mean, &validation);
        if loss < best.0 {
            best = (loss, epoch, mean.clone());
        } else if epoch - best.1 >= schedule.patience {
            *network = best.2;
            return Ok(epoch + 1);
        }
    }
    *network = best.2;
    Ok(schedule.epochs)
}

/// Variations of each gesture's training frames for the gate.
const REACH_FRAMES: usize = 900;
/// Generated hands that show the gate how hands differ.
const GATE_OTHERS: usize = 900;

/// The trained network with its gate, as it is exported.
pub(crate) fn finish(network: &Network, rows: Rows<'_>, layout: Layout, random: &mut Random) -> Model {
    let mut network = network.clone();
    network.round_hidden();
    let [turned, gestures] = [Variation::TURNED, Variation::TRAINING].map(|variation| {
        let gestures = rows.train.iter().zip(rows.validation);
        let frames = gestures.map(|(train, validation)| {
            let varied = train
                .iter()
                .cycle()
                .take(REACH_FRAMES)
                .map(|frame| features(&vary(frame, &variation, random)));
            varied.chain(validation.iter().map(features)).collect()
        });
        frames.collect::<Vec<Vec<_>>>()
    });
    let others: Vec<_> = (0..GATE_OTHERS).map(|_| features(&other_hand(layout, random))).collect();
    let Network { hidden, embed, head, .. } = network;
    Model { layout, hidden, embed, head, gate: Gate::fit(&gestures, &turned, &others) }
}
