//! The complete source of every kernel, as it is compiled for a device.

use super::Gpu;
use super::shaders::{self, CameraModule, Optics, Source, Switches};
use crate::renderer_kind::RendererKind;

/// A kernel's text for one camera family and kind of shutter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelText {
    /// `KERNEL` for a pinhole with a global shutter; `KERNEL.CAMERA` and `KERNEL.CAMERA.rolling` where other optics have a different
    /// text.
    pub name: String,
    /// WGSL: constants, shared files, then the kernel itself.
    pub text: String,
}

/// The kernels that a renderer runs on a device.
#[must_use]
pub fn kernel_texts(gpu: &Gpu, renderer: RendererKind) -> Vec<KernelText> {
    let own = |kernel: &&Source| renderer == RendererKind::Gut || !kernel.name.ends_with("_gut");
    shaders::ALL.iter().filter(own).flat_map(|kernel| texts_of(kernel, gpu, renderer)).collect()
}

fn texts_of(kernel: &Source, gpu: &Gpu, renderer: RendererKind) -> Vec<KernelText> {
    let switches = Switches { renderer, ..Switches::default() };
    let text = |optics| kernel.text(gpu.lanes(), gpu.lane_sums(), switches.for_optics(optics));
    let pinhole = text(Optics::default());
    let mut texts = vec![KernelText { name: kernel.name.to_owned(), text: pinhole.clone() }];
    if renderer == RendererKind::Ewa {
        return texts;
    }
    for camera in CameraModule::ALL {
        for rolling in [false, true] {
            let optics = Optics { camera, rolling };
            let text = text(optics);
            if optics == Optics::default() || code(&text) == code(&pinhole) {
                continue;
            }
            let camera = format!("{camera:?}").to_lowercase();
            let shutter = if rolling { ".rolling" } else { "" };
            texts.push(KernelText { name: format!("{}.{camera}{shutter}", kernel.name), text });
        }
    }
    texts
}

/// A kernel's code without comments and without unused constants (all kernels start with the same ones).
fn code(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect();
    let reads = |name: &str| lines.iter().filter(|line| line.contains(name)).count() > 1;
    let is_idle = |line: &str| {
        let name = line.strip_prefix("const ").and_then(|rest| rest.split(':').next());
        name.is_some_and(|name| !reads(name))
    };
    lines.iter().copied().filter(|line| !is_idle(line)).collect()
}
