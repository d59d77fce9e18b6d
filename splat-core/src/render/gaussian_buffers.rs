//! A cloud of Gaussians in GPU memory.

use crate::gaussians::GaussianCloud;
use crate::gpu::Gpu;
use crate::gpu::layout::{GEOMETRY_BYTES, Gaussian};
use crate::{Error, Result};

/// Parameters of `count` Gaussians on the GPU.
///
/// Geometry is one buffer of `gpu::layout::Gaussian` records. The spherical harmonics are one `[N,K]` buffer per colour channel. Kernels
/// bind them in chunks (`render/chunks.rs`), so that a buffer may be larger than a binding.
#[derive(Clone, Debug)]
pub struct GaussianBuffers {
    pub(crate) count: u32,
    /// Number of Gaussians that the buffers hold; at least `count`. Training leaves room, so that few densifications need new buffers.
    pub(crate) room: u32,
    pub(crate) sh_degree: u32,
    pub(crate) geometry: wgpu::Buffer,
    pub(crate) sh: [wgpu::Buffer; 3],
}

/// Labels of the SH buffers, by channel.
pub(crate) const SH_LABELS: [&str; 3] = ["splat.sh_r", "splat.sh_g", "splat.sh_b"];

impl GaussianBuffers {
    /// Copies a cloud to the GPU.
    ///
    /// # Errors
    /// [`Error::Cloud`] if the cloud's vectors differ in length; [`Error::BindingTooLarge`] if it exceeds the device's limit for
    /// a buffer.
    pub fn upload(gpu: &Gpu, cloud: &GaussianCloud) -> Result<Self> {
        let n = cloud.len();
        let k = cloud.coeffs_per_gaussian();
        let lengths = [
            cloud.quats.len(),
            cloud.log_scales.len(),
            cloud.opacity_logits.len(),
            cloud.sh_coeffs.len() / k,
        ];
        if cloud.sh_degree > 3 || lengths.iter().any(|&len| len != n) || cloud.sh_coeffs.len() != n * k {
            return Err(Error::Cloud {
                why: format!(
                    "the lengths of its vectors differ: {n} means, and {lengths:?} quaternions, log-scales, opacities and SH sets"
                ),
            });
        }
        let count = u32::try_from(n).map_err(|_| Error::Cloud {
            why: format!("{n} Gaussians are more than can be numbered in 32 bits"),
        })?;
        let geometry = gpu.storage_in_parts_from("splat.geometry", &geometry_of(cloud))?;
        let mut planes = [0, 1, 2].map(|_| Vec::with_capacity(n * k));
        for rgb in &cloud.sh_coeffs {
            for (plane, value) in planes.iter_mut().zip(rgb) {
                plane.push(*value);
            }
        }
        let [r, g, b] = &planes;
        let [lr, lg, lb] = SH_LABELS;
        let sh = [
            gpu.storage_in_parts_from(lr, r)?,
            gpu.storage_in_parts_from(lg, g)?,
            gpu.storage_in_parts_from(lb, b)?,
        ];
        Ok(Self { count, room: count, sh_degree: cloud.sh_degree, geometry, sh })
    }

    /// `count` Gaussians whose parameters are all zero, in buffers that hold `room`.
    ///
    /// # Errors
    /// [`Error::BindingTooLarge`] beyond the device's limit for a buffer.
    pub(crate) fn zeroed(gpu: &Gpu, sh_degree: u32, count: u32, room: u32) -> Result<Self> {
        let n = u64::from(room);
        let sh_bytes = n * 4 * u64::from((sh_degree + 1).pow(2));
        let [r, g, b] = SH_LABELS;
        let sh = [
            gpu.storage_in_parts(r, sh_bytes)?,
            gpu.storage_in_parts(g, sh_bytes)?,
            gpu.storage_in_parts(b, sh_bytes)?,
        ];
        let geometry = gpu.storage_in_parts("splat.geometry", n * GEOMETRY_BYTES)?;
        Ok(Self { count, room, sh_degree, geometry, sh })
    }

