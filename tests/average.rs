//! Averaging of a run's last states: the mean is exact, is used for renders and files, and is restored from checkpoints.

use std::sync::Arc;

use splat_core::train::{Strategy, TrainConfig, Trainer};

use crate::fixtures::Device;
use crate::trainer::{bits, config, run_to, tiny, trainer};

const STEPS: u32 = 60;

/// The window opens at step 36; a refinement before step 40 begins it anew.
fn averaging() -> TrainConfig {
    TrainConfig { average_last: 0.4, ..config(Strategy::Mcmc) }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_run_ends_with_the_mean_of_its_last_states() {
    let (_dir, dataset) = tiny();
    let mut plain = trainer(&dataset, TrainConfig { average_last: 0.0, ..averaging() });
    let mut averaged = trainer(&dataset, averaging());
    let mut states = Vec::new();
    for step in 1..=STEPS {
        run_to(&mut plain, step);
        run_to(&mut averaged, step);
        let (state, shown) =
            (plain.cloud().expect("a cloud").means, averaged.cloud().expect("a cloud").means);
        if step <= 36 {
            assert_eq!(state, shown, "step {step}: the mean has begun before its window");
        }
        if step > 40 {
            states.push(state);
            let n = states.len() as f64;
            for (i, shown) in shown.iter().enumerate() {
                for axis in 0..3 {
                    let mean = states.iter().map(|state| f64::from(state[i][axis])).sum::<f64>() / n;
                    let shown = f64::from(shown[axis]);
                    assert!(
                        (mean - shown).abs() < 1e-5,
                        "step {step}, {i}: {shown} where the mean is {mean}"
                    );
                }
            }
        }
    }
    assert_eq!(states.len(), 20);
    assert_ne!(states.last(), Some(&averaged.cloud().expect("a cloud").means), "it is but the last state");
    // What is measured is what is written, and measuring leaves the run as it was.
    let view = dataset.held_out[0];
    let shown = averaged.render_view(view).expect("it renders").rgb;
    let state = plain.render_view(view).expect("it renders").rgb;
    assert!(shown != state, "the last state is drawn, not the mean");
    assert!(shown == averaged.render_view(view).expect("it renders").rgb);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn checkpoints_keep_the_mean_to_the_bit() {
    let (dir, dataset) = tiny();
    let config = TrainConfig { rate_final: 0.05, ..averaging() };
    let path = |step: u32| dir.path().join(format!("{step}"));
    let mut first = trainer(&dataset, config);
    let saved_at = [30, 38, 40, 45, 59, STEPS];
    for step in saved_at {
        run_to(&mut first, step);
        first.save_checkpoint(&path(step)).expect("it is saved");
        // Drawing between steps leaves no trace either.
        first.render_view(0).expect("it renders");
    }
    let first = bits(&first.cloud().expect("a cloud"));
    for step in saved_at {
        let resumed = Trainer::resume(&Device::shared().gpu, Arc::clone(&dataset), &path(step));
        let mut resumed = resumed.expect("the checkpoint is good");
        run_to(&mut resumed, STEPS);
        assert!(first == bits(&resumed.cloud().expect("a cloud")), "resumed at {step}, it went elsewhere");
    }
}
