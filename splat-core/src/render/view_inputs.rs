//! The kernels' inputs for a camera: uniforms, ray table, and the optics that select the kernels.

use std::sync::Arc;

use super::rays::{self, RayTables};
use crate::camera::{Camera, LensCamera};
use crate::gpu::Gpu;
use crate::gpu::layout::{LensUniform, ViewUniform};
use crate::gpu::shaders::{CameraModule, Optics};
use crate::lens::Lens;
use crate::render::{RendererKind, check_image_size};
use crate::{Error, Result};

/// The kernels' inputs for one view.
pub(crate) struct ViewInputs {
    /// Counts and modes are left to the caller.
    pub(crate) view: ViewUniform,
    pub(crate) lens: LensUniform,
    pub(crate) optics: Optics,
    pub(crate) table: Option<Arc<wgpu::Buffer>>,
    /// Poses of a rolling shutter's lines; empty for a global shutter.
    pub(crate) lines: Vec<[f32; 8]>,
}

impl ViewInputs {
    pub(crate) fn new(
        gpu: &Gpu,
        renderer: RendererKind,
        tables: &RayTables,
        camera: &LensCamera,
        background: [f32; 3],
    ) -> Result<Self> {
        let lens = &camera.lens;
        check_image_size(lens.width, lens.height)?;
        let intrinsics = lens.as_pinhole().unwrap_or_else(|| lens.nearest_pinhole());
        let pinhole = Camera { intrinsics, cam_from_world: camera.middle() };
        let mut view = ViewUniform::from_camera(&pinhole, background);
        let optics = optics_of(lens, camera.rolling_shutter.is_some())?;
        // A lens without distortion needs no table.
        if !optics.has_ray_table() {
            let lens = Lens::pinhole(intrinsics).try_projector()?.uniform();
            return Ok(Self { view, lens, optics, table: None, lines: Vec::new() });
        }
        if renderer == RendererKind::Ewa {
            return Err(needs_gut(lens, camera.rolling_shutter.is_some()));
        }
        let projector = lens.try_projector()?;
        let table = Some(tables.of(gpu, lens, &projector)?);
        let mut lines = Vec::new();
        if let Some(shutter) = &camera.rolling_shutter {
            let direction = shutter.direction;
            view.shutter = u32::from(direction.reads_columns()) + 2 * u32::from(direction.is_reversed());
            lines = rays::lines_of(shutter, lens.width, lens.height);
        }
        Ok(Self { view, lens: projector.uniform(), optics, table, lines })
    }
}

/// The optics of a view; a lens whose distortion is all zero counts as a pinhole.
pub(crate) fn optics_of(lens: &Lens, rolling: bool) -> Result<Optics> {
    let camera = match lens.as_pinhole() {
        Some(_) => CameraModule::Pinhole,
        None => lens.try_projector()?.module(),
    };
    Ok(Optics { camera, rolling })
}

/// The error for a view that EWA cannot render.
fn needs_gut(lens: &Lens, rolling: bool) -> Error {
    if rolling && lens.as_pinhole().is_some() {
        return Error::RollingNeedsGut;
    }
    Error::NeedsGut { model: lens.model.name() }
}
