//! Adapters, devices and their capabilities.
//!
//! Start at [`Gpu::new`]. Kernels are in `kernel`, their sources in `shaders`, the memory that host and kernels share in
//! `layout`; the latter two are public with the feature `testing`.

mod buffers;
mod choice;
mod descriptors;
mod faults;
pub(crate) mod kernel;
#[cfg(feature = "testing")]
pub mod layout;
#[cfg(not(feature = "testing"))]
#[allow(unreachable_pub, dead_code, reason = "public with the feature `testing`")]
pub(crate) mod layout;
pub(crate) mod pool;
pub(crate) mod profile;
pub mod rates;
#[cfg(feature = "testing")]
pub mod shaders;
#[cfg(not(feature = "testing"))]
#[allow(unreachable_pub, dead_code, reason = "public with the feature `testing`")]
pub(crate) mod shaders;
mod texts;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub use choice::{Backend, Candidate};
pub use descriptors::GpuDescriptors;
pub use shaders::LaneSums;
pub use texts::{KernelText, kernel_texts};

use crate::{Error, Result};
use faults::Faults;

/// Invocations per tile if subgroups are missing or vary in size; AMD and Intel compile workgroups of 32 to one subgroup by preference.
const FALLBACK_LANES: u32 = 32;
/// The largest subgroup that the tile kernels support.
const MAX_LANES: u32 = 64;

/// How to choose and open an adapter.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Part of the adapter's name, in any case; also `SPLAT_ADAPTER`. Default: the fastest kind found.
    pub adapter_name: Option<String>,
    /// Only adapters of this backend; also `SPLAT_BACKEND`. Default: for the same card Vulkan or Metal before DX12.
    pub backend: Option<Backend>,
    /// Compile kernels with bounds and loop checks (slow, for debugging); also `SPLAT_SHADER_CHECKS=1`.
    pub shader_checks: bool,
    /// Use the kernels for adapters without subgroups; also `SPLAT_NO_SUBGROUPS=1`.
    pub no_subgroups: bool,
    /// Use the kernels for adapters whose subgroups vary in size (AMD, Intel); also `SPLAT_VARYING_SUBGROUPS=1`. For tests:
    /// those adapters use them in any case.
    pub varying_subgroups: bool,
}

/// Properties and limits of an adapter.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AdapterReport {
    /// Name reported by the driver.
    pub name: String,
    /// Name of the driver.
    pub driver: String,
    /// Version of the driver.
    pub driver_info: String,
    /// Vulkan, Metal or Dx12.
    pub backend: String,
    /// `Cpu` for software Vulkan.
    pub device_type: String,
    /// Smallest subgroup, in invocations.
    pub subgroup_min: u32,
    /// Largest subgroup, in invocations.
    pub subgroup_max: u32,
    /// How the tile kernels sum over the invocations of a tile.
    pub lane_sums: LaneSums,
    /// Invocations per tile.
    pub lanes: u32,
    /// Largest storage binding, bytes.
    pub max_binding_bytes: u64,
    /// Largest buffer, bytes.
    pub max_buffer_bytes: u64,
    /// Whether the device supports timestamp queries, which time kernels.
    pub timestamps: bool,
}

impl AdapterReport {
    /// Whether this is a software renderer on the CPU.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.device_type == "Cpu"
    }
}

/// An open device. Clones share it.
#[derive(Clone, Debug)]
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    report: AdapterReport,
    shader_checks: bool,
    faults: Faults,
    /// Peak of allocated bytes since `Gpu::watch_memory`, if that was called.
    peak_bytes: Arc<OnceLock<AtomicU64>>,
    usage: Arc<Usage>,
    kernels: Arc<kernel::Cache>,
    /// Where storage buffers come from, if there is a fitting one; see [`Gpu::with_pool`].
    pool: Option<pool::Pool>,
}

/// Buffers created and waits since the device was opened; see [`Gpu::usage`].
#[derive(Debug, Default)]
struct Usage {
    buffers: AtomicU64,
    waits: AtomicU64,
}

fn env_flag(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.is_empty() && value != "0")
}

