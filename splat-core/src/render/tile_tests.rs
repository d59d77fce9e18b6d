//! Compares the tile lists with brute force over every pixel.

use std::collections::BTreeSet;

use super::*;
use crate::camera::{Camera, Pinhole, Pose};
use crate::gaussians::GaussianCloud;
use crate::gpu::GpuOptions;
use crate::gpu::layout::{TILE_HEIGHT, TILE_WIDTH};
use crate::lens::Lens;
use crate::random::Random;
use crate::reference;

/// A power of two, so that projections onto pixel centres are exact.
const FOCAL_PX: f64 = 256.0;

fn camera(width: u32, height: u32) -> Camera {
    let (cx, cy) = (f64::from(width / 2), f64::from(height / 2));
    let intrinsics = Pinhole { width, height, fx: FOCAL_PX, fy: FOCAL_PX, cx, cy };
    Camera { intrinsics, cam_from_world: Pose::IDENTITY }
}

/// A Gaussian at pixel `(u, v)` and depth 1, with deviations of `sigmas_px` along its own axes.
fn push(
    cloud: &mut GaussianCloud,
    camera: &Camera,
    at: [f64; 2],
    sigmas_px: [f64; 3],
    quat: [f32; 4],
    logit: f32,
) {
    let k = camera.intrinsics;
    cloud.means.push([((at[0] - k.cx) / k.fx) as f32, ((at[1] - k.cy) / k.fy) as f32, 1.0]);
    cloud.quats.push(quat);
    cloud.log_scales.push(sigmas_px.map(|sigma| (sigma / FOCAL_PX).ln() as f32));
    cloud.opacity_logits.push(logit);
    cloud.sh_coeffs.push([0.5; 3]);
}

/// Counts of listed and needed tiles.
#[derive(Debug, Default)]
struct Tally {
    listed: u32,
    needed: u32,
}

/// A Gaussian's alpha as a function of the position in the image; `None` if it is not drawn.
type Alpha = Option<Box<dyn Fn(f64, f64) -> f64>>;

fn alphas(kind: RendererKind, cloud: &GaussianCloud, camera: &Camera) -> Vec<Alpha> {
    if kind == RendererKind::Ewa {
        let twins = reference::project(&cloud.into(), &camera.into(), &reference::Options::default());
        let alpha = |twin: reference::Splat| -> Box<dyn Fn(f64, f64) -> f64> {
            let [a, b, c] = twin.conic;
            Box::new(move |x, y| {
                let (dx, dy) = (x - twin.mean2d.x, y - twin.mean2d.y);
                twin.opacity * (-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy).exp()
            })
        };
        return twins.into_iter().map(|twin| twin.map(alpha)).collect();
    }
    let k = camera.intrinsics;
    let (lens, pose) = (Lens::pinhole(k), camera.cam_from_world);
    let view = reference::LensView::new(&lens, pose).unwrap();
    let alpha = |twin: reference::Ellipsoid| -> Box<dyn Fn(f64, f64) -> f64> {
        Box::new(move |x, y| {
            // Outside of the box of the unscented transform the Gaussian is cut off.
            let ((left, top), (right, bottom)) = (twin.bounds.0.into(), twin.bounds.1.into());
            if !(x >= left && x <= right && y >= top && y <= bottom) {
                return 0.0;
            }
            let ray = glam::DVec3::new((x - k.cx) / k.fx, (y - k.cy) / k.fy, 1.0);
            let ray = pose.rotation.conjugate() * ray;
            twin.exponent(pose.centre(), ray).map_or(0.0, |exponent| twin.opacity * (-exponent).exp())
        })
    };
    reference::project_gut(&cloud.into(), &view).into_iter().map(|twin| twin.map(alpha)).collect()
}

