//! Measures the README's figures on gestures, on letters, hands and people that the models were not trained on.
//!
//! ```sh
//! cargo run --release -p splat-gesture --example protocol -- FOLDER development
//! cargo run --release -p splat-gesture --example protocol -- FOLDER kept
//! ```
//!
//! FOLDER holds `asl_letters_a_to_m.csv` (`label,frame` and 63 image coordinates), `ghostouch_base_v1.csv`,
//! `ghostouch_incremental_one.csv` (64 numbers a frame) and `kazuhito_keypoint.csv` (42 numbers a frame). Constants are chosen on the
//! development half alone: every other letter, and hands of one author. The README gives figures of the kept half.

#![expect(clippy::print_stdout, reason = "a measurement tells its figures")]
#![expect(clippy::unwrap_used, reason = "data that is not as described ends the measurement")]

mod data;
mod hands;
mod measure;

use std::path::Path;
use std::time::Instant;

use data::{Data, Half};
use hands::{flat, flat_swung, in_metres, of_person, turned};
use measure::{Telling, accepted, added, offered, right, summary, telling, trained, trained_on};
use splat_gesture::{BASE_LABELS, Bundle, Frame, LabelledFrames, Layout, base_v1};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, half) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [folder, "development"] => (folder, Half::Development),
        [folder, "kept"] => (folder, Half::Kept),
        _ => panic!("usage: protocol FOLDER development|kept"),
    };
    let data = Data::read(Path::new(folder), half);
    println!(
        "{half:?}: letters {}",
        data.letters.iter().map(|letter| letter.label.as_str()).collect::<Vec<_>>().join(" ")
    );
    let grafts = data.grafts(24);
    println!("grafted gestures: {}", grafts.len());
    unknown_letters(&data.letters, &grafts);
    unknown_of_four(&data.world);
    base(&data, &grafts);
    short_recordings(&data.letters);
    turns(&data);
    people(&data.letters);
    flat_hands(&data, &grafts);
    another_author(&data);
}

/// Each run of `count` consecutive letters (cyclic), and the remaining ones.
fn companies(letters: &[LabelledFrames], count: usize) -> Vec<[Vec<&LabelledFrames>; 2]> {
    let rotated = |from: usize| -> Vec<&LabelledFrames> {
        (0..letters.len()).map(|i| &letters[(from + i) % letters.len()]).collect()
    };
    (0..letters.len())
        .map(|from| {
            let all = rotated(from);
            [all[..count].to_vec(), all[count..].to_vec()]
        })
        .collect()
}

fn tell(what: &str, figures: &[Telling]) {
    let of = |figure: fn(&Telling) -> f64| -> Vec<f64> { figures.iter().map(figure).collect() };
    println!(
        "{what}: known argmax {}, accepted {}; unknown accepted {}, at .95 of known right {}; area {}",
        summary(&of(|t| t.argmax), f64::min),
        summary(&of(|t| t.right), f64::min),
        summary(&of(|t| t.unknown), f64::max),
        summary(&of(|t| t.unknown_at_95), f64::max),
        summary(&of(|t| t.area), f64::min),
    );
}

fn unknown_letters(letters: &[LabelledFrames], grafts: &[LabelledFrames]) {
    for frames in [100, 300] {
        for count in [2, 3, 4] {
            let (mut plain, mut grafted) = (Vec::new(), Vec::new());
            for [known, unknown] in companies(letters, count) {
                let bundle = trained_on(&known, frames, Layout::Image);
                let later: Vec<&[Frame]> = known.iter().map(|letter| &letter.frames[frames..]).collect();
                let unknown: Vec<&[Frame]> = unknown.iter().map(|letter| &letter.frames[..]).collect();
                plain.push(telling(&bundle, &later, &unknown));
                let unknown: Vec<&[Frame]> = grafts.iter().map(|graft| &graft.frames[..]).collect();
                grafted.push(telling(&bundle, &later, &unknown));
            }
            tell(&format!("{count} letters known, {frames} frames, other letters"), &plain);
            tell(&format!("{count} letters known, {frames} frames, grafted hands"), &grafted);
        }
    }
}

