//! Ray tables: the ray of every pixel of a lens, worked out in f64 on the host, once a camera and image size.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use glam::DVec2;
use rayon::prelude::*;

use crate::gpu::Gpu;
use crate::lens::{Lens, LensProjector};
use crate::{Error, Result};

/// Bytes of tables that are kept: 32 of 1600x1200 pixels. A dataset with more cameras works out the oldest again.
const KEPT_BYTES: u64 = 1 << 30;
/// Bytes a pixel.
pub(crate) const RAY_BYTES: u64 = 16;

/// The tables of the lenses used last.
#[derive(Debug, Default)]
pub(crate) struct RayTables {
    /// The latest last.
    kept: Mutex<Vec<(Lens, Arc<wgpu::Buffer>)>>,
    computed: AtomicU32,
}

impl RayTables {
    /// The table of a lens: its pixels' unit rays in camera space, x, y, z, and 1, or 0 where there is none.
    pub(crate) fn of(&self, gpu: &Gpu, lens: &Lens, projector: &LensProjector) -> Result<Arc<wgpu::Buffer>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = kept.iter().position(|(known, _)| known == lens) {
            let found = kept.remove(place);
            let table = Arc::clone(&found.1);
            kept.push(found);
            return Ok(table);
        }
        let table = Arc::new(gpu.storage_from("splat.ray_table", &rays_of(lens, projector))?);
        self.computed.fetch_add(1, Ordering::Relaxed);
        let mut bytes = table.size();
        let within = kept.iter().rev().take_while(|(_, other)| {
            bytes += other.size();
            bytes <= KEPT_BYTES
        });
        let forget = kept.len() - within.count();
        kept.drain(..forget);
        kept.push((lens.clone(), Arc::clone(&table)));
        Ok(table)
    }

    /// How many tables have been worked out.
    pub(crate) fn computed(&self) -> u32 {
        self.computed.load(Ordering::Relaxed)
    }
}

/// The rays of a lens, row by row.
fn rays_of(lens: &Lens, projector: &LensProjector) -> Vec<[f32; 4]> {
    let mut rays = vec![[0.0, 0.0, 1.0, 0.0]; lens.width as usize * lens.height as usize];
    rays.par_chunks_mut(lens.width.max(1) as usize).enumerate().for_each(|(row, line)| {
        for (column, entry) in line.iter_mut().enumerate() {
            let pixel = DVec2::new(column as f64 + 0.5, row as f64 + 0.5);
            if let Some(ray) = projector.unproject(pixel) {
                let [x, y, z] = ray.as_vec3().to_array();
                *entry = [x, y, z, 1.0];
            }
        }
    });
    rays
}

/// A lens made ready to project, or the reason why it cannot be.
pub(crate) fn projector_of(lens: &Lens) -> Result<LensProjector> {
    lens.validate()?;
    let what = "its parameters contradict each other".to_owned();
    lens.projector().ok_or(Error::InvalidLens { model: lens.model.name(), what })
}
