//! `splat bench --dump-shaders`: writes the complete source of every kernel for this GPU.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use splat_core::gpu::{LaneSums, kernel_texts};
use splat_core::{Gpu, RendererKind, files};

use super::Context;
use crate::failure::Failure;

#[derive(Serialize)]
struct Report<'a> {
    folder: &'a Path,
    /// Invocations per tile, and how they sum.
    lanes: u32,
    lane_sums: LaneSums,
    files: usize,
}

/// Writes one file per kernel, and per optics with a different source; see [`splat_core::gpu::KernelText::name`].
pub(super) fn shaders(
    folder: &Path,
    renderer: RendererKind,
    gpu: &Gpu,
    context: &Context,
) -> Result<(), Failure> {
    files::make_dir(folder)?;
    let texts = kernel_texts(gpu, renderer);
    for kernel in &texts {
        let path = folder.join(format!("{}.wgsl", kernel.name));
        files::write_atomically(&path, |out| out.write_all(kernel.text.as_bytes()))?;
    }
    let report = Report { folder, lanes: gpu.lanes(), lane_sums: gpu.lane_sums(), files: texts.len() };
    let text = format!("{} files of WGSL are in `{}`", texts.len(), folder.display());
    context.reporter.result(&report, &text);
    Ok(())
}
