//! Damaged or unrelated checkpoints are rejected.

use std::sync::Arc;

use splat_core::Error;
use splat_core::train::{Strategy, TrainConfig, Trainer};

use crate::fixtures::Device;
use crate::trainer::{VIEWS, config, crop, dataset_of, run_to, tiny, tiny_scene, trainer};

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn damaged_checkpoints_are_refused() {
    let gpu = &Device::shared().gpu;
    let (dir, dataset) = tiny();
    let path = dir.path().join("checkpoint");
    let mut trainer = trainer(&dataset, TrainConfig { sh_degree: 0, ..config(Strategy::Adc) });
    run_to(&mut trainer, 3);
    trainer.save_checkpoint(&path).expect("it is saved");
    let good = std::fs::read(&path).expect("it is there");
    let resume = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("it is written");
        Trainer::resume(gpu, Arc::clone(&dataset), &path)
    };
    let assert_refused = |bytes: &[u8], what: &str| match resume(bytes) {
        Err(Error::Malformed { .. } | Error::Read { .. }) => {}
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what}: it was taken for a good one"),
    };
    let mut cuts = 0;
    for length in (0..good.len()).step_by(97).chain([good.len() - 1]) {
        assert_refused(&good[..length], &format!("cut at byte {length} of {}", good.len()));
        cuts += 1;
    }
    assert!(cuts > 500, "only {cuts} cuts");
    assert_refused(&[good.as_slice(), &[0]].concat(), "a byte too many");

    let header_bytes = u32::from_le_bytes([good[8], good[9], good[10], good[11]]) as usize;
    for at in 0..12 + header_bytes {
        let mut bytes = good.clone();
        bytes[at] ^= 0x80;
        assert_refused(&bytes, &format!("byte {at} of the header flipped"));
    }

    // Headers that are JSON and say what cannot be.
    let header: serde_json::Value = serde_json::from_slice(&good[12..12 + header_bytes]).expect("it is JSON");
    let with = |key: &str, value: serde_json::Value| {
        let mut header = header.clone();
        header[key] = value;
        let json = serde_json::to_vec(&header).expect("it is JSON");
        let length = (json.len() as u32).to_le_bytes();
        [&good[..8], &length, &json, &good[12 + header_bytes..]].concat()
    };
    for (key, value) in [
        ("gaussians", 0.into()),
        ("gaussians", 577.into()),
        ("gaussians", u32::MAX.into()),
        ("gaussians", (-1).into()),
        ("sh_degree", 1.into()),
        ("sh_degree", 4.into()),
        ("sh_degree", u32::MAX.into()),
        ("config", serde_json::Value::Null),
        ("train_views", 3.into()),
    ] {
        assert_refused(&with(key, value.clone()), &format!("{key} = {value}"));
    }
    let mut config = header["config"].clone();
    config["steps"] = 0.into();
    assert!(matches!(resume(&with("config", config)), Err(Error::Config { .. })));
    let missing = Trainer::resume(gpu, Arc::clone(&dataset), &dir.path().join("nowhere"));
    assert!(matches!(missing, Err(Error::Read { .. })));

    // Arrays may hold anything: values that are not numbers train on without harm to the program.
    let mut bytes = good.clone();
    for word in bytes[12 + header_bytes..].chunks_exact_mut(4).step_by(3) {
        word.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let mut spoilt = resume(&bytes).expect("its form is good");
    run_to(&mut spoilt, 25);
    assert_eq!(resume(&good).expect("the good one still is").steps_done(), 3);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_checkpoint_of_another_dataset_is_refused() {
    let (dir, dataset) = tiny();
    let path = dir.path().join("checkpoint");
    trainer(&dataset, config(Strategy::Mcmc)).save_checkpoint(&path).expect("it is saved");
    // Fewer photos; the same names at another size; the same names elsewhere in the world.
    let (_fewer_dir, fewer) = tiny_scene(VIEWS - 1);
    let (small_dir, mut small) = tiny_scene(VIEWS);
    crop(&mut small, small_dir.path(), 60, 40);
    let (_moved_dir, mut moved) = tiny_scene(VIEWS);
    moved.views[3].cam_from_world.translation.x += 1e-3;
    for (what, scene) in [("fewer", fewer), ("small", small), ("moved", moved)] {
        match Trainer::resume(&Device::shared().gpu, dataset_of(scene), &path) {
            Err(error @ Error::Scene { .. }) => assert!(error.to_string().contains("other views"), "{error}"),
            Err(other) => panic!("{what}: {other}"),
            Ok(_) => panic!("{what}: it was taken"),
        }
    }
    Trainer::resume(&Device::shared().gpu, dataset, &path).expect("its own dataset is good");
}
