//! The kernels' sources: which shared files each one stands on.

/// Switches that become constants in front of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Switches {
    /// Render expected depth and take its gradient.
    pub depth: bool,
    /// Sum the absolute image-plane gradients (AbsGS statistic).
    pub abs_gradient: bool,
    /// Gradient of the camera pose.
    pub pose: bool,
}

/// One kernel before compilation.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// File name without `.wgsl`.
    pub name: &'static str,
    /// Shared files it stands on, beside `lib/types.wgsl`.
    libs: &'static [Lib],
    body: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lib {
    Gaussian,
    Sh,
    Tiles,
    Counters,
    Blocks,
    Scan,
    Raster,
    Lanes,
    Window,
    Adam,
}

impl Lib {
    fn text(self, subgroups: bool) -> &'static str {
        match self {
            Self::Gaussian => include_str!("../../shaders/lib/gaussian.wgsl"),
            Self::Sh => include_str!("../../shaders/lib/sh.wgsl"),
            Self::Tiles => include_str!("../../shaders/lib/tiles.wgsl"),
            Self::Counters => include_str!("../../shaders/lib/counters.wgsl"),
            Self::Blocks => include_str!("../../shaders/lib/blocks.wgsl"),
            Self::Scan => include_str!("../../shaders/lib/scan.wgsl"),
            Self::Raster => include_str!("../../shaders/lib/raster.wgsl"),
            Self::Lanes if subgroups => include_str!("../../shaders/lib/lanes_subgroup.wgsl"),
            Self::Lanes => include_str!("../../shaders/lib/lanes_shared.wgsl"),
            Self::Window => include_str!("../../shaders/lib/window.wgsl"),
            Self::Adam => include_str!("../../shaders/lib/adam.wgsl"),
        }
    }
}

macro_rules! kernels {
    ($($constant:ident = $name:literal [$($lib:ident),*];)*) => {
        $(
            #[doc = concat!("`shaders/", $name, ".wgsl`.")]
            pub const $constant: Source = Source {
                name: $name,
                libs: &[$(Lib::$lib),*],
                body: include_str!(concat!("../../shaders/", $name, ".wgsl")),
            };
        )*
        /// Every kernel, in dispatch order.
        pub const ALL: &[Source] = &[$($constant),*];
    };
}

kernels! {
    PROJECT = "project" [Gaussian, Sh];
    SORT_COUNT = "sort_count" [Counters, Blocks];
    SCAN_REDUCE = "scan_reduce" [Counters, Blocks, Scan];
    SCAN_APPLY = "scan_apply" [Counters, Blocks, Scan];
    SORT_SCATTER = "sort_scatter" [Counters, Blocks];
    TILE_COUNT = "tile_count" [Tiles];
    ISECT_TOTAL = "isect_total" [Counters, Blocks];
    TILE_EMIT = "tile_emit" [Tiles];
    TILE_RANGES = "tile_ranges" [Counters];
    RASTERIZE = "rasterize" [Raster];
    SSIM_COLUMNS = "ssim_columns" [Window, Adam];
    SSIM_ROWS = "ssim_rows" [Window];
    LOSS_GRADIENT = "loss_gradient" [Window, Adam];
    LOSS_TOTAL = "loss_total" [Window, Adam, Counters];
    RASTERIZE_BACKWARD = "rasterize_backward" [Raster, Lanes];
    PROJECT_BACKWARD = "project_backward" [Gaussian];
    DIRECTION_BACKWARD = "direction_backward" [Gaussian, Sh];
    SH_GRADIENT = "sh_gradient" [Sh];
    ADAM_SH = "adam_sh" [Sh, Adam, Counters];
    ADAM_GEOMETRY = "adam_geometry" [Gaussian, Adam, Counters];
    GATHER = "gather" [];
}

impl Source {
    /// The whole WGSL text for an adapter with `lanes` invocations a group.
    #[must_use]
    pub fn text(&self, lanes: u32, subgroups: bool, switches: Switches) -> String {
        use super::layout::{TILE_HEIGHT, TILE_WIDTH};
        let Switches { depth, abs_gradient, pose } = switches;
        let mut text = format!(
            "const LANES: u32 = {lanes}u;\nconst TILE_WIDTH: u32 = {TILE_WIDTH}u;\n\
             const TILE_HEIGHT: u32 = {TILE_HEIGHT}u;\nconst WITH_DEPTH: bool = {depth};\n\
             const WITH_ABS: bool = {abs_gradient};\nconst WITH_POSE: bool = {pose};\n"
        );
        text += include_str!("../../shaders/lib/types.wgsl");
        for lib in self.libs {
            text += lib.text(subgroups);
        }
        text += self.body;
        text
    }
}
