//! Custom losses: a reimplementation of the built-in one trains to the same bits, on the host and on the GPU, also where a step is
//! run again because its buffers were too small.

use std::cell::Cell;
use std::sync::Arc;

use splat_core::train::{ImageLoss, StepBuffers, StepView, Strategy, TrainConfig, Trainer};
use splat_core::{Error, Exposure, FrameImage, GaussianCloud, wgpu};

use crate::fixtures::Device;
use crate::trainer::{bits, config, run_to, tiny, trainer};

const STEPS: u32 = 25;

/// Trained on L1 alone: what [`l1`] works out.
fn l1_config() -> TrainConfig {
    TrainConfig { steps: STEPS, ssim_weight: 0.0, ..config(Strategy::Mcmc) }
}

fn l1(frame: &FrameImage, view: &StepView) -> ImageLoss {
    let weight = 1.0 / frame.rgb.len() as f32;
    let gains = view.exposure.factors.map(|factor| factor as f32);
    let off = frame.rgb.iter().zip(view.photo.to_rgb_f32()).zip(gains.iter().cycle());
    let off: Vec<(f32, f32)> = off.map(|((own, photo), gain)| (gain * own - photo, *gain)).collect();
    ImageLoss {
        loss: off.iter().map(|(off, _)| off.abs()).sum::<f32>() * weight,
        v_rgb: off
            .iter()
            .map(|(off, gain)| if *off == 0.0 { 0.0 } else { gain * off.signum() * weight })
            .collect(),
        v_alpha: None,
    }
}

/// [`l1`] as a kernel; the photo's size comes with it.
struct L1Kernel {
    pipeline: wgpu::ComputePipeline,
    sizes: wgpu::Buffer,
}

impl L1Kernel {
    const TEXT: &str = "
        @group(0) @binding(0) var<storage, read> frame: array<vec4f>;
        @group(0) @binding(1) var<storage, read> photo: array<u32>;
        @group(0) @binding(2) var<storage, read_write> v_frame: array<vec4f>;
        @group(0) @binding(3) var<storage, read_write> loss: array<f32>;
        @group(0) @binding(4) var<storage, read> pixels: array<u32>;

        @compute @workgroup_size(1)
        fn main() {
            let weight = 1.0 / f32(pixels[0] * 3u);
            var sum = 0.0;
            for (var i = 0u; i < pixels[0]; i += 1u) {
                let off = frame[i].rgb - unpack4x8unorm(photo[i]).rgb;
                v_frame[i] = vec4f(sign(off) * weight, 0.0);
                sum += dot(abs(off), vec3f(1.0));
            }
            loss[0] = sum * weight;
        }";

    fn new() -> Self {
        let gpu = &Device::shared().gpu;
        let module = gpu.device().create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(Self::TEXT.into()),
        });
        let pipeline = gpu.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Self { pipeline, sizes: gpu.storage("test.pixels", 4).expect("a small buffer") }
    }

    fn record(&self, encoder: &mut wgpu::CommandEncoder, buffers: &StepBuffers<'_>) {
        let gpu = &Device::shared().gpu;
        assert_eq!(buffers.view.exposure, Exposure::default(), "the kernel knows no exposure");
        let pixels = buffers.view.photo.width * buffers.view.photo.height;
        gpu.queue().write_buffer(&self.sizes, 0, &pixels.to_le_bytes());
        let bound = [buffers.frame, buffers.photo, buffers.v_frame, buffers.loss, &self.sizes];
        let entries: Vec<_> = (0u32..)
            .zip(bound)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let bindings = gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
}