/// World coordinates: three of four gestures known, the fourth unknown.
fn unknown_of_four(world: &[LabelledFrames]) {
    let figures: Vec<Telling> = companies(world, 3)
        .iter()
        .map(|[known, unknown]| {
            let bundle = trained_on(known, 75, Layout::World);
            let later: Vec<&[Frame]> = known.iter().map(|gesture| &gesture.frames[75..]).collect();
            telling(&bundle, &later, &[&unknown[0].frames[..]])
        })
        .collect();
    tell("3 of 4 real gestures known, 75 frames, world", &figures);
}

/// The base model on real hands, the effect of ten additions, and how many unknown frames a gesture drawn in the air accepts.
fn base(data: &Data, grafts: &[LabelledFrames]) {
    let start = Instant::now();
    let base = base_v1(&|_| {}, &|| false).unwrap();
    println!("base_v1 made in {:.1} s", start.elapsed().as_secs_f32());
    let real = |bundle: &Bundle| -> Vec<[f64; 2]> {
        BASE_LABELS
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let hands = data.world.iter().find(|group| group.label == *name).unwrap();
                right(bundle, &hands.frames, i)
            })
            .collect()
    };
    println!("base_v1, real paper, rock, scissors [accepted, argmax]: {:.3?}", real(&base));
    let world = |frames: &[Frame]| -> Vec<Frame> { frames.iter().map(in_metres).collect() };
    let letters: Vec<Vec<Frame>> = data.letters.iter().map(|letter| world(&letter.frames)).collect();
    let one = &data.world.iter().find(|group| group.label == "one").unwrap().frames;
    println!(
        "base_v1 accepts: letters {:.3?}, `one` {:.3}",
        letters.iter().map(|frames| accepted(&base, frames)).collect::<Vec<_>>(),
        accepted(&base, one)
    );
    // Letters, then composite gestures until there are ten; rejected ones are skipped.
    let candidates = data.letters.iter().zip(letters.clone()).map(|(letter, frames)| (&letter.label, frames));
    let candidates = candidates.chain(grafts.iter().map(|graft| (&graft.label, world(&graft.frames))));
    let mut grown = base.clone();
    let (mut slowest, mut largest, mut refused) = (0.0_f32, 0, Vec::new());
    let (mut gestures, mut unknown) = (Vec::new(), Vec::new());
    for (name, frames) in candidates {
        if gestures.len() == 10 {
            unknown.extend(frames);
            continue;
        }
        let start = Instant::now();
        let child = offered(&grown, name, &frames[..100]);
        slowest = slowest.max(start.elapsed().as_secs_f32());
        let Some(child) = child else {
            refused.push(name.as_str());
            continue;
        };
        grown = child;
        largest = grown.export().iter().take(3).map(|file| file.bytes.len()).fold(largest, usize::max);
        gestures.push((name.as_str(), frames));
    }
    println!(
        "{} additions ({}; refused {}): slowest {slowest:.2} s, largest export {largest} bytes",
        gestures.len(),
        gestures.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" "),
        refused.join(" ")
    );
    println!("after them, paper, rock, scissors [accepted, argmax]: {:.3?}", real(&grown));
    let own: Vec<[f64; 2]> = gestures
        .iter()
        .enumerate()
        .map(|(i, (_, frames))| right(&grown, &frames[100..], BASE_LABELS.len() + i))
        .collect();
    println!("after them, the added ones' later frames [accepted, argmax]: {own:.3?}");
    println!("the report claims {:.3?}", claimed(&grown));
    println!(
        "unknown to it, grafted hands accepted {:.3}, `one` {:.3}; the report says {:.3}",
        accepted(&grown, &unknown),
        accepted(&grown, one),
        grown.report().unknown_accepted
    );
    // A drawn letter: J is one; of the other half, I turned about while it is recorded, as J is drawn.
    let drawn: Vec<Frame> = match data.letters.iter().position(|letter| letter.label == "J") {
        Some(j) => letters[j].clone(),
        None => {
            let frames = &letters[data.letters.iter().position(|letter| letter.label == "I").unwrap()];
            let swing = |i: usize| (i as f32 / 8.0).sin();
            let moved = |(i, frame): (usize, &Frame)| {
                turned(frame, Layout::World, 50.0 * swing(i), 60.0 * swing(i + 6))
            };
            frames.iter().enumerate().map(moved).collect()
        }
    };
    let bundle = added(&base, "drawn", &drawn[..100]);
    let swallowed: Vec<f64> = letters.iter().map(|frames| right(&bundle, frames, 3)[0]).collect();
    println!(
        "a drawn letter joins base_v1: its later frames {:.3?}; paper, rock, scissors {:.3?}; taken for it, of paper, rock, scissors, one {:.3?}, of the letters {swallowed:.3?}; the report says {:.3}",
        right(&bundle, &drawn[100..], 3),
        real(&bundle),
        data.world.iter().map(|group| right(&bundle, &group.frames, 3)[0]).collect::<Vec<_>>(),
        bundle.report().unknown_accepted
    );
}