/// How tile kernels sum on a device with these features.
fn lane_sums(info: &wgpu::AdapterInfo, features: wgpu::Features, options: &GpuOptions) -> LaneSums {
    let (min, max) = (info.subgroup_min_size, info.subgroup_max_size);
    let fixed_size = min == max && max.is_power_of_two() && (4..=MAX_LANES).contains(&max);
    let unwanted = options.no_subgroups || env_flag("SPLAT_NO_SUBGROUPS");
    let varying = !fixed_size || options.varying_subgroups || env_flag("SPLAT_VARYING_SUBGROUPS");
    match (features.contains(wgpu::Features::SUBGROUP) && !unwanted, varying) {
        (false, _) => LaneSums::Shared,
        (true, true) => LaneSums::Varying,
        (true, false) => LaneSums::Subgroup,
    }
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    // Indirect counts are computed by our own kernels and within limits; wgpu's validation of them would cost a pass each.
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    wgpu::Instance::new(descriptor)
}

/// Properties of an adapter, restricted to a device with these features and limits.
fn report(
    info: &wgpu::AdapterInfo,
    features: wgpu::Features,
    limits: &wgpu::Limits,
    options: &GpuOptions,
) -> AdapterReport {
    let lane_sums = lane_sums(info, features, options);
    AdapterReport {
        name: info.name.clone(),
        driver: info.driver.clone(),
        driver_info: info.driver_info.clone(),
        backend: info.backend.to_string(),
        device_type: format!("{:?}", info.device_type),
        subgroup_min: info.subgroup_min_size,
        subgroup_max: info.subgroup_max_size,
        lane_sums,
        lanes: if lane_sums == LaneSums::Subgroup { info.subgroup_max_size } else { FALLBACK_LANES },
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
    }
}

impl Gpu {
    /// Opens the adapter that the options select, or the fastest kind found: the first of [`Gpu::candidates`].
    /// [`crate::self_test::open`] also checks that it computes correctly, and falls back to the next one.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if no adapter was found or none matches.
    pub fn new(options: &GpuOptions) -> Result<Self> {
        pollster::block_on(Self::new_async(options))
    }

    /// As [`Gpu::new`], for callers that run an executor.
    ///
    /// # Errors
    /// As [`Gpu::new`].
    pub async fn new_async(options: &GpuOptions) -> Result<Self> {
        let candidates = Self::candidates(options).await?;
        candidates[0].open().await
    }

