//! A self-test of the kernels at startup, which detects drivers that compute wrong results.
//!
//! Sort and prefix sum are compared with the standard library, a tiny forward pass with its f64 twin, and its gradients with
//! central differences of that twin. Takes well under a second once drivers have compiled the kernels.

use glam::DVec3;

use crate::gaussians::GaussianCloud;
use crate::gpu::kernel::Part;
use crate::gpu::layout::Counters;
use crate::gpu::profile::Pass;
use crate::gpu::{Candidate, Gpu, GpuOptions};
use crate::random::Random;
use crate::reference;
use crate::render::sort::{Over, Scan, Sort, SortBuffers, SortKernels, SortScratch};
use crate::render::{FrameGradient, GaussianBuffers, RenderOptions, Renderer, RendererKind};
use crate::{Camera, Error, Pinhole, Pose, Result};

/// More than two blocks of a sort, and no multiple of a block.
const ELEMENTS: u32 = 2_777;
const GAUSSIANS: usize = 6;
/// Maximum difference of a colour between f32 and f64.
const COLOUR_TOLERANCE: f64 = 2e-4;
/// Maximum difference of a gradient, relative to the largest of its kind.
const GRADIENT_TOLERANCE: f64 = 5e-3;
/// Step of the central differences.
const NUDGE: f64 = 1e-5;

/// Runs the kernels on known input.
///
/// # Errors
/// [`Error::WrongResult`], which names the wrong stage; errors of the device.
pub fn run(gpu: &Gpu) -> Result<()> {
    sort_and_scan(gpu)?;
    forward_and_backward(gpu)
}

/// Opens the best adapter that passes [`run`]; `warn` is called for each adapter that failed, once another one works.
///
/// # Errors
/// [`Error::NoAdapter`] if none matches the options; if none works, the error of the best one.
pub fn open(options: &GpuOptions, warn: &mut dyn FnMut(String)) -> Result<Gpu> {
    let candidates = pollster::block_on(Gpu::candidates(options))?;
    let tested = |candidate: &Candidate| {
        let gpu = pollster::block_on(candidate.open())?;
        run(&gpu)?;
        Ok(gpu)
    };
    first_that_works(&candidates, Candidate::name, tested, warn)
}

fn first_that_works<C, T>(
    candidates: &[C],
    name: impl Fn(&C) -> String,
    mut open: impl FnMut(&C) -> Result<T>,
    warn: &mut dyn FnMut(String),
) -> Result<T> {
    let mut failed: Vec<(String, Error)> = Vec::new();
    for candidate in candidates {
        match open(candidate) {
            Ok(opened) => {
                for (passed_over, why) in failed {
                    warn(format!("`{passed_over}` is passed over for `{}`: {why}", name(candidate)));
                }
                return Ok(opened);
            }
            Err(error) => failed.push((name(candidate), error)),
        }
    }
    let none = || Error::NoAdapter { why: "no adapter was found".into() };
    Err(failed.into_iter().next().map_or_else(none, |(_, error)| error))
}

fn wrong(stage: &'static str, how: String) -> Error {
    Error::WrongResult { stage, how }
}

