#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::scene::SeedPoint;

fn point(position: [f32; 3]) -> SeedPoint {
    SeedPoint { position: position.map(f64::from), rgb: [255, 128, 0] }
}

#[test]
fn one_gaussian_a_point() {
    // A row with gaps 1, 2, 3, 4, for which the three nearest distances are known.
    let points: Vec<_> = [0.0, 1.0, 3.0, 6.0, 10.0].map(|x| point([x, 5.0, -2.0])).to_vec();
    let options = SeedOptions { sh_degree: 2, opacity: 0.1, scale: 0.5 };
    let cloud = GaussianCloud::from_seed_points(&points, &options);
    cloud.validate().unwrap();
    assert_eq!(cloud.len(), 5);
    let expected =
        [(1.0 + 3.0 + 6.0), (1.0 + 2.0 + 5.0), (2.0 + 3.0 + 3.0), (3.0 + 4.0 + 5.0), (4.0 + 7.0 + 9.0)];
    for (scales, sum) in cloud.log_scales.iter().zip(expected) {
        let scale: f64 = 0.5 * sum / 3.0;
        assert!(scales.iter().all(|s| (f64::from(*s) - scale.ln()).abs() < 1e-6), "{scales:?} {scale}");
    }
    assert_eq!(cloud.quats[3], [1.0, 0.0, 0.0, 0.0]);
    let opacity = 1.0 / (1.0 + (-cloud.opacity_logits[0]).exp());
    assert!((opacity - 0.1).abs() < 1e-6);
    let colour = cloud.sh_coeffs[9].map(|dc| 0.5 + SH_C0 * dc);
    for (got, expected) in colour.iter().zip([1.0, 128.0 / 255.0, 0.0]) {
        assert!((got - expected).abs() < 1e-6, "{colour:?}");
    }
    assert_eq!(cloud.sh_coeffs[10..18], [[0.0; 3]; 8]);
    assert_eq!(cloud.bounds(), Some(([0.0, 5.0, -2.0], [10.0, 5.0, -2.0])));
}

#[test]
fn duplicates_and_broken_points_stay_finite() {
    let mut points = vec![point([1.0; 3]); 10];
    points.push(point([f32::NAN, 0.0, 0.0]));
    points.push(point([f32::INFINITY, 0.0, 0.0]));
    points.extend((0..10).map(|i| point([i as f32, 9.0, 9.0])));
    points.push(point([f32::MAX, f32::MIN, 0.0]));
    let mut cloud = GaussianCloud::from_seed_points(&points, &SeedOptions::default());
    assert_eq!(cloud.len(), 21);
    assert_eq!(cloud.retain_finite().unwrap(), 0);
    // Ten coincident points have a small scale, not an infinitely small one.
    assert!(cloud.log_scales[0][0] > -10.0 && cloud.log_scales[0][0] < -5.0, "{:?}", cloud.log_scales[0]);
    for count in [0, 1, 2] {
        let few = GaussianCloud::from_seed_points(&points[..count], &SeedOptions::default());
        assert_eq!(few.len(), count);
        assert!(few.log_scales.as_flattened().iter().all(|s| s.is_finite()));
    }
}

#[test]
fn broken_rows_are_dropped_and_counted() {
    let points: Vec<_> = (0..6).map(|i| point([i as f32, 0.0, 0.0])).collect();
    let mut cloud =
        GaussianCloud::from_seed_points(&points, &SeedOptions { sh_degree: 1, ..Default::default() });
    cloud.sh_coeffs[4 * 2 + 3][1] = f32::NAN;
    cloud.opacity_logits[4] = f32::INFINITY;
    assert_eq!(cloud.retain_finite().unwrap(), 2);
    assert_eq!(cloud.means.iter().map(|m| m[0]).collect::<Vec<_>>(), [0.0, 1.0, 3.0, 5.0]);
    cloud.validate().unwrap();
    cloud.quats.pop();
    assert!(cloud.validate().unwrap_err().to_string().contains("quats"));
}