    /// Every adapter that [`Gpu::new`] could open, by name and backend.
    #[must_use]
    pub fn adapters() -> Vec<(String, String)> {
        let found = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()));
        found.iter().map(|a| a.get_info()).map(|info| (info.name, info.backend.to_string())).collect()
    }

    /// The adapter that [`Gpu::new`] would open, without opening it.
    ///
    /// # Errors
    /// As [`Gpu::candidates`].
    pub fn describe(options: &GpuOptions) -> Result<AdapterReport> {
        let candidates = pollster::block_on(Self::candidates(options))?;
        Ok(candidates[0].report())
    }

    async fn open(adapter: &wgpu::Adapter, options: &GpuOptions) -> Result<Self> {
        let info = adapter.get_info();
        let mut features = Self::wanted_features(adapter);
        if !lane_sums(&info, features, options).uses_subgroups() {
            features.remove(wgpu::Features::SUBGROUP);
        }
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("splat"),
                required_features: features,
                required_limits: Self::wanted_limits(adapter),
                ..wgpu::DeviceDescriptor::default()
            })
            .await
            .map_err(|e| Error::NoAdapter { why: format!("`{}` could not be opened: {e}", info.name) })?;
        let gpu = Self::on(&info, device, queue, options);
        gpu.faults.listen(&gpu.device);
        Ok(gpu)
    }

    /// Minimum limits of a device: WebGPU's defaults. Larger buffers and bindings allow larger scenes.
    pub const REQUIRED_LIMITS: wgpu::Limits = wgpu::Limits::defaults();

    /// Features that are used if the device has them: subgroup operations make kernels faster, timestamps time them.
    pub const OPTIONAL_FEATURES: wgpu::Features = wgpu::Features::SUBGROUP
        .union(wgpu::Features::TIMESTAMP_QUERY)
        .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);

    /// Features to request in addition to the program's own: those of [`Gpu::OPTIONAL_FEATURES`] that the adapter supports.
    #[must_use]
    pub fn wanted_features(adapter: &wgpu::Adapter) -> wgpu::Features {
        adapter.features() & Self::OPTIONAL_FEATURES
    }

    /// The limits to request of an adapter: [`Gpu::REQUIRED_LIMITS`] with the largest buffers that it supports.
    #[must_use]
    pub fn wanted_limits(adapter: &wgpu::Adapter) -> wgpu::Limits {
        let available = adapter.limits();
        wgpu::Limits {
            max_buffer_size: available.max_buffer_size,
            max_storage_buffer_binding_size: available.max_storage_buffer_binding_size,
            ..Self::REQUIRED_LIMITS
        }
    }

    /// Uses a device that the program has opened, so that its textures and buffers can be shared. Request the device with
    /// [`Gpu::wanted_features`] and [`Gpu::wanted_limits`].
    ///
    /// Errors of the device go to the program's own handlers (`on_uncaptured_error`, `set_device_lost_callback`), which are left in
    /// place; [`Gpu::check`] does not report them.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if the device's limits are below [`Gpu::REQUIRED_LIMITS`].
    pub fn from_device(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        let info = adapter.get_info();
        let mut lacks = Vec::new();
        Self::REQUIRED_LIMITS.check_limits_with_fail_fn(&device.limits(), false, |name, needed, has| {
            lacks.push(format!("{name} is {has} and has to be {needed}"));
        });
        if !lacks.is_empty() {
            let why = format!(
                "the device given on `{}` is too small ({}); request it with `Gpu::wanted_limits`",
                info.name,
                lacks.join(", ")
            );
            return Err(Error::NoAdapter { why });
        }
        Ok(Self::on(&info, device, queue, &GpuOptions::default()))
    }

    fn on(info: &wgpu::AdapterInfo, device: wgpu::Device, queue: wgpu::Queue, options: &GpuOptions) -> Self {
        let report = report(info, device.features(), &device.limits(), options);
        Self {
            device,
            queue,
            report,
            shader_checks: options.shader_checks || env_flag("SPLAT_SHADER_CHECKS"),
            faults: Faults::default(),
            peak_bytes: Arc::default(),
            usage: Arc::default(),
            kernels: Arc::default(),
            pool: None,
        }
    }

    /// Properties of the adapter.
    #[must_use]
    pub fn report(&self) -> &AdapterReport {
        &self.report
    }

    /// The wgpu device, for callers that share buffers with it.
    #[must_use]
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The wgpu queue.
    #[must_use]
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Invocations per tile.
    #[must_use]
    pub fn lanes(&self) -> u32 {
        self.report.lanes
    }

    /// How tile kernels sum over the invocations of a tile.
    #[must_use]
    pub fn lane_sums(&self) -> LaneSums {
        self.report.lane_sums
    }

    /// Whether kernels are compiled with bounds checks.
    #[must_use]
    pub fn has_shader_checks(&self) -> bool {
        self.shader_checks
    }

    #[expect(unsafe_code, reason = "kernels without injected checks are 1.2 to 3 times as fast")]
    pub(crate) fn shader_module(&self, label: &str, text: &str) -> wgpu::ShaderModule {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        };
        if self.shader_checks {
            return self.device.create_shader_module(descriptor);
        }
        // SAFETY: the text is one of our own kernels. They pass naga's validation, check every index against the
        // counts that the buffers were sized for, and have only bounded loops. The test suite also runs all of them
        // with the checks enabled.
        unsafe {
            self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
        }
    }

    /// Records commands and submits them.
    pub(crate) fn submit(&self, label: &str, record: impl FnOnce(&mut wgpu::CommandEncoder)) {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some(label) };
        let mut encoder = self.device.create_command_encoder(&descriptor);
        record(&mut encoder);
        self.queue.submit([encoder.finish()]);
    }

    /// Waits until all submitted work has completed.
    ///
    /// # Errors
    /// Errors of the device since the last call, as [`Error::DeviceLost`], [`Error::OutOfGpuMemory`]
    /// or [`Error::Gpu`].
    pub fn wait(&self) -> Result<()> {
        self.poll(wgpu::PollType::wait_indefinitely())
    }

    /// As [`Gpu::wait`], for one submission.
    pub(crate) fn wait_for(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })
    }

    fn poll(&self, until: wgpu::PollType) -> Result<()> {
        self.usage.waits.fetch_add(1, Ordering::Relaxed);
        let polled = self.device.poll(until);
        self.check()?;
        polled.map(|_| ()).map_err(|e| Error::DeviceLost { why: e.to_string() })
    }

    /// Number of buffers created and of waits for the device since it was opened.
    #[doc(hidden)]
    #[must_use]
    pub fn usage(&self) -> (u64, u64) {
        (self.usage.buffers.load(Ordering::Relaxed), self.usage.waits.load(Ordering::Relaxed))
    }

    /// Returns the first error of the device that this clone has not returned yet. Every clone returns each error once, and the loss
    /// of the device every time.
    ///
    /// # Errors
    /// As [`Gpu::wait`].
    pub fn check(&self) -> Result<()> {
        self.faults.check()
    }
}