fn sort_and_scan(gpu: &Gpu) -> Result<()> {
    let mut random = Random::new(1, 0x7365_6c66, 0);
    let keys: Vec<u32> = (0..ELEMENTS).map(|_| random.next_u64() as u32 & 0xffff_0fff).collect();
    let values: Vec<u32> = (0..ELEMENTS).collect();
    let kernels = SortKernels::new(gpu);
    let counters = gpu.storage_from(
        "splat.self_test.counters",
        &[Counters { gaussians: ELEMENTS, ..Counters::default() }],
    )?;
    let bytes = u64::from(ELEMENTS) * 4;
    let buffers = SortBuffers {
        keys: [gpu.storage_from("splat.self_test.keys", &keys)?, gpu.storage("splat.self_test.keys", bytes)?],
        values: [
            gpu.storage_from("splat.self_test.ids", &values)?,
            gpu.storage("splat.self_test.ids", bytes)?,
        ],
    };
    let scratch = SortScratch::new(gpu, ELEMENTS)?;
    let counters = Part::from(&counters);
    let sort = Sort::new(gpu, &kernels, Over::Gaussians(ELEMENTS), counters, &buffers, &scratch, u32::BITS);
    let summed =
        gpu.storage_from("splat.self_test.summed", &keys.iter().map(|k| k >> 20).collect::<Vec<_>>())?;
    let sums = gpu.storage("splat.self_test.sums", bytes)?;
    let scan = Scan::new(gpu, &kernels, ELEMENTS, counters, [&summed, &sums], &scratch);
    gpu.submit("splat.self_test", |encoder| {
        let mut pass = Pass::begin(encoder, None);
        sort.record(&kernels, &mut pass, counters, Sort::pass_count(u32::BITS));
        scan.record(&kernels, &mut pass);
    });

    let count = ELEMENTS as usize;
    let mut expected: Vec<(u32, u32)> = keys.iter().copied().zip(values).collect();
    expected.sort_by_key(|(key, _)| *key);
    let sorted_keys: Vec<u32> = gpu.read(&buffers.keys[0], count)?;
    let sorted_values: Vec<u32> = gpu.read(&buffers.values[0], count)?;
    let sorted = sorted_keys.into_iter().zip(sorted_values);
    if let Some(at) = sorted.zip(&expected).position(|(have, want)| have != *want) {
        return Err(wrong("the radix sort", format!("place {at} of {count} holds the wrong element")));
    }
    let mut sum = 0;
    for (at, (have, key)) in gpu.read::<u32>(&sums, count)?.into_iter().zip(&keys).enumerate() {
        if have != sum {
            return Err(wrong(
                "the prefix sum",
                format!("sum {at} of {count} is {have} and should be {sum}"),
            ));
        }
        sum += key >> 20;
    }
    Ok(())
}

/// A few overlapping Gaussians in front of a small camera, covering more than one tile.
fn scene() -> (GaussianCloud, Camera) {
    let mut random = Random::new(7, 0x7363_656e, 0);
    let mut spread = |scale: f64| ((random.uniform() - 0.5) * scale) as f32;
    let mut cloud = GaussianCloud { sh_degree: 1, ..GaussianCloud::default() };
    for i in 0..GAUSSIANS {
        cloud.means.push([spread(1.6), spread(1.2), i as f32 * 0.2]);
        cloud.quats.push([1.0 + spread(0.5), spread(1.0), spread(1.0), spread(1.0)]);
        cloud.log_scales.push([-1.2 + spread(0.6), -1.2 + spread(0.6), -1.2 + spread(0.6)]);
        cloud.opacity_logits.push(spread(2.0));
        for _ in 0..4 {
            cloud.sh_coeffs.push([spread(0.5), spread(0.5), spread(0.5)]);
        }
    }
    let intrinsics = Pinhole { width: 41, height: 23, fx: 30.0, fy: 31.0, cx: 20.0, cy: 12.0 };
    let cam_from_world = Pose::look_at(DVec3::new(0.3, -0.2, -3.0), DVec3::ZERO, DVec3::Y);
    (cloud, Camera { intrinsics, cam_from_world })
}

