//! Checkpoints: the complete state of a run, to resume it bit for bit.
//!
//! Layout, little-endian: magic, u32 length of a JSON header, the header, then the arrays that it describes:
//! geometry, SH by channel, first moments (geometry, SH), second moments, densify statistics and, in a run's last steps, the
//! mean of its states (geometry, SH).

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::frame::SceneFrame;
use super::optimizer::Moments;
use super::photos::Photos;
use super::poses::{Poses, SavedPoses};
use super::start::RunStart;
use super::trainer::Trainer;
use crate::camera::Camera;
use crate::dataset::Dataset;
use crate::gpu::Gpu;
use crate::gpu::layout::GEOMETRY_FLOATS;
use crate::render::GaussianBuffers;
use crate::{Error, Exposure, Result, files};

const MAGIC: &[u8; 8] = b"SPLATCK1";
const FORMAT: &str = "splat checkpoint";
/// A header is a few hundred bytes; more is not a checkpoint.
const MAX_HEADER_BYTES: u32 = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    config: TrainConfig,
    steps_done: u32,
    gaussians: u32,
    /// Maximum number of Gaussians: a resumed run keeps it, independent of the memory available then.
    cap: u32,
    sh_degree: u32,
    /// Coordinate frame of the arrays; world coordinates in files from before frames existed.
    #[serde(default = "world")]
    frame: SceneFrame,
    /// First step of the mean of the last states, if it has begun: its arrays are the last in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    averaged_from: Option<u32>,
    /// Steps between states that join that mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    averaged_stride: Option<u32>,
    /// Exposure of each view; absent if all are as bright as the scene.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exposures: Vec<Exposure>,
    /// The same in files from before vignettes: logarithms of the factors.
    #[serde(default, skip_serializing)]
    gains: Vec<[f64; 3]>,
    /// The views' refined poses; absent if poses are fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poses: Option<SavedPoses>,
    /// Names of the training views, to detect another dataset.
    train_views: Vec<String>,
    /// Fingerprint of the training cameras: photos of different scenes often have the same names.
    cameras: u64,
}

impl Trainer {
    /// Writes a checkpoint, atomically.
    ///
    /// # Errors
    /// [`Error::Write`], and errors of the device.
    pub fn save_checkpoint(&mut self, path: &Path) -> Result<()> {
        self.flush()?;
        let header = Header {
            config: self.config.clone(),
            steps_done: self.next_step,
            gaussians: self.gaussians.count,
            cap: self.cap,
            sh_degree: self.gaussians.sh_degree,
            frame: self.frame,
            averaged_from: self.average.begun().map(|(from, _)| from),
            averaged_stride: self.average.begun().map(|_| self.average.stride()),
            exposures: if self.differs_in_exposure() { self.exposures.clone() } else { Vec::new() },
            gains: Vec::new(),
            poses: self.poses.saved(),
            train_views: train_views(&self.photos.given),
            cameras: camera_fingerprint(&self.photos.given),
        };
        let json = serde_json::to_vec(&header).map_err(|e| malformed(path, e.to_string()))?;
        let mut arrays = Vec::new();
        for (buffer, words) in
            buffers(&self.gaussians, &self.moments, self.average.begun().map(|(_, mean)| mean))
        {
            arrays.push(self.gpu.read::<f32>(buffer, words)?);
        }
        files::write_atomically(path, |out| {
            out.write_all(MAGIC)?;
            out.write_all(&(json.len() as u32).to_le_bytes())?;
            out.write_all(&json)?;
            for array in &arrays {
                out.write_all(bytemuck::cast_slice(array))?;
            }
            Ok(())
        })
    }

    /// Resumes from a checkpoint, with the same bits as the run that wrote it.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Malformed`] for a file that is not a complete checkpoint, [`Error::Scene`] if the dataset is a
    /// different one, and errors of the device.
    pub fn resume(gpu: &Gpu, dataset: Arc<Dataset>, path: &Path) -> Result<Self> {
        let read_error = |source| Error::Read { path: path.to_path_buf(), source };
        let mut file = std::fs::File::open(path).map_err(read_error)?;
        let file_bytes = file.metadata().map_err(read_error)?.len();
        let mut start = [0; 12];
        let cut = |_| malformed(path, "it ends inside its header".into());
        file.read_exact(&mut start).map_err(cut)?;
        let length = u32::from_le_bytes([start[8], start[9], start[10], start[11]]);
        if &start[..8] != MAGIC || length > MAX_HEADER_BYTES {
            return Err(malformed(path, "it does not begin with the signature of one".into()));
        }
        let mut json = vec![0; length as usize];
        file.read_exact(&mut json).map_err(cut)?;
        let header: Header = serde_json::from_slice(&json).map_err(|e| malformed(path, e.to_string()))?;
        header.config.validate()?;
        if !header.frame.is_valid() {
            return Err(malformed(path, "its coordinate frame is not valid".into()));
        }
        let same_names = header.train_views == train_views(&dataset);
        if !same_names || header.cameras != camera_fingerprint(&dataset) {
            return Err(Error::Scene {
                why: format!(
                    "`{}` was trained on other views, or at another image size; resume with the dataset and the options \
                     it came from",
                    path.display()
                ),
            });
        }
        let n = u64::from(header.gaussians);
        let k = u64::from((header.sh_degree.min(3) + 1).pow(2));
        let clouds = if header.averaged_from.is_some() { 4 } else { 3 };
        let body = 4 * n * (clouds * (GEOMETRY_FLOATS as u64 + 3 * k) + 2);
        if header.sh_degree > 3 || file_bytes != 12 + u64::from(length) + body {
            let what = format!(
                "it has {file_bytes} bytes where {n} Gaussians need {}",
                12 + u64::from(length) + body
            );
            return Err(malformed(path, what));
        }
        let (count, degree) = (header.gaussians, header.sh_degree);
        let gaussians = GaussianBuffers::zeroed(gpu, degree, count, count)?;
        let moments = Moments::new(gpu, count, k as u32)?;
        let zeroed = |_| GaussianBuffers::zeroed(gpu, degree, count, count);
        let average = header.averaged_from.map(zeroed).transpose()?;
        for (buffer, words) in buffers(&gaussians, &moments, average.as_ref()) {
            let mut array = vec![0.0_f32; words];
            file.read_exact(bytemuck::cast_slice_mut(&mut array)).map_err(read_error)?;
            gpu.queue().write_buffer(buffer, 0, bytemuck::cast_slice(&array));
        }
        gpu.check()?;
        let photos = Photos::new(dataset, &header.config)?;
        let poses = Poses::resumed(&photos.given, header.frame, header.poses);
        let exposures = stored_exposures(header.exposures, &header.gains, photos.given.scene.views.len());
        let start = RunStart {
            photos,
            config: header.config,
            cap: header.cap,
            frame: header.frame,
            poses,
            exposures,
            gaussians,
            moments,
            steps_done: header.steps_done,
        };
        let mut trainer = Self::start(gpu, start)?;
        if let (Some(from), Some(mean)) = (header.averaged_from, average) {
            trainer.average.resume(from, header.averaged_stride, mean);
        }
        Ok(trainer)
    }
}

