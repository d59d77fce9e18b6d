//! The adapter, the device and what both can do.
//!
//! Start at [`Gpu::new`]. Kernels are in [`kernel`], their sources in [`shaders`], the memory that host
//! and kernels share in [`layout`].

pub mod buffers;
mod choice;
pub mod kernel;
pub mod layout;
pub(crate) mod profile;
pub mod shaders;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use choice::{Backend, Candidate};
pub use shaders::LaneSums;

use crate::{Error, Result};

/// Invocations per workgroup where subgroups are missing or vary in size: the size that AMD and Intel prefer for a group of 32.
const FALLBACK_LANES: u32 = 32;
/// The largest subgroup that the tile kernels are laid out for.
const MAX_LANES: u32 = 64;

/// How to choose and open an adapter.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Part of the adapter's name, any case; also `SPLAT_ADAPTER`. Default: the fastest kind found.
    pub adapter_name: Option<String>,
    /// Only adapters by this interface; also `SPLAT_BACKEND`. Default: for the same card Vulkan or Metal before DX12.
    pub backend: Option<Backend>,
    /// Bounds and loop checks inside the kernels (slow, for finding bugs); also `SPLAT_SHADER_CHECKS=1`.
    pub shader_checks: bool,
    /// Use the kernels for adapters without subgroups; also `SPLAT_NO_SUBGROUPS=1`.
    pub no_subgroups: bool,
    /// Use the kernels for adapters whose subgroups vary in size (AMD, Intel); also `SPLAT_VARYING_SUBGROUPS=1`. For tests:
    /// such adapters get them anyway.
    pub varying_subgroups: bool,
}

/// What an adapter is and what it allows.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AdapterReport {
    /// Name as the driver gives it.
    pub name: String,
    /// Driver.
    pub driver: String,
    /// Driver version.
    pub driver_info: String,
    /// Vulkan, Metal or Dx12.
    pub backend: String,
    /// `Cpu` for software Vulkan.
    pub device_type: String,
    /// Smallest subgroup.
    pub subgroup_min: u32,
    /// Largest subgroup.
    pub subgroup_max: u32,
    /// How the tile kernels add up over the invocations of a tile.
    pub lane_sums: LaneSums,
    /// Invocations that share a tile.
    pub lanes: u32,
    /// Largest storage binding.
    pub max_binding_bytes: u64,
    /// Largest buffer.
    pub max_buffer_bytes: u64,
    /// Whether kernels can be timed.
    pub timestamps: bool,
}

impl AdapterReport {
    /// Whether the processor plays the GPU.
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
    fault: Arc<Mutex<Option<Fault>>>,
    /// The most bytes allocated at a time since [`Gpu::watch_memory`], if that was called.
    peak_bytes: Arc<OnceLock<AtomicU64>>,
    usage: Arc<Usage>,
}

/// How often the host asked for memory or waited, since the device was opened; see [`Gpu::usage`].
#[derive(Debug, Default)]
struct Usage {
    buffers: AtomicU64,
    waits: AtomicU64,
}

#[derive(Clone, Debug)]
enum Fault {
    Lost(String),
    OutOfMemory(String),
    Internal(String),
}

fn env_flag(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.is_empty() && value != "0")
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    // Indirect counts are computed by our own kernels, within limits; checking them costs a pass each.
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    wgpu::Instance::new(descriptor)
}

/// What an adapter is, and the features that it is opened with.
fn report(adapter: &wgpu::Adapter, options: &GpuOptions) -> (AdapterReport, wgpu::Features) {
    let info = adapter.get_info();
    let mut features = adapter.features()
        & (wgpu::Features::SUBGROUP
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);
    let (min, max) = (info.subgroup_min_size, info.subgroup_max_size);
    let fixed_size = min == max && max.is_power_of_two() && (4..=MAX_LANES).contains(&max);
    let unwanted = options.no_subgroups || env_flag("SPLAT_NO_SUBGROUPS");
    let varying = !fixed_size || options.varying_subgroups || env_flag("SPLAT_VARYING_SUBGROUPS");
    let lane_sums = match (features.contains(wgpu::Features::SUBGROUP) && !unwanted, varying) {
        (false, _) => LaneSums::Shared,
        (true, true) => LaneSums::Varying,
        (true, false) => LaneSums::Subgroup,
    };
    if !lane_sums.uses_subgroups() {
        features.remove(wgpu::Features::SUBGROUP);
    }
    let available = adapter.limits();
    let report = AdapterReport {
        name: info.name,
        driver: info.driver,
        driver_info: info.driver_info,
        backend: info.backend.to_string(),
        device_type: format!("{:?}", info.device_type),
        subgroup_min: min,
        subgroup_max: max,
        lane_sums,
        lanes: if lane_sums == LaneSums::Subgroup { max } else { FALLBACK_LANES },
        max_binding_bytes: available.max_storage_buffer_binding_size,
        max_buffer_bytes: available.max_buffer_size,
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
    };
    (report, features)
}

