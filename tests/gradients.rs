//! The GPU's gradients against central differences of the f64 reference.
//!
//! Differencing the f32 kernel itself would need a coarse step and a loose tolerance; `parity.rs` ties
//! the two forward passes together.

use splat_core::reference::{self, Gaussians, Options, View};
use splat_core::render::{FrameGradient, RenderOptions};
use splat_core::{Camera, GaussianCloud};

use crate::differences::{CLEAR_OF_JUMPS, STEP, Sowing, assert_gradients};
use crate::fixtures::{Device, flat, narrow, wide};
use crate::gut_fixture::{PINHOLE, pose};

/// What f32 sums over tiles may be off by, as a share of the largest entry; they stay 20 times below that.
const OF_LARGEST: f64 = 1e-5;

/// A scene, a camera and fixed weights that make a loss of a picture: `Σ w · (rgb, alpha, depth)`.
struct Fixture {
    cloud: GaussianCloud,
    camera: Camera,
    options: Options,
    w_rgb: Vec<f64>,
    w_alpha: Vec<f64>,
    w_depth: Vec<f64>,
}

impl Fixture {
    /// The first seed's scene that stays clear of every jump.
    fn new(sh_degree: u32, antialiased: bool) -> Self {
        (0..200)
            .map(|seed| Self::seeded(seed, sh_degree, antialiased))
            .find(Self::is_clear_of_jumps)
            .expect("one of many seeds makes a scene clear of jumps")
    }

    fn seeded(seed: u64, sh_degree: u32, antialiased: bool) -> Self {
        let (intrinsics, cam_from_world) = (PINHOLE, pose());
        let mut sown = Sowing::new(seed, cam_from_world, sh_degree);
        sown.scattered(5, -0.9);
        sown.three_in_a_row(-1.4);
        sown.clamped();
        // Outside the image, where the Jacobian is clamped, and large enough to reach in.
        sown.add([1.9, -0.2, 2.2], -0.4, 1.0, [0.5, -0.2, 0.9]);
        // Thinner than a pixel: what antialiasing dims.
        sown.add([0.1, -0.3, 2.1], -4.5, 2.0, [0.1, 0.9, 0.4]);

        let pixels = (intrinsics.width * intrinsics.height) as usize;
        let [w_rgb, w_alpha, w_depth] = [3 * pixels, pixels, pixels].map(|count| sown.weights(count));
        Self {
            cloud: sown.cloud,
            camera: Camera { intrinsics, cam_from_world },
            options: Options { background: [0.25, 0.5, 0.75], antialiased },
            w_rgb,
            w_alpha,
            w_depth,
        }
    }

    fn is_clear_of_jumps(&self) -> bool {
        let picture =
            reference::render(&Gaussians::from(&self.cloud), &View::from(&self.camera), &self.options);
        picture.jump_distance.iter().all(|distance| *distance > CLEAR_OF_JUMPS)
    }

    fn loss(&self, gaussians: &Gaussians, view: &View) -> f64 {
        let picture = reference::render(gaussians, view, &self.options);
        let dot = |w: &[f64], x: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        dot(&self.w_rgb, &picture.rgb)
            + dot(&self.w_alpha, &picture.alpha)
            + dot(&self.w_depth, &picture.depth)
    }

