//! The GPU's image and gradients against `garden_ref.npz`, within 3 times the error that the same
//! computation in f32 on a CPU was measured to have (README beside the file).

use splat_core::gaussians::SH_C0;
use splat_core::gpu::GpuOptions;
use splat_core::render::{FrameGradient, RenderOptions};
use splat_test_needs::needs;

use crate::fixtures::{Device, flat, narrow, wide};
use crate::garden_data::{Garden, Mode, relative_l2};

/// How much worse than plain f32 the kernels may be.
const SLACK: f64 = 3.0;

/// Measured relative L2 of f32 against f64: a few pixels flip at the thresholds.
const IMAGE_FLOOR: f64 = 1.2e-5;
const MEANS_FLOOR: f64 = 1.4e-4;
const QUATS_FLOOR: f64 = 1.0e-4;
const SCALES_FLOOR: f64 = 2.7e-4;
const OPACITIES_FLOOR: f64 = 4.8e-4;
const COLOURS_FLOOR: f64 = 7e-5;

#[needs("reference/garden_ref.npz")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn plain_colours_match() {
    check_mode(Mode::Rgb);
}

#[needs("reference/garden_ref.npz")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn spherical_harmonics_match() {
    check_mode(Mode::Sh);
}

#[needs("reference/garden_ref.npz")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn antialiased_matches() {
    check_mode(Mode::Aa);
}

/// The kernels for adapters without subgroups sum in another order, through workgroup memory.
#[needs("reference/garden_ref.npz")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn kernels_without_subgroups_match() {
    check(Mode::Sh, &Device::open(&GpuOptions { no_subgroups: true, ..GpuOptions::default() }));
}

/// Nor do those for adapters whose subgroups vary in size.
#[needs("reference/garden_ref.npz")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn kernels_for_varying_subgroups_match() {
    check(Mode::Sh, &Device::open(&GpuOptions { varying_subgroups: true, ..GpuOptions::default() }));
}

fn check_mode(mode: Mode) {
    check(mode, Device::shared());
}

fn check(mode: Mode, device: &Device) {
    let garden = Garden::load();
    let cloud = garden.cloud(mode);
    let options = RenderOptions {
        background: garden.background(mode).map(|channel| channel as f32),
        antialiased: mode.antialiased(),
        ..RenderOptions::default()
    };
    let mut image = Vec::new();
    let mut alpha = Vec::new();
    // Summed over the views, in the stored parameters.
    let (mut means, mut quats, mut log_scales) = (Sum::default(), Sum::default(), Sum::default());
    let (mut logits, mut sh) = (Sum::default(), Sum::default());
    for view in 0..garden.views() {
        let v_rgb = narrow(&garden.input("w_img").at(view).data);
        let v_alpha = narrow(&garden.input("w_alpha").at(view).data);
        let gradient = FrameGradient { v_rgb: &v_rgb, v_alpha: Some(&v_alpha), v_depth: None };
        let (frame, gradients) = device.gradients(&cloud, &garden.camera(view), &options, &gradient);
        image.extend(wide(&frame.rgb));
        alpha.extend(wide(&frame.alpha));
        means.add(flat(&gradients.means));
        quats.add(flat(&gradients.quats));
        log_scales.add(flat(&gradients.log_scales));
        logits.add(wide(&gradients.opacity_logits));
        sh.add(flat(&gradients.sh_coeffs));
    }

    // The reference differentiates the activated parameters: divide by the activations' derivatives.
    let scales = divided(&log_scales.0, &garden.input("scales").data);
    let sigmoid_slopes: Vec<f64> = garden.input("opacities").data.iter().map(|o| o * (1.0 - o)).collect();
    let opacities = divided(&logits.0, &sigmoid_slopes);
    let of = |name: &str| &garden.output(mode, name).data;
    let mut worst: Vec<String> = Vec::new();
    let mut compare = |what: &str, ours: &[f64], theirs: &[f64], floor: f64| {
        let error = relative_l2(ours, theirs);
        if error.is_nan() || error > SLACK * floor {
            worst.push(format!("{what}: relative error {error:.2e}, allowed {:.2e}", SLACK * floor));
        }
    };
    compare("image", &image, of("image"), IMAGE_FLOOR);
    compare("alpha", &alpha, of("alpha"), IMAGE_FLOOR);
    compare("means", &means.0, of("g_means"), MEANS_FLOOR);
    compare("quats", &quats.0, of("g_quats"), QUATS_FLOOR);
    compare("scales", &scales, of("g_scales"), SCALES_FLOOR);
    compare("opacities", &opacities, of("g_opacities"), OPACITIES_FLOOR);
    if mode == Mode::Sh {
        compare("sh", &sh.0, of("g_sh"), COLOURS_FLOOR);
    } else {
        let colours = divided(&sh.0, &vec![f64::from(SH_C0); sh.0.len()]);
        compare("colours", &colours, of("g_colors"), COLOURS_FLOOR);
    }
    assert!(worst.is_empty(), "{mode:?}:\n  {}", worst.join("\n  "));
}

/// A running element-wise sum.
#[derive(Default)]
struct Sum(Vec<f64>);

impl Sum {
    fn add(&mut self, values: Vec<f64>) {
        if self.0.is_empty() {
            self.0 = values;
            return;
        }
        assert_eq!(self.0.len(), values.len());
        for (sum, value) in self.0.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

fn divided(values: &[f64], by: &[f64]) -> Vec<f64> {
    assert_eq!(values.len(), by.len());
    values.iter().zip(by).map(|(value, by)| value / by).collect()
}
