//! Shared by the GPU tests: one device, one set of kernels, small scenes.

use std::sync::OnceLock;

use splat_core::GaussianCloud;
use splat_core::camera::Camera;
use splat_core::gpu::{Gpu, GpuOptions};
use splat_core::render::{
    FrameGradient, FrameImage, GaussianBuffers, GaussianGradients, RenderOptions, Renderer, RendererKind,
};

/// A device with its kernels. No adapter is a failure: without a GPU, build with `--cfg no_gpu`.
pub(crate) struct Device {
    pub(crate) gpu: Gpu,
    pub(crate) renderer: Renderer,
    gut: OnceLock<Renderer>,
}

impl Device {
    /// The one that all tests use.
    pub(crate) fn shared() -> &'static Self {
        static DEVICE: OnceLock<Device> = OnceLock::new();
        DEVICE.get_or_init(|| Self::open(&GpuOptions::default()))
    }

    /// One of its own.
    pub(crate) fn open(options: &GpuOptions) -> Self {
        let gpu = Gpu::new(options).expect("a Vulkan, Metal or DX12 adapter is there");
        let renderer = Renderer::new(&gpu, RendererKind::Ewa).expect("the kernels compile");
        Self { gpu, renderer, gut: OnceLock::new() }
    }

    /// The kernels of 3DGUT, compiled when first asked for.
    pub(crate) fn gut(&self) -> &Renderer {
        let compile = || Renderer::new(&self.gpu, RendererKind::Gut).expect("the kernels compile");
        self.gut.get_or_init(compile)
    }

    pub(crate) fn draw(&self, cloud: &GaussianCloud, camera: &Camera, options: &RenderOptions) -> FrameImage {
        let buffers = GaussianBuffers::upload(&self.gpu, cloud).expect("the cloud fits the device");
        let frame = self.renderer.render(&buffers, camera, options).expect("the view renders");
        frame.read().expect("the frame comes back")
    }

    pub(crate) fn gradients(
        &self,
        cloud: &GaussianCloud,
        camera: &Camera,
        options: &RenderOptions,
        gradient: &FrameGradient<'_>,
    ) -> (FrameImage, GaussianGradients) {
        let buffers = GaussianBuffers::upload(&self.gpu, cloud).expect("the cloud fits the device");
        let frame = self.renderer.render(&buffers, camera, options).expect("the view renders");
        let image = frame.read().expect("the frame comes back");
        let gradients =
            self.renderer.backward(&buffers, &frame, gradient).expect("the gradients are computed");
        (image, gradients)
    }
}

/// Every row, flat and in f64.
pub(crate) fn flat<const W: usize>(rows: &[[f32; W]]) -> Vec<f64> {
    rows.iter().flatten().copied().map(f64::from).collect()
}

/// In f64.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// In f32.
pub(crate) fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

/// SplitMix64: a small seeded source of numbers, the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `low..high`.
    pub(crate) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn vector<const W: usize>(&mut self, low: f64, high: f64) -> [f32; W] {
        std::array::from_fn(|_| self.range(low, high) as f32)
    }
}