fn cloud_of(mut trainer: Trainer) -> GaussianCloud {
    trainer.cloud().expect("the cloud comes back")
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_built_in_loss_written_again_trains_to_the_same_bits() {
    let (_dir, dataset) = tiny();
    let mut built_in = trainer(&dataset, l1_config());
    let losses: Vec<f32> = (0..STEPS)
        .map(|_| {
            built_in.step().expect("a step");
            built_in.flush().expect("it ends");
            built_in.latest_loss()
        })
        .collect();
    let (mut on_host, mut on_gpu) = (trainer(&dataset, l1_config()), trainer(&dataset, l1_config()));
    let kernel = L1Kernel::new();
    for wanted in losses {
        let host = on_host.step_with(l1).expect("a step").loss;
        let gpu = on_gpu
            .step_with_buffers(|encoder, buffers| kernel.record(encoder, buffers))
            .expect("a step")
            .loss;
        assert!((host - wanted).abs() < 1e-5 && (gpu - wanted).abs() < 1e-5, "{wanted}: {host} {gpu}");
    }
    let wanted = cloud_of(built_in);
    assert_ne!(wanted.len(), 576, "nothing was densified");
    assert!(bits(&cloud_of(on_host)) == bits(&wanted), "on the host it went elsewhere");
    assert!(bits(&cloud_of(on_gpu)) == bits(&wanted), "on the GPU it went elsewhere");
}

/// Steps with and without a loss of one's own take turns, the latter left in flight.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn losses_take_turns() {
    let (_dir, dataset) = tiny();
    let wanted = {
        let mut built_in = trainer(&dataset, l1_config());
        run_to(&mut built_in, STEPS);
        cloud_of(built_in)
    };
    let mut mixed = trainer(&dataset, l1_config());
    while mixed.steps_done() < STEPS {
        let report = if mixed.steps_done() % 3 == 2 { mixed.step_with(l1) } else { mixed.step() };
        assert_eq!(report.expect("a step").step, mixed.steps_done());
    }
    assert!(bits(&cloud_of(mixed)) == bits(&wanted));
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_step_that_found_no_room_is_run_again_with_its_own_loss() {
    let (_dir, dataset) = tiny();
    // So many Gaussians, each on all twelve tiles, are more intersections than the first buffers hold.
    let count = 8000;
    let cloud = GaussianCloud {
        means: (0..count).map(|i| [0.0, 1e-4 * i as f32, 0.0]).collect(),
        quats: vec![[1.0, 0.0, 0.0, 0.0]; count],
        log_scales: vec![[1.0; 3]; count],
        opacity_logits: vec![-3.0; count],
        sh_coeffs: vec![[0.1; 3]; count],
        sh_degree: 0,
    };
    let start = || {
        let config =
            TrainConfig { sh_degree: 0, max_gaussians: Some(count as u32), exposure: false, ..l1_config() };
        Trainer::from_scene(&Device::shared().gpu, Arc::clone(&dataset), config, cloud.clone(), [0.0; 3])
            .expect("training starts")
    };
    let mut built_in = start();
    run_to(&mut built_in, 2);
    let wanted = cloud_of(built_in);

    let kernel = L1Kernel::new();
    let calls = Cell::new(0);
    let mut on_gpu = start();
    for _ in 0..2 {
        let record = |encoder: &mut wgpu::CommandEncoder, buffers: &StepBuffers<'_>| {
            calls.set(calls.get() + 1);
            kernel.record(encoder, buffers);
        };
        on_gpu.step_with_buffers(record).expect("a step");
    }
    assert_eq!(calls.get(), 3, "no step was run again");
    assert!(bits(&cloud_of(on_gpu)) == bits(&wanted), "on the GPU it went elsewhere");

    calls.set(0);
    let mut on_host = start();
    for _ in 0..2 {
        let counted = |frame: &FrameImage, view: &StepView| {
            calls.set(calls.get() + 1);
            l1(frame, view)
        };
        on_host.step_with(counted).expect("a step");
    }
    assert_eq!(calls.get(), 2, "the loss is computed once per step");
    assert!(bits(&cloud_of(on_host)) == bits(&wanted), "on the host it went elsewhere");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_gradient_of_another_size_is_refused_and_costs_no_step() {
    let (_dir, dataset) = tiny();
    let mut trainer = trainer(&dataset, l1_config());
    let short = trainer.step_with(|_, _| ImageLoss { v_rgb: vec![0.0; 5], ..ImageLoss::default() });
    assert!(matches!(short, Err(Error::ImageSize { .. })), "{short:?}");
    let alpha = trainer.step_with(|frame, view| ImageLoss { v_alpha: Some(vec![0.0; 5]), ..l1(frame, view) });
    assert!(matches!(alpha, Err(Error::ImageSize { .. })), "{alpha:?}");
    assert_eq!(trainer.steps_done(), 0);
    run_to(&mut trainer, STEPS);
    let mut other = crate::trainer::trainer(&dataset, l1_config());
    run_to(&mut other, STEPS);
    assert!(bits(&cloud_of(trainer)) == bits(&cloud_of(other)));
}
