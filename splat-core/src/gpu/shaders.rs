//! The kernels' sources, and which shared files each one includes.

use super::layout::{SLOT_FLOATS_EWA, SLOT_FLOATS_GUT, SLOT_FLOATS_ROLLING};
pub use crate::lens::CameraModule;
use crate::renderer_kind::RendererKind;

/// The WGSL module of a family of camera models.
const fn camera_text(camera: CameraModule) -> &'static str {
    match camera {
        CameraModule::Pinhole => include_str!("../../shaders/lib/camera_pinhole.wgsl"),
        CameraModule::Perspective => include_str!("../../shaders/lib/camera_perspective.wgsl"),
        CameraModule::Fisheye => include_str!("../../shaders/lib/camera_fisheye.wgsl"),
        CameraModule::Fov => include_str!("../../shaders/lib/camera_fov.wgsl"),
        CameraModule::Division => include_str!("../../shaders/lib/camera_division.wgsl"),
        CameraModule::Eucm => include_str!("../../shaders/lib/camera_eucm.wgsl"),
        CameraModule::Sphere => include_str!("../../shaders/lib/camera_sphere.wgsl"),
    }
}

/// How the invocations of a tile sum their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneSums {
    /// Through workgroup memory: the device has no subgroup operations.
    Shared,
    /// By subgroup operations, and through workgroup memory if the workgroup consists of several subgroups: their size varies.
    Varying,
    /// By subgroup operations alone: a group is one subgroup.
    Subgroup,
}

impl LaneSums {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Shared, Self::Varying, Self::Subgroup];

    /// Whether kernels need the device's subgroup operations.
    #[must_use]
    pub const fn uses_subgroups(self) -> bool {
        !matches!(self, Self::Shared)
    }
}

/// The variant of a kernel: determines the constants before its source, and the forms of the shared files that it includes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Switches {
    /// Render expected depth and compute its gradient.
    pub depth: bool,
    /// Sum the absolute image-plane gradients (AbsGS statistic).
    pub abs_gradient: bool,
    /// Gradient of the camera pose.
    pub pose: bool,
    /// How Gaussians are projected and evaluated.
    pub renderer: RendererKind,
    /// The family of camera models; EWA supports the pinhole only.
    pub camera: CameraModule,
    /// Whether the shutter rolls, so that every line of pixels has its own pose; never with EWA.
    pub rolling: bool,
    /// Whether a view's Gaussians are blended in several depth slices (`lib/counters.wgsl`) instead of all at once.
    pub sliced: bool,
}

impl Switches {
    /// The same variant for other optics.
    #[must_use]
    pub const fn for_optics(self, optics: Optics) -> Self {
        Self { camera: optics.camera, rolling: optics.rolling, ..self }
    }

    /// Whether rays come from a table instead of from pixels.
    #[must_use]
    pub const fn has_ray_table(self) -> bool {
        Optics { camera: self.camera, rolling: self.rolling }.has_ray_table()
    }

    /// Floats of an intersection's gradient sums.
    #[must_use]
    pub const fn slot_floats(self) -> u64 {
        match self.renderer {
            _ if self.rolling => SLOT_FLOATS_ROLLING,
            RendererKind::Ewa => SLOT_FLOATS_EWA,
            RendererKind::Gut => SLOT_FLOATS_GUT,
        }
    }
}

/// The camera family and kind of shutter of a view, by which kernels differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Optics {
    /// The family of camera models.
    pub camera: CameraModule,
    /// Whether the shutter rolls.
    pub rolling: bool,
}

impl Optics {
    /// Number of different values.
    pub const COUNT: usize = 2 * CameraModule::ALL.len();

    /// A distinct number below [`Optics::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        2 * self.camera as usize + self.rolling as usize
    }

    /// Whether rays come from a table instead of from pixels.
    #[must_use]
    pub const fn has_ray_table(self) -> bool {
        self.rolling || !matches!(self.camera, CameraModule::Pinhole)
    }
}

/// One kernel before compilation.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// File name without `.wgsl`.
    pub name: &'static str,
    /// Shared files that it includes besides `lib/types.wgsl`.
    libs: &'static [Lib],
    body: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lib {
    Rotation,
    Floor,
    Gaussian,
    RayQuadric,
    Splat,
    Slot,
    Lens,
    Camera,
    Sh,
    Tiles,
    Extent,
    Counters,
    Chunk,
    Blocks,
    Elements,
    Scan,
    Raster,
    Ratio,
    Response,
    Blend,
    Unblend,
    Rays,
    RayGradient,
    Shutter,
    QuadricGradient,
    QuadricSums,
    Lanes,
    Window,
    Adam,
    ShStep,
}

/// Smallest subgroup for which the forms made for GPUs are used. `lib/lanes_scatter.wgsl` is a reduce-scatter, which makes
/// rasterize_backward 2.7 times as fast on an H100; `adam_sh_lines.wgsl` coalesces memory accesses. Software drivers have smaller
/// subgroups, slow exchanges and nothing to gain from coalescing.
pub(crate) const GPU_LANES: u32 = 32;