    /// Central differences for every value that `entry` reaches.
    fn differences(&self, count: usize, entry: impl Fn(&mut Gaussians, &mut View, usize, f64)) -> Vec<f64> {
        (0..count)
            .map(|index| {
                let [above, below] = [STEP, -STEP].map(|step| {
                    let mut gaussians = Gaussians::from(&self.cloud);
                    let mut view = View::from(&self.camera);
                    entry(&mut gaussians, &mut view, index, step);
                    self.loss(&gaussians, &view)
                });
                (above - below) / (2.0 * STEP)
            })
            .collect()
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn backward_matches_finite_differences() {
    for sh_degree in 0..=3 {
        for antialiased in [false, true] {
            check(&Fixture::new(sh_degree, antialiased));
        }
    }
}

fn check(fixture: &Fixture) {
    let case = format!("degree {}, antialiased {}", fixture.cloud.sh_degree, fixture.options.antialiased);
    let (w_rgb, w_alpha, w_depth) =
        (narrow(&fixture.w_rgb), narrow(&fixture.w_alpha), narrow(&fixture.w_depth));
    let gradient = FrameGradient { v_rgb: &w_rgb, v_alpha: Some(&w_alpha), v_depth: Some(&w_depth) };
    let options = RenderOptions {
        background: fixture.options.background.map(|channel| channel as f32),
        antialiased: fixture.options.antialiased,
        ..RenderOptions::default()
    };
    let (_, ours) = Device::shared().gradients(&fixture.cloud, &fixture.camera, &options, &gradient);

    let n = fixture.cloud.len();
    let means = fixture.differences(n * 3, |g, _, i, step| g.means[i / 3][i % 3] += step);
    assert_gradients(&format!("means, {case}"), &flat(&ours.means), &means, OF_LARGEST);
    let quats = fixture.differences(n * 4, |g, _, i, step| g.quats[i / 4][i % 4] += step);
    assert_gradients(&format!("quats, {case}"), &flat(&ours.quats), &quats, OF_LARGEST);
    let scales = fixture.differences(n * 3, |g, _, i, step| g.log_scales[i / 3][i % 3] += step);
    assert_gradients(&format!("log_scales, {case}"), &flat(&ours.log_scales), &scales, OF_LARGEST);
    let logits = fixture.differences(n, |g, _, i, step| g.opacity_logits[i] += step);
    assert_gradients(&format!("opacity_logits, {case}"), &wide(&ours.opacity_logits), &logits, OF_LARGEST);
    let coeffs = fixture.cloud.sh_coeffs.len() * 3;
    let sh = fixture.differences(coeffs, |g, _, i, step| g.sh_coeffs[i / 3][i % 3] += step);
    assert_gradients(&format!("sh_coeffs, {case}"), &flat(&ours.sh_coeffs), &sh, OF_LARGEST);
    // Each band counts for itself: small ones must not hide behind the constant one.
    let per_gaussian = fixture.cloud.coeffs_per_gaussian();
    for k in 0..per_gaussian {
        let band = |all: &[f64]| -> Vec<f64> {
            all.chunks_exact(3).skip(k).step_by(per_gaussian).flatten().copied().collect()
        };
        assert_gradients(
            &format!("SH coefficient {k}, {case}"),
            &band(&flat(&ours.sh_coeffs)),
            &band(&sh),
            OF_LARGEST,
        );
    }
    let pose = fixture.differences(12, |_, view, i, step| view.cam_from_world[i] += step);
    assert_gradients(&format!("cam_from_world, {case}"), &ours.cam_from_world, &pose, OF_LARGEST);
}

/// The fixtures hold what their comments promise; without it the comparison above proves less.
#[test]
fn fixtures_reach_every_branch() {
    let fixture = Fixture::new(0, false);
    let (gaussians, view) = (Gaussians::from(&fixture.cloud), View::from(&fixture.camera));
    let splats = reference::project(&gaussians, &view, &fixture.options);
    assert!(splats.iter().all(Option::is_some), "a Gaussian of the fixture is culled");
    // Where the row's third covers a pixel and yet only two are blended, the pixel has ended.
    let row: Vec<_> = reference::sort(&splats[5..8]);
    let [three, third] = [&row[..], &row[2..]].map(|s| reference::rasterize(s, &view, &fixture.options));
    let ended =
        (0..three.alpha.len()).filter(|i| third.alpha[*i] > 0.5 && three.contributors[*i] == 2).count();
    assert!(ended >= 3, "only {ended} pixels end early");
    let capped = reference::rasterize(&[splats[4].expect("checked above")], &view, &fixture.options);
    assert!(capped.alpha.contains(&reference::ALPHA_MAX), "no alpha is capped");
    assert!(splats[8].is_some_and(|splat| splat.rgb[0] == 0.0), "no channel is clamped");
    let outside = splats[9].map(|splat| splat.mean2d.x).unwrap_or_default();
    assert!(outside > 43.0 + 0.3 * 43.0 / 2.0, "x = {outside} is not where the Jacobian is clamped");
    let alone = reference::rasterize(&[splats[9].expect("checked above")], &view, &fixture.options);
    assert!(alone.alpha.iter().any(|alpha| *alpha > 0.0), "the one outside does not reach in");
}