/// Renders the cloud and compares its lists with every pixel's alpha in f64.
fn compare(renderer: &Renderer, cloud: &GaussianCloud, camera: &Camera, what: &str) -> Tally {
    let gpu = &renderer.gpu;
    let buffers = GaussianBuffers::upload(gpu, cloud).unwrap();
    let frame = renderer.render(&buffers, camera, &RenderOptions::default()).unwrap();
    let (view, pass) = (&frame.view, &frame.pass);
    let tiles = view.tile_count() as usize;
    let [slice] = &pass.slices[..] else { panic!("{what}: more than one slice") };
    let ranges: Vec<[u32; 2]> = gpu.read(&slice.tile_ranges, tiles + 1).unwrap();
    let counters: Counters = gpu.read(&pass.counters, 1).unwrap()[0];
    let isects = counters.isects as usize;
    let ids: Vec<u32> = gpu.read(&slice.ids[ForwardPass::sorted(view)], isects).unwrap();
    let gaussians: Vec<u32> = gpu.read(&slice.splats, isects).unwrap();
    assert_eq!(ranges[tiles], [0, 0], "{what}: tiles counted and not found again");

    let twins = alphas(renderer.forward.switches.renderer, cloud, camera);
    let mut lists = vec![BTreeSet::new(); cloud.len()];
    for (tile, [begin, end]) in ranges[..tiles].iter().enumerate() {
        let mut before = 0.0;
        for id in &ids[*begin as usize..*end as usize] {
            let gaussian = gaussians[*id as usize] as usize;
            assert!(lists[gaussian].insert(tile), "{what}: tile {tile} lists {gaussian} twice");
            let depth = cloud.means[gaussian][2];
            assert!(depth >= before, "{what}: tile {tile} is not near to far");
            before = depth;
        }
    }
    let mut tally = Tally::default();
    for (gaussian, (list, twin)) in lists.iter().zip(&twins).enumerate() {
        tally.listed += list.len() as u32;
        let Some(twin) = twin else {
            assert!(list.len() < 4, "{what}: {gaussian} is not drawn and is in {} lists", list.len());
            continue;
        };
        let (mut seen, mut surely) = (BTreeSet::new(), BTreeSet::new());
        for y in 0..view.image_size[1] {
            for x in 0..view.image_size[0] {
                let alpha = twin(f64::from(x) + 0.5, f64::from(y) + 0.5);
                if alpha < reference::ALPHA_MIN {
                    continue;
                }
                let tile = (y / TILE_HEIGHT * view.tile_grid[0] + x / TILE_WIDTH) as usize;
                seen.insert(tile);
                if alpha >= reference::ALPHA_MIN * MARGIN {
                    surely.insert(tile);
                }
            }
        }
        tally.needed += seen.len() as u32;
        let missed: Vec<_> = surely.difference(list).collect();
        assert!(missed.is_empty(), "{what}: {gaussian} reaches tiles {missed:?}, unlisted");
    }
    tally
}

/// Alphas above 1/255 by this factor must be listed: f32 projects the mean to within a few thousandths of a pixel, over which the
/// alpha of the sharpest splat changes by less.
const MARGIN: f64 = 1.01;