/// Every array of a run, in file order, with its length in words.
pub(super) fn buffers<'a>(
    gaussians: &'a GaussianBuffers,
    moments: &'a Moments,
    average: Option<&'a GaussianBuffers>,
) -> Vec<(&'a wgpu::Buffer, usize)> {
    let n = gaussians.count as usize;
    let sh_words = n * gaussians.sh_stride() as usize;
    let mut list = vec![(&gaussians.geometry, n * GEOMETRY_FLOATS)];
    list.extend(gaussians.sh.iter().map(|b| (b, sh_words)));
    for (geometry, sh) in moments.geometry.iter().zip(&moments.sh) {
        list.push((geometry, n * GEOMETRY_FLOATS));
        list.extend(sh.iter().map(|b| (b, sh_words)));
    }
    list.push((&moments.statistics, n * 2));
    if let Some(average) = average {
        list.push((&average.geometry, n * GEOMETRY_FLOATS));
        list.extend(average.sh.iter().map(|b| (b, sh_words)));
    }
    list
}

/// The exposures of a header: `gains` are those of files from before vignettes. Empty unless they are one per view, and valid.
fn stored_exposures(mut exposures: Vec<Exposure>, gains: &[[f64; 3]], views: usize) -> Vec<Exposure> {
    exposures.extend(gains.iter().map(|gain| Exposure { factors: gain.map(f64::exp), vignette: 0.0 }));
    if exposures.len() != views || !exposures.iter().all(Exposure::is_valid) {
        exposures.clear();
    }
    exposures
}

fn world() -> SceneFrame {
    SceneFrame::WORLD
}

fn train_views(dataset: &Dataset) -> Vec<String> {
    dataset.train.iter().filter_map(|&i| dataset.scene.views.get(i)).map(|v| v.name.clone()).collect()
}

/// FNV-1a (Fowler, Noll and Vo) over the training cameras' sizes, lenses and poses.
fn camera_fingerprint(dataset: &Dataset) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &view in &dataset.train {
        let Camera { intrinsics: k, cam_from_world: pose } = dataset.pinhole_camera(view);
        let numbers = [k.fx, k.fy, k.cx, k.cy, f64::from(k.width), f64::from(k.height)];
        let numbers = numbers.into_iter().chain(pose.rotation.to_array()).chain(pose.translation.to_array());
        // Including distortion, if the dataset keeps it.
        let lens = dataset.kept_lens(view);
        let model = lens.map(|lens| f64::from(lens.model.colmap_id()));
        let params = lens.map(|lens| lens.params.clone()).unwrap_or_default();
        let shutter = dataset.kept_shutter(view);
        let order = shutter.map(|shutter| f64::from(shutter.direction as u8));
        let ends = shutter.into_iter().flat_map(|shutter| [shutter.start, shutter.end]);
        let ends = ends.flat_map(|p| p.rotation.to_array().into_iter().chain(p.translation.to_array()));
        let numbers = numbers.chain(model).chain(params).chain(order).chain(ends);
        for byte in numbers.flat_map(f64::to_le_bytes) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

fn malformed(path: &Path, what: String) -> Error {
    Error::Malformed { path: path.to_path_buf(), format: FORMAT, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_of_files_from_before_vignettes_are_read() {
        let read = stored_exposures(Vec::new(), &[[0.0, 0.5, -0.5], [0.0; 3]], 2);
        let first = Exposure { factors: [1.0, 0.5_f64.exp(), (-0.5_f64).exp()], vignette: 0.0 };
        assert_eq!(read, [first, Exposure::default()]);
        let stored = vec![Exposure { factors: [0.9; 3], vignette: -0.2 }];
        assert_eq!(stored_exposures(stored.clone(), &[], 1), stored);
        assert_eq!(stored_exposures(stored, &[], 2), [], "of another number of views");
        assert_eq!(stored_exposures(Vec::new(), &[[f64::NAN; 3]], 1), [], "not finite");
    }
}
