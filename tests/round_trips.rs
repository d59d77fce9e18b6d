//! Loss of image quality when a scene is written in another format and read again.

#![expect(clippy::print_stdout, reason = "the figures are worth reading")]

use glam::DVec3;
use splat_core::formats::{self, Format, SplatScene, SpzVersion};
use splat_core::metrics::psnr;
use splat_core::render::RenderOptions;
use splat_core::{Camera, GaussianCloud, Pinhole, Pose};
use splat_test_needs::needs;

use crate::fixtures::{Device, Rng};
use crate::garden_data::{Garden, Mode};
use crate::test_data::shared;

/// Forms that lose something, and what pictures must reach, dB.
const FORMS: [(Format, f64); 5] = [
    (Format::CompressedPly, 45.0),
    (Format::Spz(SpzVersion::V2), 45.0),
    (Format::Spz(SpzVersion::V3), 45.0),
    (Format::Spz(SpzVersion::V4), 45.0),
    (Format::Sog, 40.0),
];

/// Pictures `[H*W*3]` of a scene by several cameras, one after the other.
fn pictures(cloud: &GaussianCloud, cameras: &[Camera]) -> Vec<f32> {
    let draw = |camera| Device::shared().draw(cloud, camera, &RenderOptions::default()).rgb;
    cameras.iter().flat_map(draw).collect()
}

fn check(name: &str, cloud: GaussianCloud, cameras: &[Camera]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scene = SplatScene { cloud, ..SplatScene::default() };
    let original = pictures(&scene.cloud, cameras);
    let (darkest, brightest) = original.iter().fold((1.0_f32, 0.0_f32), |(a, b), &v| (a.min(v), b.max(v)));
    assert!(brightest - darkest > 0.4, "{name}: there is nothing to see");
    let mut short = Vec::new();
    for (format, least) in FORMS {
        let path = folder.path().join(format!("scene.{}", format.extension()));
        let written = formats::write(&path, format, &scene).expect("it is written");
        // SOG's positions are too coarse for a scene in a small unit, and the writer says so.
        let coarse = name == "kilometres" && format == Format::Sog;
        assert_eq!(written.notes.len(), usize::from(coarse), "{name} {format:?}: {:?}", written.notes);
        let back = formats::read(&path).expect("it is read").cloud;
        let reached = psnr(&pictures(&back, cameras), &original, None).expect("pictures of one size");
        println!("{name} {format:?}: {reached:.2} dB");
        if reached < least && !coarse {
            short.push(format!("{format:?} reaches {reached:.2} dB of {least}"));
        }
    }
    assert!(short.is_empty(), "{name}: {}", short.join("; "));
}

/// Cameras in a circle of a radius around a place, which they look at.
fn around(middle: DVec3, radius: f64, count: u32) -> Vec<Camera> {
    let intrinsics = Pinhole { width: 320, height: 240, fx: 300.0, fy: 300.0, cx: 160.0, cy: 120.0 };
    let camera = |index: u32| {
        let angle = std::f64::consts::TAU * f64::from(index) / f64::from(count);
        let eye = middle + DVec3::new(angle.cos(), -0.4, angle.sin()) * radius;
        Camera { intrinsics, cam_from_world: Pose::look_at(eye, middle, -DVec3::Y) }
    };
    (0..count).map(camera).collect()
}

/// As training leaves them: flat Gaussians on a floor and balls, a dome far off and haze up to a thousand times as far; `unit` is the
/// length of one unit, `used` the degree above which all harmonics are zero.
fn made_up(unit: f64, used: u32) -> GaussianCloud {
    let mut rng = Rng(5);
    let mut cloud = GaussianCloud { sh_degree: 3, ..GaussianCloud::default() };
    for index in 0..12_000 {
        let direction = DVec3::from_array([0; 3].map(|_| rng.range(-1.0, 1.0))).normalize_or(DVec3::X);
        let (at, size) = match index % 12 {
            0..5 => (DVec3::new(rng.range(-2.5, 2.5), 0.0, rng.range(-2.5, 2.5)), 0.03),
            5..10 => {
                let ball = DVec3::new(f64::from(index / 12 % 5) - 2.0, -0.4, f64::from(index / 60 % 4) - 1.5);
                (ball + direction * 0.4, 0.02)
            }
            10 => (direction * 9.0, 0.5),
            _ => (direction * 10_f64.powf(rng.range(1.0, 3.5)), 0.4),
        };
        let far = (at.length() / 9.0).max(1.0);
        cloud.means.push((at * unit).as_vec3().to_array());
        let log = (size * far * unit).ln();
        cloud.log_scales.push(
            [rng.range(log - 0.5, log + 0.5), rng.range(log - 0.5, log + 0.5), log - 2.0].map(|s| s as f32),
        );
        cloud.quats.push(rng.vector(-1.0, 1.0));
        cloud.opacity_logits.push(if index % 12 == 11 { -3.0 } else { rng.range(-1.0, 5.0) as f32 });
        let wave = |phase: f64| (1.2 * (3.0 * at.x + 5.0 * at.z + phase).sin()) as f32;
        cloud.sh_coeffs.push([wave(0.0), wave(1.0), wave(2.0)]);
        for degree in 1..=3_u32 {
            let most = if degree <= used { 0.12 / f64::from(degree) } else { 0.0 };
            cloud.sh_coeffs.extend((0..=2 * degree).map(|_| rng.vector::<3>(-most, most)));
        }
    }
    cloud
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_scene_with_far_haze_looks_the_same() {
    check("made up", made_up(1.0, 3), &around(DVec3::ZERO, 4.0, 4));
}

/// In kilometres, and from the first steps of a training, whose higher degrees are still zero.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_scene_in_a_small_unit_and_without_higher_harmonics_looks_the_same() {
    check("kilometres", made_up(1e-3, 1), &around(DVec3::ZERO, 4e-3, 4));
    check("one colour", made_up(1.0, 0), &around(DVec3::ZERO, 4.0, 2));
}

#[needs("splats/cross_format_playbot4")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_real_scene_looks_the_same() {
    let scene = formats::read(&shared("splats/cross_format_playbot4/playbot4.ply")).expect("a scene");
    let [low, high] = scene.cloud.framing_bounds().expect("it has Gaussians").map(DVec3::from_array);
    let cameras = around(low.midpoint(high), (high - low).length() * 0.75, 5);
    check("playbot4", scene.cloud, &cameras);
}

#[needs("reference/garden_ref.npz")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_real_garden_looks_the_same() {
    let garden = Garden::load();
    let cameras: Vec<Camera> = (0..garden.views()).map(|view| garden.camera(view)).collect();
    check("garden", garden.cloud(Mode::Sh), &cameras);
}