impl Gpu {
    /// Opens the adapter that the options name, or the fastest kind there is: the first of [`Gpu::candidates`].
    /// [`crate::self_test::open`] also looks whether it computes correctly, and takes the next one if not.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when there is none, or none that fits.
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

    /// What [`Gpu::new`] would open, without opening it.
    ///
    /// # Errors
    /// As [`Gpu::candidates`].
    pub fn describe(options: &GpuOptions) -> Result<AdapterReport> {
        let candidates = pollster::block_on(Self::candidates(options))?;
        Ok(candidates[0].report())
    }

    async fn open(adapter: &wgpu::Adapter, options: &GpuOptions) -> Result<Self> {
        let (report, features) = report(adapter, options);
        let available = adapter.limits();
        let limits = wgpu::Limits {
            max_buffer_size: available.max_buffer_size,
            max_storage_buffer_binding_size: available.max_storage_buffer_binding_size,
            ..wgpu::Limits::default()
        };
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("splat"),
                required_features: features,
                required_limits: limits,
                ..wgpu::DeviceDescriptor::default()
            })
            .await
            .map_err(|e| Error::NoAdapter { why: format!("`{}` could not be opened: {e}", report.name) })?;
        let fault = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&fault);
        device.set_device_lost_callback(move |_reason, message| {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Fault::Lost(message));
        });
        let slot = Arc::clone(&fault);
        device.on_uncaptured_error(Arc::new(move |error| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            // The first fault is the cause; what follows are its consequences.
            slot.get_or_insert(match error {
                wgpu::Error::OutOfMemory { source } => Fault::OutOfMemory(source.to_string()),
                other => Fault::Internal(other.to_string()),
            });
        }));
        let shader_checks = options.shader_checks || env_flag("SPLAT_SHADER_CHECKS");
        Ok(Self {
            device,
            queue,
            report,
            shader_checks,
            fault,
            peak_bytes: Arc::default(),
            usage: Arc::default(),
        })
    }

    /// What the adapter is.
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

    /// Invocations that share a tile.
    #[must_use]
    pub fn lanes(&self) -> u32 {
        self.report.lanes
    }

    /// How those invocations add up.
    #[must_use]
    pub fn lane_sums(&self) -> LaneSums {
        self.report.lane_sums
    }

    /// Whether kernels check their indices.
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
        // SAFETY: the text is one of our own kernels, which pass naga's validation, guard every index by the
        // counts that the buffers were sized for, and have no loop without a bound. The test suite runs all
        // of them with the checks on as well.
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

    /// Waits until everything submitted has run.
    ///
    /// # Errors
    /// What the device reported since the last call, as [`Error::DeviceLost`], [`Error::OutOfGpuMemory`]
    /// or [`Error::Gpu`].
    pub fn wait(&self) -> Result<()> {
        self.poll(wgpu::PollType::wait_indefinitely())
    }

    /// As [`Gpu::wait`], but until one submission has run.
    pub(crate) fn wait_for(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })
    }

    fn poll(&self, until: wgpu::PollType) -> Result<()> {
        self.usage.waits.fetch_add(1, Ordering::Relaxed);
        let polled = self.device.poll(until);
        self.check()?;
        polled.map(|_| ()).map_err(|e| Error::DeviceLost { why: e.to_string() })
    }

    /// Buffers created and waits for the device since it was opened: what costs a step time on the host.
    #[doc(hidden)]
    #[must_use]
    pub fn usage(&self) -> (u64, u64) {
        (self.usage.buffers.load(Ordering::Relaxed), self.usage.waits.load(Ordering::Relaxed))
    }

    /// The first thing that went wrong on the device, if anything did.
    ///
    /// # Errors
    /// As [`Gpu::wait`].
    pub fn check(&self) -> Result<()> {
        match self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(Fault::Lost(why)) => Err(Error::DeviceLost { why }),
            Some(Fault::OutOfMemory(why)) => Err(Error::OutOfGpuMemory { why }),
            Some(Fault::Internal(why)) => Err(Error::Gpu { why }),
        }
    }
}
