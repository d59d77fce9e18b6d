//! Ray tables: the ray of every pixel of a lens, computed in f64 on the host, once per camera and image size.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use glam::{DMat3, DQuat, DVec2, DVec3};
use rayon::prelude::*;

use super::ShutterGradients;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::layout::RAY_GRADIENT_FLOATS;
use crate::lens::{Lens, LensProjector};
use crate::shutter::RollingShutter;

/// Size of the cache in bytes: 32 tables of 1600x1200 pixels. A dataset with more cameras recomputes the oldest.
const KEPT_BYTES: u64 = 1 << 30;
/// Bytes per pixel.
pub(crate) const RAY_BYTES: u64 = 16;
/// Bytes per line of a rolling shutter: rotation and centre (`lib/rays_rolling.wgsl`).
pub(crate) const LINE_BYTES: u64 = 32;

/// The poses of a rolling shutter's lines, in the layout that kernels read.
pub(crate) fn lines_of(shutter: &RollingShutter, width: u32, height: u32) -> Vec<[f32; 8]> {
    let line = |(rotation, centre): (DQuat, DVec3)| {
        let [x, y, z, w] = rotation.as_quat().to_array();
        let [a, b, c] = centre.as_vec3().to_array();
        [x, y, z, w, a, b, c, 0.0]
    };
    shutter.lines(width, height).map(line).collect()
}

/// A cache of the most recently used lenses' tables.
#[derive(Debug, Default)]
pub(crate) struct RayTables {
    /// Most recently used last.
    kept: Mutex<Vec<(Lens, Arc<wgpu::Buffer>)>>,
    computed: AtomicU32,
}

impl RayTables {
    /// The table of a lens: per pixel a unit ray in camera space x, y, z, and 1, or 0 if the pixel has no ray.
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

    /// Number of tables computed so far.
    pub(crate) fn computed(&self) -> u32 {
        self.computed.load(Ordering::Relaxed)
    }
}

/// The rays of a lens, in row-major order.
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

/// The gradient with respect to a rolling shutter's poses, from that of every pixel's ray (direction and origin, in the space of the
/// camera in the middle of the exposure) and that of the middle pose's 12 entries (through depth and colour).
///
/// With `Q = R_m R^T` from a pixel's camera `(R, t)` to the middle one, the ray's direction is `Q d` and its origin `t_m - Q t`. The
/// middle pose cancels out, since Gaussians are transformed by it too.
pub(crate) fn shutter_gradients(
    shutter: &RollingShutter,
    lens: &LensProjector,
    [width, height]: [u32; 2],
    v_rays: &[f32],
    v_middle: &[f64; 12],
) -> ShutterGradients {
    let direction = shutter.direction;
    let lines = direction.lines(width, height);
    // Rotation and translation of each line's pose, by those of the two ends: `(rotation, translation)`.
    let mut motions = vec![(DVec3::ZERO, DVec3::ZERO); lines as usize];
    let poses: Vec<_> = shutter.lines(width, height).collect();
    for (index, v) in v_rays.chunks_exact(RAY_GRADIENT_FLOATS as usize).enumerate() {
        let (column, row) = (index % width.max(1) as usize, index / width.max(1) as usize);
        let line = if direction.reads_columns() { column } else { row };
        let place = DVec2::new(column as f64 + 0.5, row as f64 + 0.5);
        let (Some(ray), Some((middle_from_cam, _))) = (lens.unproject(place), poses.get(line)) else {
            continue;
        };
        let back = middle_from_cam.conjugate();
        let v_direction = back * DVec3::new(v[0].into(), v[1].into(), v[2].into());
        let v_origin = back * DVec3::new(v[3].into(), v[4].into(), v[5].into());
        let time = direction.time_of_line(line as f64, lines);
        let translation = shutter.pose_at(time).translation;
        motions[line].0 += v_direction.cross(ray) + translation.cross(v_origin);
        motions[line].1 -= v_origin;
    }
    let mut gradients = ShutterGradients::default();
    let mut add = |time: f64, turn: DVec3, shift: DVec3| {
        let [start, end] = shutter.turn_shares(time);
        let parts = [(&mut gradients.start, start, 1.0 - time), (&mut gradients.end, end, time)];
        for (sums, turns, share) in parts {
            let turn = turns.transpose() * turn;
            for (sum, value) in
                sums.iter_mut().zip(turn.to_array().into_iter().chain((share * shift).to_array()))
            {
                *sum += value;
            }
        }
    };
    for (line, (turn, shift)) in motions.into_iter().enumerate() {
        add(direction.time_of_line(line as f64, lines), turn, shift);
    }
    // d(R, t) = (w x R, v): a rotation of the middle pose does not change its translation.
    let rotation = DMat3::from_quat(shutter.middle().rotation);
    let by_axis = |axis: DVec3| -> f64 {
        let turned = |column: usize| axis.cross(rotation.col(column));
        (0..9).map(|i| v_middle[i / 3 * 4 + i % 3] * turned(i % 3)[i / 3]).sum()
    };
    let turn = DVec3::new(by_axis(DVec3::X), by_axis(DVec3::Y), by_axis(DVec3::Z));
    add(0.5, turn, DVec3::new(v_middle[3], v_middle[7], v_middle[11]));
    gradients
}