/// Accepted recall of each gesture according to the report.
fn claimed(bundle: &Bundle) -> Vec<f64> {
    (0..bundle.labels().len()).map(|gesture| bundle.report().confusion.recall(gesture)).collect()
}

/// Each letter is added to two others from its first 40 frames: the report's recall compared with that of later frames.
fn short_recordings(letters: &[LabelledFrames]) {
    for frames in [40, 100] {
        let (mut claims, mut truths, mut off) = (Vec::new(), Vec::new(), Vec::new());
        for [known, _] in companies(letters, 3) {
            let parent = trained_on(&known[1..], 100, Layout::Image);
            let bundle = added(&parent, &known[0].label, &known[0].frames[..frames]);
            let claim = bundle.report().new_recall.unwrap();
            let truth = right(&bundle, &known[0].frames[frames..], 2)[0];
            claims.push(claim);
            truths.push(truth);
            off.push((claim - truth).abs());
        }
        println!(
            "{frames} frames: claimed {claims:.3?}, true {truths:.3?}, off by {}",
            summary(&off, f64::max)
        );
    }
}

/// Added gestures with the phone turned, beside the base gestures.
fn turns(data: &Data) {
    let base = base_v1(&|_| {}, &|| false).unwrap();
    let three = companies(&data.letters, 3);
    let models: Vec<Bundle> = three.iter().map(|[known, _]| trained_on(known, 100, Layout::Image)).collect();
    let one = &data.world.iter().find(|group| group.label == "one").unwrap().frames;
    let with_one = added(&base, "one", &one[..60]);
    for angle in [0.0, 30.0, 45.0, 60.0, 180.0] {
        let view = |frames: &[Frame], layout| -> Vec<Frame> {
            frames.iter().map(|frame| turned(frame, layout, angle, 0.0)).collect()
        };
        let mut figures = Vec::new();
        for ([known, _], bundle) in three.iter().zip(&models) {
            for (gesture, letter) in known.iter().enumerate() {
                figures.push(right(bundle, &view(&letter.frames[100..], Layout::Image), gesture)[0]);
            }
        }
        let base_hands: Vec<f64> = BASE_LABELS
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let hands = &data.world.iter().find(|group| group.label == *name).unwrap().frames;
                right(&with_one, &view(hands, Layout::World), i)[0]
            })
            .collect();
        println!(
            "turned by {angle}: letters {}, `one` added to base_v1 {:.3}, paper, rock, scissors {base_hands:.3?}",
            summary(&figures, f64::min),
            right(&with_one, &view(&one[60..], Layout::World), 3)[0]
        );
    }
}