fn forward_and_backward(gpu: &Gpu) -> Result<()> {
    let (cloud, camera) = scene();
    let twin = reference::Gaussians::from(&cloud);
    let view = reference::View::from(&camera);
    let options = reference::Options::default();
    let expected = reference::render(&twin, &view, &options);

    let renderer = Renderer::new(gpu, RendererKind::Ewa)?;
    let gaussians = GaussianBuffers::upload(gpu, &cloud)?;
    let frame = renderer.render(&gaussians, &camera, &RenderOptions::default())?;
    let image = frame.read()?;
    let off = image
        .rgb
        .iter()
        .zip(&expected.rgb)
        .map(|(have, want)| (f64::from(*have) - want).abs())
        // max() would ignore a NaN.
        .fold(0.0, |worst: f64, difference| if difference <= worst { worst } else { difference });
    if !(off <= COLOUR_TOLERANCE) {
        return Err(wrong("the forward pass", format!("a pixel is off by {off:.1e}")));
    }

    // Any smooth weights suffice: the loss is their product with the image.
    let weights: Vec<f32> = (0..image.rgb.len()).map(|i| (i as f32 * 0.37).sin()).collect();
    let gradient = FrameGradient { v_rgb: &weights, ..FrameGradient::default() };
    let gradients = renderer.backward(&gaussians, &frame, &gradient)?;
    let loss = |gaussians: &reference::Gaussians| -> f64 {
        let rgb = reference::render(gaussians, &view, &options).rgb;
        rgb.iter().zip(&weights).map(|(c, w)| c * f64::from(*w)).sum()
    };
    let difference = |nudge: &dyn Fn(&mut reference::Gaussians, f64)| {
        let [above, below] = [NUDGE, -NUDGE].map(|step| {
            let mut nudged = twin.clone();
            nudge(&mut nudged, step);
            loss(&nudged)
        });
        (above - below) / (2.0 * NUDGE)
    };
    let mut kinds: [(&'static str, Vec<(f64, f64)>); 4] =
        [("means", vec![]), ("quaternions", vec![]), ("scales", vec![]), ("opacities", vec![])];
    for i in 0..GAUSSIANS {
        for axis in 0..3 {
            kinds[0].1.push((gradients.means[i][axis].into(), difference(&|g, h| g.means[i][axis] += h)));
            kinds[2]
                .1
                .push((gradients.log_scales[i][axis].into(), difference(&|g, h| g.log_scales[i][axis] += h)));
        }
        for axis in 0..4 {
            kinds[1].1.push((gradients.quats[i][axis].into(), difference(&|g, h| g.quats[i][axis] += h)));
        }
        kinds[3].1.push((gradients.opacity_logits[i].into(), difference(&|g, h| g.opacity_logits[i] += h)));
    }
    for (kind, pairs) in kinds {
        let largest = pairs.iter().map(|(_, want)| want.abs()).fold(0.0, f64::max);
        let fits = |(have, want): &(f64, f64)| (have - want).abs() <= GRADIENT_TOLERANCE * largest;
        if largest == 0.0 || !pairs.iter().all(fits) {
            return Err(wrong("the backward pass", format!("the gradient of the {kind} is wrong")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn this_machine_passes_with_and_without_subgroups() -> Result<()> {
        for [no_subgroups, varying_subgroups] in [[false, false], [true, false], [false, true]] {
            let gpu = Gpu::new(&GpuOptions { no_subgroups, varying_subgroups, ..GpuOptions::default() })?;
            run(&gpu)?;
        }
        Ok(())
    }

    fn choose(works: &[bool]) -> (Result<usize>, Vec<String>) {
        let mut warnings = Vec::new();
        let candidates: Vec<usize> = (0..works.len()).collect();
        let open =
            |&at: &usize| if works[at] { Ok(at) } else { Err(wrong("the radix sort", format!("card {at}"))) };
        let chosen =
            first_that_works(&candidates, |at| format!("card {at}"), open, &mut |text| warnings.push(text));
        (chosen, warnings)
    }

    #[test]
    fn an_adapter_that_computes_wrongly_gives_way_with_a_warning() {
        let (chosen, warnings) = choose(&[false, false, true, true]);
        assert!(matches!(chosen, Ok(2)), "{chosen:?}");
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].contains("`card 0`") && warnings[0].contains("`card 2`"), "{warnings:?}");
        assert!(warnings[0].contains("the radix sort fails"), "{warnings:?}");
        let (chosen, warnings) = choose(&[true, false]);
        assert!(matches!(chosen, Ok(0)) && warnings.is_empty(), "{chosen:?} {warnings:?}");
    }

    #[test]
    fn where_none_works_the_best_ones_failure_is_told() {
        let (chosen, warnings) = choose(&[false, false]);
        assert!(chosen.is_err_and(|e| e.to_string().contains("card 0")) && warnings.is_empty());
        assert!(matches!(choose(&[]).0, Err(Error::NoAdapter { .. })));
    }
}