impl Lib {
    fn text(self, lanes: u32, sums: LaneSums, switches: Switches) -> &'static str {
        let gut = switches.renderer == RendererKind::Gut;
        match self {
            Self::Rotation => include_str!("../../shaders/lib/rotation.wgsl"),
            Self::Floor => include_str!("../../shaders/lib/floor.wgsl"),
            Self::RayQuadric => include_str!("../../shaders/lib/ray_quadric.wgsl"),
            Self::Lens => include_str!("../../shaders/lib/lens.wgsl"),
            Self::Camera => camera_text(switches.camera),
            Self::Gaussian => include_str!("../../shaders/lib/gaussian.wgsl"),
            Self::Splat if gut => include_str!("../../shaders/lib/splat_gut.wgsl"),
            Self::Splat => include_str!("../../shaders/lib/splat_ewa.wgsl"),
            Self::Slot if switches.rolling => include_str!("../../shaders/lib/slot_rolling.wgsl"),
            Self::Slot if gut => include_str!("../../shaders/lib/slot_gut.wgsl"),
            Self::Slot => include_str!("../../shaders/lib/slot_ewa.wgsl"),
            Self::Sh => include_str!("../../shaders/lib/sh.wgsl"),
            Self::Tiles | Self::Extent if gut && switches.has_ray_table() => match self {
                // The box form computes the extent itself.
                Self::Extent => "",
                _ => include_str!("../../shaders/lib/tiles_box.wgsl"),
            },
            Self::Tiles => include_str!("../../shaders/lib/tiles_ellipse.wgsl"),
            Self::Extent if gut => include_str!("../../shaders/lib/extent_gut.wgsl"),
            Self::Extent => include_str!("../../shaders/lib/extent_ewa.wgsl"),
            Self::Counters => include_str!("../../shaders/lib/counters.wgsl"),
            Self::Chunk => include_str!("../../shaders/lib/chunk.wgsl"),
            Self::Blocks => include_str!("../../shaders/lib/blocks.wgsl"),
            Self::Elements => include_str!("../../shaders/lib/elements.wgsl"),
            Self::Scan => include_str!("../../shaders/lib/scan.wgsl"),
            Self::Raster => include_str!("../../shaders/lib/raster.wgsl"),
            // The response of EWA is a Gaussian of the pixel's offset, not a ratio.
            Self::Ratio if !gut => "",
            Self::Ratio => include_str!("../../shaders/lib/ratio.wgsl"),
            Self::Response if switches.rolling => include_str!("../../shaders/lib/response_rolling.wgsl"),
            Self::Response if gut => include_str!("../../shaders/lib/response_gut.wgsl"),
            Self::Response => include_str!("../../shaders/lib/response_ewa.wgsl"),
            Self::Blend if switches.sliced => include_str!("../../shaders/lib/blend_sliced.wgsl"),
            Self::Blend => include_str!("../../shaders/lib/blend_whole.wgsl"),
            Self::Unblend if switches.sliced => include_str!("../../shaders/lib/unblend_sliced.wgsl"),
            Self::Unblend => include_str!("../../shaders/lib/unblend_whole.wgsl"),
            // Only 3DGUT evaluates rays.
            Self::Rays if !gut => "",
            Self::Rays if switches.rolling => include_str!("../../shaders/lib/rays_rolling.wgsl"),
            Self::Rays if switches.has_ray_table() => {
                include_str!("../../shaders/lib/rays_table.wgsl")
            }
            Self::Rays => include_str!("../../shaders/lib/rays_pixel.wgsl"),
            Self::RayGradient if switches.rolling => {
                include_str!("../../shaders/lib/ray_gradient_rolling.wgsl")
            }
            Self::RayGradient => include_str!("../../shaders/lib/ray_gradient_none.wgsl"),
            Self::Shutter if switches.rolling => include_str!("../../shaders/lib/shutter_rolling.wgsl"),
            Self::Shutter => include_str!("../../shaders/lib/shutter_global.wgsl"),
            Self::QuadricGradient => include_str!("../../shaders/lib/ray_quadric_gradient.wgsl"),
            Self::QuadricSums if switches.rolling => {
                include_str!("../../shaders/lib/ray_quadric_gradient_rolling.wgsl")
            }
            Self::QuadricSums => include_str!("../../shaders/lib/ray_quadric_gradient_global.wgsl"),
            Self::Lanes => match sums {
                LaneSums::Shared => include_str!("../../shaders/lib/lanes_shared.wgsl"),
                LaneSums::Varying => include_str!("../../shaders/lib/lanes_varying.wgsl"),
                LaneSums::Subgroup if lanes >= GPU_LANES => {
                    include_str!("../../shaders/lib/lanes_scatter.wgsl")
                }
                LaneSums::Subgroup => include_str!("../../shaders/lib/lanes_subgroup.wgsl"),
            },
            Self::Window => include_str!("../../shaders/lib/window.wgsl"),
            Self::Adam => include_str!("../../shaders/lib/adam.wgsl"),
            Self::ShStep => include_str!("../../shaders/lib/sh_step.wgsl"),
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
    PROJECT = "project" [Rotation, Floor, Gaussian, Splat, Sh, Chunk];
    PROJECT_GUT = "project_gut" [Rotation, Floor, RayQuadric, Splat, Lens, Camera, Shutter, Sh, Chunk];
    SORT_COUNT = "sort_count" [Counters, Blocks, Elements];
    SCAN_REDUCE = "scan_reduce" [Counters, Blocks, Elements, Scan];
    SCAN_APPLY = "scan_apply" [Counters, Blocks, Elements, Scan];
    SORT_SCATTER = "sort_scatter" [Counters, Blocks, Elements];
    TILE_COUNT = "tile_count" [Splat, Tiles, Extent, Chunk];
    ISECT_TOTAL = "isect_total" [Counters, Blocks, Chunk];
    SLICE_SPLATS = "slice_splats" [Splat, Counters, Chunk];
    TILE_EMIT = "tile_emit" [Splat, Tiles, Extent, Counters];
    TILE_RANGES = "tile_ranges" [Counters];
    RASTERIZE = "rasterize" [Counters, Splat, Slot, Raster, Ratio, Response, Blend, Rays];
    SSIM_COLUMNS = "ssim_columns" [Window, Adam];
    SSIM_ROWS = "ssim_rows" [Window];
    LOSS_GRADIENT = "loss_gradient" [Window, Adam];
    LOSS_TOTAL = "loss_total" [Window, Adam, Counters];
    RASTERIZE_BACKWARD = "rasterize_backward"
        [Counters, Splat, Slot, Raster, Ratio, Response, Unblend, Rays, RayGradient, Lanes];
    PROJECT_BACKWARD = "project_backward" [Rotation, Floor, Gaussian, Splat, Slot, Counters, Chunk];
    PROJECT_BACKWARD_GUT = "project_backward_gut"
        [Rotation, Floor, RayQuadric, Splat, Slot, QuadricGradient, QuadricSums, Counters, Chunk];
    DIRECTION_BACKWARD = "direction_backward" [Rotation, Sh, Chunk];
    POSE_TOTAL = "pose_total" [Chunk];
    SH_GRADIENT = "sh_gradient" [Sh, Chunk];
    ADAM_SH = "adam_sh" [Sh, Adam, Counters, ShStep, Chunk];
    ADAM_SH_LINES = "adam_sh_lines" [Sh, Adam, Counters, ShStep, Chunk];
    ADAM_GEOMETRY = "adam_geometry" [Rotation, Adam, Counters, Chunk];
    GATHER = "gather" [];
    SCATTER = "scatter" [];
    AVERAGE = "average" [Adam, Counters];
    PHOTO_LIMITS = "photo_limits" [RayQuadric, Lens, Camera];
    PROJECT_POINTS = "project_points" [RayQuadric, Lens, Camera];
    MULTIPLY_ADD = "multiply_add" [];
    COPY = "copy" [];
    BEST_TWO = "best_two" [];
}

/// `shaders/draw/present.wgsl`, with a vertex and a fragment stage.
pub const PRESENT: Source =
    Source { name: "present", libs: &[Lib::Counters], body: include_str!("../../shaders/draw/present.wgsl") };

impl Source {
    /// Switches with the renderer that the kernel belongs to, if it belongs to one.
    fn possible(&self, switches: Switches) -> Switches {
        let renderer = if self.libs.contains(&Lib::Gaussian) {
            RendererKind::Ewa
        } else if self.libs.contains(&Lib::RayQuadric) {
            RendererKind::Gut
        } else {
            switches.renderer
        };
        match renderer {
            RendererKind::Ewa => Switches { renderer, ..switches }.for_optics(Optics::default()),
            RendererKind::Gut => Switches { renderer, ..switches },
        }
    }