/// Other people's bone lengths with the same poses.
fn people(letters: &[LabelledFrames]) {
    const PEOPLE: [([f32; 5], f32); 4] = [
        ([1.15, 0.9, 0.95, 1.1, 0.85], 1.1),
        ([0.85, 1.1, 1.1, 0.9, 1.15], 0.9),
        ([1.1, 1.15, 1.15, 1.15, 1.1], 0.85),
        ([0.9, 0.85, 0.85, 0.85, 0.9], 1.15),
    ];
    let mut figures = [Vec::new(), Vec::new()];
    for [known, _] in companies(letters, 4) {
        let bundle = trained_on(&known, 100, Layout::Image);
        for (gesture, letter) in known.iter().enumerate() {
            for (lengths, width) in PEOPLE {
                let frames: Vec<Frame> = letter.frames[100..]
                    .iter()
                    .map(|frame| of_person(frame, Layout::Image, lengths, width))
                    .collect();
                let both = right(&bundle, &frames, gesture);
                figures.iter_mut().zip(both).for_each(|(figures, value)| figures.push(value));
            }
        }
    }
    println!(
        "other people's bones: accepted {}, argmax {}",
        summary(&figures[0], f64::min),
        summary(&figures[1], f64::min)
    );
}

/// Two gestures trained on frames in two dimensions in which the hand rotates.
fn flat_hands(data: &Data, grafts: &[LabelledFrames]) {
    for swing in [0.0, 30.0, 60.0] {
        let [letters, grafts, world] = [&data.letters[..], grafts, &data.world[..]]
            .map(|all| all.iter().map(|group| flat_swung(group, swing)).collect::<Vec<_>>());
        let grafts: Vec<&LabelledFrames> = grafts.iter().collect();
        let (mut plain, mut grafted) = (Vec::new(), Vec::new());
        for [known, unknown] in companies(&letters, 2) {
            plain.push(told_flat(&known, &unknown, 200));
            grafted.push(told_flat(&known, &grafts, 200));
        }
        tell(&format!("2 letters known, 200 frames, flat, turned by {swing}, other letters"), &plain);
        tell(&format!("2 letters known, 200 frames, flat, turned by {swing}, grafted hands"), &grafted);
        let real: Vec<Telling> =
            companies(&world, 2).iter().map(|[known, unknown]| told_flat(known, unknown, 75)).collect();
        tell(&format!("2 of 4 real gestures known, 75 frames, flat, turned by {swing}"), &real);
    }
}

/// Later frames of gestures trained on their first `frames`, against unknown ones.
fn told_flat(known: &[&LabelledFrames], unknown: &[&LabelledFrames], frames: usize) -> Telling {
    let bundle = trained_on(known, frames, Layout::Image);
    let later: Vec<&[Frame]> = known.iter().map(|gesture| &gesture.frames[frames..]).collect();
    let unknown: Vec<&[Frame]> = unknown.iter().map(|gesture| &gesture.frames[..]).collect();
    telling(&bundle, &later, &unknown)
}

/// Two of another author's three gestures known in two dimensions without handedness, the third unknown.
fn another_author(data: &Data) {
    if data.half == Half::Development {
        return;
    }
    let figures: Vec<Telling> =
        companies(&data.flat, 2).iter().map(|[known, unknown]| told_flat(known, unknown, 300)).collect();
    tell("2 of 3 gestures of another author known, 300 frames, flat", &figures);
    let gestures: Vec<(&str, &[Frame])> =
        data.flat.iter().map(|gesture| (gesture.label.as_str(), &gesture.frames[..100])).collect();
    let bundle = trained(&gestures, Layout::Image);
    let own: Vec<[f64; 2]> =
        data.flat.iter().enumerate().map(|(i, gesture)| right(&bundle, &gesture.frames[100..], i)).collect();
    println!("3 of 3 from 100 frames [accepted, argmax]: {own:.3?}");
    // The same author's hands against a model of the first author's, seen in two dimensions.
    let gestures: Vec<(&str, Vec<Frame>)> = ["paper", "rock", "one"]
        .iter()
        .map(|name| {
            let hands = data.world.iter().find(|group| group.label == *name).unwrap();
            (*name, hands.frames.iter().map(flat).collect())
        })
        .collect();
    let gestures: Vec<(&str, &[Frame])> =
        gestures.iter().map(|(name, frames)| (*name, &frames[..])).collect();
    let bundle = trained(&gestures, Layout::Image);
    let theirs: Vec<[f64; 2]> =
        data.flat.iter().enumerate().map(|(i, gesture)| right(&bundle, &gesture.frames, i)).collect();
    println!("a model of one author's on the other's hands [accepted, argmax]: {theirs:.3?}");
}