    /// Sets the variance (world units squared) that is added to each Gaussian's axes when it is rendered, with its opacity reduced by
    /// the same factor as its volume grows: the 3-D smoothing filter of Mip-Splatting. Uploaded clouds have none.
    ///
    /// # Errors
    /// [`Error::Cloud`] if the number of floors differs from that of Gaussians; errors of the device.
    ///
    /// # Source
    /// Mip-Splatting (Yu et al. 2024), eq. 9.
    pub fn set_scale_floors(&self, gpu: &Gpu, floors: &[f32]) -> Result<()> {
        let n = self.count as usize;
        if floors.len() != n {
            return Err(Error::Cloud {
                why: format!("{n} Gaussians need as many scale floors, but {} were given", floors.len()),
            });
        }
        let mut geometry: Vec<Gaussian> = gpu.read(&self.geometry, n)?;
        for (gaussian, floor) in geometry.iter_mut().zip(floors) {
            gaussian.scale_floor = *floor;
        }
        gpu.queue().write_buffer(&self.geometry, 0, bytemuck::cast_slice(&geometry));
        Ok(())
    }

    /// Copies the cloud back to the host. Scale floors are applied to scales and opacities, so that it looks the same without them.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn download(&self, gpu: &Gpu) -> Result<GaussianCloud> {
        let n = self.count as usize;
        let k = self.sh_stride() as usize;
        let geometry: Vec<Gaussian> = gpu.read(&self.geometry, n)?;
        let [r, g, b] = &self.sh;
        let planes: [Vec<f32>; 3] = [gpu.read(r, n * k)?, gpu.read(g, n * k)?, gpu.read(b, n * k)?];
        let [r, g, b] = &planes;
        let mut cloud = cloud_of(&geometry, self.sh_degree);
        cloud.sh_coeffs = r.iter().zip(g).zip(b).map(|((r, g), b)| [*r, *g, *b]).collect();
        Ok(cloud)
    }

    /// Number of Gaussians.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Degree of the stored spherical harmonics.
    #[must_use]
    pub fn sh_degree(&self) -> u32 {
        self.sh_degree
    }

    /// Stored coefficients per channel.
    pub(crate) fn sh_stride(&self) -> u32 {
        (self.sh_degree + 1).pow(2)
    }

    /// Bytes per Gaussian, for the parameters only.
    pub(crate) fn bytes_per_gaussian(sh_degree: u32) -> u64 {
        GEOMETRY_BYTES + 12 * u64::from((sh_degree + 1).pow(2))
    }
}

/// The geometry records of a cloud.
pub(crate) fn geometry_of(cloud: &GaussianCloud) -> Vec<Gaussian> {
    let rows = cloud.means.iter().zip(&cloud.quats).zip(&cloud.log_scales).zip(&cloud.opacity_logits);
    rows.map(|(((&mean, &quat), &log_scale), &opacity_logit)| Gaussian {
        mean,
        opacity_logit,
        quat,
        log_scale,
        scale_floor: 0.0,
    })
    .collect()
}

/// A cloud from geometry records, without its colours.
pub(crate) fn cloud_of(geometry: &[Gaussian], sh_degree: u32) -> GaussianCloud {
    let mut cloud = GaussianCloud { sh_degree, ..GaussianCloud::default() };
    for gaussian in geometry {
        let (log_scale, logit) = with_floor(gaussian.log_scale, gaussian.opacity_logit, gaussian.scale_floor);
        cloud.means.push(gaussian.mean);
        cloud.opacity_logits.push(logit);
        cloud.quats.push(gaussian.quat);
        cloud.log_scales.push(log_scale);
    }
    cloud
}

/// Log-scales and opacity logit of a Gaussian with the variance `floor` added to its axes, as in `lib/floor.wgsl`.
fn with_floor(log_scale: [f32; 3], logit: f32, floor: f32) -> ([f32; 3], f32) {
    if floor <= 0.0 || floor.is_nan() {
        return (log_scale, logit);
    }
    let stored = log_scale.map(f64::from);
    let wider = stored.map(|s| 0.5 * ((2.0 * s).exp() + f64::from(floor)).ln());
    let log_share: f64 = stored.iter().zip(&wider).map(|(s, w)| s - w).sum();
    // opacity / (1 - opacity) of sigmoid(logit) * share.
    let opacity = log_share.exp() / (1.0 + (-f64::from(logit)).exp());
    let logit = (opacity / (1.0 - opacity)).ln().clamp(f64::from(f32::MIN), f64::from(f32::MAX));
    (wider.map(|w| w as f32), logit as f32)
}