    /// The complete WGSL text for `lanes` invocations per tile.
    #[must_use]
    pub fn text(&self, lanes: u32, sums: LaneSums, switches: Switches) -> String {
        use super::layout::{TILE_HEIGHT, TILE_WIDTH};
        let switches = self.possible(switches);
        let Switches { depth, abs_gradient, pose, renderer: _, camera, rolling, sliced: _ } = switches;
        let slot_floats = switches.slot_floats();
        let (ray_table, distance) = (switches.has_ray_table(), camera.depth_is_distance());
        let mut text = format!(
            "const LANES: u32 = {lanes}u;\nconst TILE_WIDTH: u32 = {TILE_WIDTH}u;\n\
             const TILE_HEIGHT: u32 = {TILE_HEIGHT}u;\nconst WITH_DEPTH: bool = {depth};\n\
             const WITH_ABS: bool = {abs_gradient};\nconst WITH_POSE: bool = {pose};\n\
             const SLOT_FLOATS: u32 = {slot_floats}u;\n\
             const RAY_TABLE: bool = {ray_table};\nconst DEPTH_IS_DISTANCE: bool = {distance};\n\
             const ROLLING: bool = {rolling};\n"
        );
        text += include_str!("../../shaders/lib/types.wgsl");
        for lib in self.libs {
            text += lib.text(lanes, sums, switches);
        }
        text += self.body;
        text
    }
}
