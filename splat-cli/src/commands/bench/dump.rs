//! `splat bench --dump-shaders`: the text of every kernel as this GPU gets it.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use splat_core::gpu::shaders::{self, CameraModule, Optics, Switches};
use splat_core::{Gpu, RendererKind, files};

use super::Context;
use crate::failure::Failure;

#[derive(Serialize)]
struct Report<'a> {
    folder: &'a Path,
    /// Invocations that share a tile, and how they add up.
    lanes: u32,
    lane_sums: shaders::LaneSums,
    files: usize,
}

/// A kernel's code without comments and without the constants that nothing in it reads: every kernel is given all of them.
fn code(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect();
    let reads = |name: &str| lines.iter().filter(|line| line.contains(name)).count() > 1;
    let is_idle = |line: &str| {
        let name = line.strip_prefix("const ").and_then(|rest| rest.split(':').next());
        name.is_some_and(|name| !reads(name))
    };
    lines.iter().copied().filter(|line| !is_idle(line)).collect()
}

/// Writes `KERNEL.wgsl` for a pinhole with a global shutter, and `KERNEL.CAMERA.wgsl` and `KERNEL.CAMERA.rolling.wgsl` where other
/// optics take another text.
pub(super) fn shaders(
    folder: &Path,
    renderer: RendererKind,
    gpu: &Gpu,
    context: &Context,
) -> Result<(), Failure> {
    files::make_dir(folder)?;
    let switches = Switches { renderer, ..Switches::default() };
    let cameras = match renderer {
        RendererKind::Ewa => &[CameraModule::Pinhole][..],
        RendererKind::Gut => &CameraModule::ALL[..],
    };
    let other = if renderer == RendererKind::Ewa { "_gut" } else { "" };
    let mut count = 0;
    for kernel in shaders::ALL.iter().filter(|kernel| other.is_empty() || !kernel.name.ends_with(other)) {
        let text = |optics| kernel.text(gpu.lanes(), gpu.lane_sums(), switches.seen_by(optics));
        let pinhole = text(Optics::default());
        for &camera in cameras {
            for rolling in [false, true] {
                let optics = Optics { camera, rolling };
                let of_pinhole = optics == Optics::default();
                let text = text(optics);
                if (rolling && renderer == RendererKind::Ewa)
                    || (!of_pinhole && code(&text) == code(&pinhole))
                {
                    continue;
                }
                let optics = if of_pinhole { String::new() } else { format!(".{camera:?}").to_lowercase() };
                let shutter = if rolling { ".rolling" } else { "" };
                let path = folder.join(format!("{}{optics}{shutter}.wgsl", kernel.name));
                files::write_atomically(&path, |out| out.write_all(text.as_bytes()))?;
                count += 1;
            }
        }
    }
    let report = Report { folder, lanes: gpu.lanes(), lane_sums: gpu.lane_sums(), files: count };
    let text = format!("{count} files of WGSL are in `{}`", folder.display());
    context.reporter.result(&report, &text);
    Ok(())
}
