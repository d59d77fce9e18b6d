//! Projection of points through a lens on the GPU.

use bytemuck::Zeroable;

use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{LensUniform, ViewUniform};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};
use crate::lens::Lens;

/// Projects camera-space points with the kernels' implementation of the camera model; `None` if the lens does not map the point.
/// [`Lens::project`] does the same in f64.
///
/// # Errors
/// [`crate::Error::InvalidLens`], and errors of the device.
pub fn project_points(gpu: &Gpu, lens: &Lens, points: &[[f32; 3]]) -> Result<Vec<Option<[f32; 2]>>> {
    let projector = lens.try_projector()?;
    let switches = Switches { camera: projector.module(), ..Switches::default() };
    let kernel = Kernel::new(gpu, shaders::PROJECT_POINTS, switches, &[]);
    let count = points.len() as u32;
    let image_size = [lens.width, lens.height];
    let view = ViewUniform { gaussian_count: count, image_size, ..ViewUniform::zeroed() };
    let view_buffer = gpu.uniform::<ViewUniform>("splat.points.view");
    gpu.queue().write_buffer(&view_buffer, 0, bytemuck::bytes_of(&view));
    let lens_buffer = gpu.uniform::<LensUniform>("splat.points.lens");
    gpu.queue().write_buffer(&lens_buffer, 0, bytemuck::bytes_of(&projector.uniform()));
    let padded: Vec<[f32; 4]> = points.iter().map(|&[x, y, z]| [x, y, z, 0.0]).collect();
    let from = gpu.storage_from("splat.points.in", &padded)?;
    let to = gpu.storage("splat.points.out", u64::from(count) * 16)?;
    let bindings = kernel.bind(gpu, &[&view_buffer, &lens_buffer, &from, &to]);
    gpu.submit("splat.project_points", |encoder| {
        let mut pass = Pass::begin(encoder, None);
        kernel.dispatch_items(&mut pass, &bindings, count);
    });
    let pixels: Vec<[f32; 4]> = gpu.read(&to, points.len())?;
    Ok(pixels.iter().map(|&[x, y, seen, _]| (seen > 0.0).then_some([x, y])).collect())
}