fn empty_cloud() -> GaussianCloud {
    GaussianCloud { sh_degree: 0, ..GaussianCloud::default() }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn lists_hold_every_tile_that_is_reached_and_few_others() {
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    for kind in RendererKind::ALL {
        compare_kinds(&Renderer::new(&gpu, kind).unwrap());
    }
}

fn compare_kinds(renderer: &Renderer) {
    let mut random = Random::new(11, 0, 0);
    // Without a low-pass filter, Gaussians much thinner than a pixel fall between pixels, or depend on rounding.
    let thinnest = if renderer.forward.switches.renderer == RendererKind::Gut { -0.5 } else { f64::MIN };
    // Deviations in pixels of the longest and the shortest axis, as powers of ten.
    let kinds = [
        ("tiny", [-2.0, 0.3], [-2.0, 0.0]),
        ("round", [0.5, 1.5], [0.3, 1.3]),
        ("elongated", [1.0, 2.0], [-1.0, 0.3]),
        ("needles", [1.5, 2.5], [-3.0, -1.0]),
        ("huge", [2.0, 3.0], [1.0, 2.5]),
        ("huge needles", [2.5, 3.3], [-3.0, 0.0]),
    ];
    for (kind, long, short) in kinds {
        let mut total = Tally::default();
        for (width, height) in [(256, 192), (173, 119)] {
            let camera = camera(width, height);
            let mut cloud = empty_cloud();
            for _ in 0..150 {
                let mut between = |low: f64, high: f64| low + (high - low) * random.uniform();
                let at = [f64::from(width) * between(-0.2, 1.2), f64::from(height) * between(-0.2, 1.2)];
                let [long, short] = [long, short].map(|range| between(range[0], range[1]).max(thinnest));
                let sigmas = [long, short, short].map(|power| 10.0_f64.powf(power));
                let quat = std::array::from_fn(|_| between(-1.0, 1.0) as f32);
                push(&mut cloud, &camera, at, sigmas, quat, between(-5.0, 6.0) as f32);
            }
            let tally = compare(renderer, &cloud, &camera, &format!("{kind}, {width}x{height}"));
            total.listed += tally.listed;
            total.needed += tally.needed;
        }
        let drawn_by = renderer.forward.switches.renderer;
        assert!(total.needed > 150, "{kind}: only {} tiles are reached", total.needed);
        let ratio = f64::from(total.listed) / f64::from(total.needed);
        // The ellipse form also lists parts outside of the unscented box.
        let exact = drawn_by == RendererKind::Ewa || ["round", "elongated"].contains(&kind);
        assert!(ratio < 1.35 || !exact, "{kind}, {drawn_by}: {ratio:.3} times the tiles that are reached");
    }
}

/// Thin and long, with both ends inside a large image: the determinant of such a conic is the most sensitive to rounding.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn lists_follow_needles_to_their_ends() {
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    let renderer = Renderer::new(&gpu, RendererKind::Ewa).unwrap();
    let camera = camera(1280, 960);
    let mut random = Random::new(12, 0, 0);
    let mut cloud = empty_cloud();
    for _ in 0..60 {
        let mut between = |low: f64, high: f64| low + (high - low) * random.uniform();
        let at = [between(500.0, 780.0), between(400.0, 560.0)];
        let half_turn = between(0.0, std::f64::consts::PI) / 2.0;
        let quat = [half_turn.cos() as f32, 0.0, 0.0, half_turn.sin() as f32];
        push(&mut cloud, &camera, at, [between(60.0, 180.0), 1e-3, 1e-3], quat, between(-2.0, 6.0) as f32);
    }
    let tally = compare(&renderer, &cloud, &camera, "long needles");
    let ratio = f64::from(tally.listed) / f64::from(tally.needed);
    assert!(
        tally.needed > 1000 && ratio < 1.1,
        "{ratio:.3} times the {} tiles that are reached",
        tally.needed
    );
}

/// Means exactly on pixel centres on either side of tile edges, and on the edges, where results depend on rounding.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn lists_are_exact_on_tile_edges() {
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    let renderer = Renderer::new(&gpu, RendererKind::Ewa).unwrap();
    for (width, height) in [(128, 96), (127, 97)] {
        let camera = camera(width, height);
        let mut cloud = empty_cloud();
        for edge in 0..6 {
            for step in [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5] {
                let along = f64::from(edge * 16) + step;
                // From a splat visible in a single pixel to one that covers several tiles.
                for (sigma, logit) in [(1e-3, -5.5), (1e-3, 6.0), (3.0, 2.0), (12.0, 0.0)] {
                    for at in [[along, along], [along, 40.5], [40.5, along]] {
                        push(&mut cloud, &camera, at, [sigma; 3], [1.0, 0.0, 0.0, 0.0], logit);
                    }
                }
            }
        }
        let tally = compare(&renderer, &cloud, &camera, &format!("edges, {width}x{height}"));
        let ratio = f64::from(tally.listed) / f64::from(tally.needed);
        assert!(
            tally.needed > 500 && ratio < 1.2,
            "{ratio:.3} times the {} tiles that are reached",
            tally.needed
        );
    }
}