#[test]
fn infinite_opacities_and_scales_are_clamped() {
    let points: Vec<_> = (0..4).map(|i| point([i as f32, 0.0, 0.0])).collect();
    let mut cloud = GaussianCloud::from_seed_points(&points, &SeedOptions::default());
    let untouched = (cloud.log_scales[0], cloud.opacity_logits[0]);
    cloud.opacity_logits[1] = f32::INFINITY;
    cloud.log_scales[1][2] = f32::NEG_INFINITY;
    cloud.opacity_logits[2] = f32::NEG_INFINITY;
    cloud.opacity_logits[3] = f32::NAN;
    assert_eq!(cloud.clamp_infinite(), 2);
    assert_eq!((cloud.log_scales[0], cloud.opacity_logits[0]), untouched);
    let alpha = |logit: f32| 1.0 / (1.0 + (-logit).exp());
    assert!(alpha(cloud.opacity_logits[1]) > 0.999_999 && alpha(cloud.opacity_logits[2]) < 1e-6);
    assert!(cloud.log_scales[1][2].exp() > 0.0 && cloud.log_scales[1][2].exp() < 1e-8);
    assert_eq!(cloud.retain_finite().unwrap(), 1, "what is not a number stays refused");
}

#[test]
fn floaters_do_not_widen_the_box_to_frame_by() {
    let mut points: Vec<_> = (0..300).map(|i| point([i as f32 / 300.0, 1.0, -1.0])).collect();
    points.push(point([1e6, -1e6, 1e6]));
    let mut cloud = GaussianCloud::from_seed_points(&points, &SeedOptions::default());
    // Many invisible Gaussians elsewhere.
    for _ in 0..100 {
        cloud.means.push([50.0; 3]);
        cloud.quats.push([1.0, 0.0, 0.0, 0.0]);
        cloud.log_scales.push([0.0; 3]);
        cloud.opacity_logits.push(-6.0);
        cloud.sh_coeffs.extend(vec![[0.0; 3]; cloud.coeffs_per_gaussian()]);
    }
    let [min, max] = cloud.framing_bounds().unwrap();
    assert!(min[0] < 0.05 && max[0] > 0.95 && max[0] <= 1.0, "{min:?} {max:?}");
    assert_eq!((min[1], max[1], min[2], max[2]), (1.0, 1.0, -1.0, -1.0));
    assert_eq!(GaussianCloud::default().framing_bounds(), None);
    cloud.opacity_logits.fill(-9.0);
    assert!(cloud.framing_bounds().is_some(), "an invisible scene has a place, too");
}

#[test]
fn what_is_far_behind_the_scene_does_not_widen_the_box_to_frame_by() {
    let around = |i: i32, radius: f64| {
        let angle = f64::from(i);
        point([radius * angle.cos(), radius * angle.sin(), 0.1 * angle.sin()].map(|x| x as f32))
    };
    let scene = (0..300).map(|i| around(i, 1.0 + f64::from(i % 3)));
    let sky = (0..60).map(|i| around(i, 40.0));
    let cloud =
        GaussianCloud::from_seed_points(&scene.chain(sky).collect::<Vec<_>>(), &SeedOptions::default());
    let [min, max] = cloud.framing_bounds().unwrap();
    assert!(max[0] > 2.9 && max[0] <= 3.0 && min[1] < -2.9 && min[1] >= -3.0, "{min:?} {max:?}");
}

#[test]
fn the_most_visible_are_kept_in_order_and_degrees_change() {
    let cloud = GaussianCloud {
        means: (0..4).map(|i| [i as f32; 3]).collect(),
        quats: vec![[1.0, 0.0, 0.0, 0.0]; 4],
        // A thin one counts by its broad side; a faint one counts little, however large.
        log_scales: vec![[0.0; 3], [1.0, 1.0, -9.0], [0.5; 3], [3.0; 3]],
        opacity_logits: vec![2.0, 2.0, 2.0, -200.0],
        sh_coeffs: (0..16).map(|i| [i as f32; 3]).collect(),
        sh_degree: 1,
    };
    let mut two = cloud.clone();
    two.keep_most_visible(2);
    assert_eq!(two.means, [[1.0; 3], [2.0; 3]]);
    let mut all = cloud.clone();
    all.keep_most_visible(4);
    assert_eq!(all, cloud);
    let flat = cloud.clone().with_sh_degree(0);
    assert_eq!((flat.sh_degree, flat.sh_coeffs), (0, vec![[0.0; 3], [4.0; 3], [8.0; 3], [12.0; 3]]));
    let full = cloud.clone().with_sh_degree(3);
    full.validate().unwrap();
    assert_eq!((full.sh_coeffs[19], full.sh_coeffs[20]), ([7.0; 3], [0.0; 3]));
    assert_eq!(full.with_sh_degree(1), cloud);
}
