//! Frames recorded into a program's own commands: the pictures of `Renderer::render`, with nothing allocated or awaited.

use glam::{DQuat, DVec3};
use splat_core::render::{GaussianBuffers, RenderOptions, Renderer, RendererKind};
use splat_core::{
    Camera, Error, Gpu, GpuOptions, LensCamera, Pinhole, Pose, RollingShutter, ShutterDirection, wgpu,
};

use crate::examples::in_my_app;

const WIDTH: u32 = 128;
const HEIGHT: u32 = 96;

fn camera(distance: f64, angle: f64) -> LensCamera {
    let eye = distance * DVec3::new(angle.cos(), -0.2, angle.sin());
    let intrinsics = Pinhole { width: WIDTH, height: HEIGHT, fx: 120.0, fy: 120.0, cx: 64.0, cy: 48.0 };
    LensCamera::from(Camera { intrinsics, cam_from_world: Pose::look_at(eye, DVec3::ZERO, DVec3::Y) })
}

fn texture(gpu: &Gpu, width: u32, format: wgpu::TextureFormat) -> wgpu::Texture {
    gpu.device().create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width, height: HEIGHT, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}

/// The bytes of a texture of four channels of `size` bytes each.
fn bytes_of(gpu: &Gpu, texture: &wgpu::Texture, size: u32) -> Vec<u8> {
    let row = WIDTH * 4 * size;
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
    let copy = gpu.storage("test.copy", u64::from(row * HEIGHT)).expect("a small buffer");
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &copy, layout },
        texture.size(),
    );
    gpu.queue().submit([encoder.finish()]);
    gpu.read(&copy, (row * HEIGHT) as usize).expect("the texture comes back")
}

struct App {
    gpu: Gpu,
    renderer: Renderer,
    gaussians: GaussianBuffers,
}

impl App {
    fn new(kind: RendererKind) -> Self {
        let gpu = Gpu::new(&GpuOptions::default()).expect("an adapter is there");
        let renderer = Renderer::new(&gpu, kind).expect("the kernels compile");
        let gaussians = GaussianBuffers::upload(&gpu, &in_my_app::spiral()).expect("it fits");
        Self { gpu, renderer, gaussians }
    }

    fn record(&self, encoder: &mut wgpu::CommandEncoder, camera: &LensCamera, target: &wgpu::Texture) {
        let options = RenderOptions { background: [0.1, 0.2, 0.3], ..RenderOptions::default() };
        self.renderer.render_to(encoder, &self.gaussians, camera, &options, target).expect("it is recorded");
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn show(&self, camera: &LensCamera, target: &wgpu::Texture) {
        let mut encoder = self.encoder();
        self.record(&mut encoder, camera, target);
        self.gpu.queue().submit([encoder.finish()]);
    }

    /// What `Renderer::render` draws: `(rgb, alpha)` of each pixel.
    fn expected(&self, camera: &LensCamera) -> Vec<[f32; 4]> {
        let options = RenderOptions { background: [0.1, 0.2, 0.3], ..RenderOptions::default() };
        let frame = self.renderer.render(&self.gaussians, camera, &options).expect("it renders");
        let image = frame.read().expect("it comes back");
        let pixels = image.rgb.chunks_exact(3).zip(&image.alpha);
        pixels.map(|(rgb, alpha)| [rgb[0], rgb[1], rgb[2], *alpha]).collect()
    }

    fn floats(&self, target: &wgpu::Texture) -> Vec<[f32; 4]> {
        bytemuck::pod_collect_to_vec(&bytes_of(&self.gpu, target, 4))
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_recorded_frame_is_the_rendered_one_to_the_bit() {
    for kind in RendererKind::ALL {
        let app = App::new(kind);
        let target = texture(&app.gpu, WIDTH, wgpu::TextureFormat::Rgba32Float);
        let mut cameras = vec![camera(3.0, 0.0), camera(2.5, 1.0)];
        if kind == RendererKind::Gut {
            let start = cameras[0].cam_from_world;
            let turn = DQuat::from_rotation_y(0.05);
            let end = Pose { rotation: turn * start.rotation, translation: turn * start.translation };
            let direction = ShutterDirection::TopToBottom;
            let rolling_shutter = Some(RollingShutter { direction, start, end });
            cameras.push(LensCamera { rolling_shutter, ..cameras[0].clone() });
        }
        for camera in &cameras {
            app.show(camera, &target);
            let (shown, expected) = (app.floats(&target), app.expected(camera));
            assert_eq!(shown.len(), expected.len());
            assert!(shown == expected, "{kind}: the pictures differ");
            let seen = expected.iter().filter(|pixel| pixel[3] > 0.5).count();
            assert!(seen > 100, "{kind}: only {seen} pixels show something");
        }
        assert_eq!(app.renderer.incomplete_frames(), 0);
        app.gpu.check().expect("nothing was refused");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn frames_of_one_size_allocate_nothing_and_wait_for_nothing() {
    let app = App::new(RendererKind::Ewa);
    let target = texture(&app.gpu, WIDTH, wgpu::TextureFormat::Rgba8Unorm);
    app.show(&camera(3.0, 0.0), &target);
    let before = app.gpu.usage();
    // Several a submission too: each keeps its own camera.
    let other = texture(&app.gpu, WIDTH, wgpu::TextureFormat::Rgba8Unorm);
    for frame in 0..20 {
        let mut encoder = app.encoder();
        app.record(&mut encoder, &camera(3.0, 0.1 * f64::from(frame)), &target);
        app.record(&mut encoder, &camera(3.0, 0.1 * f64::from(frame) + 2.0), &other);
        app.gpu.queue().submit([encoder.finish()]);
    }
    // A recording that is never submitted does no harm.
    app.record(&mut app.encoder(), &camera(3.0, 0.0), &target);
    assert_eq!(app.gpu.usage(), before, "(buffers created, waits)");
    for (target, angle) in [(&target, 1.9), (&other, 3.9)] {
        let shown = bytes_of(&app.gpu, target, 1);
        let expected = app.expected(&camera(3.0, angle));
        for (shown, expected) in shown.iter().zip(expected.iter().flatten()) {
            let expected = 255.0 * expected.clamp(0.0, 1.0);
            assert!((f32::from(*shown) - expected).abs() <= 1.0, "{shown} where {expected} was drawn");
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn targets_that_encode_srgb_hold_the_same_bytes() {
    let app = App::new(RendererKind::Ewa);
    let view = camera(3.0, 0.7);
    let [plain, encoding] =
        [wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureFormat::Rgba8UnormSrgb].map(|format| {
            let target = texture(&app.gpu, WIDTH, format);
            app.show(&view, &target);
            bytes_of(&app.gpu, &target, 1)
        });
    let furthest = plain.iter().zip(&encoding).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(furthest <= Some(1), "{furthest:?} levels apart");
    assert!(plain.iter().any(|&byte| byte > 200) && plain.iter().any(|&byte| byte < 100), "a dull picture");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_frame_without_room_leaves_the_target_and_the_next_ones_have_it() {
    let app = App::new(RendererKind::Ewa);
    let target = texture(&app.gpu, WIDTH, wgpu::TextureFormat::Rgba32Float);
    // Gaussians this large are in every tile, once the camera sees them at all: 48 tiles of 4,000.
    let mut cloud = in_my_app::spiral();
    cloud.log_scales.iter_mut().for_each(|scale| *scale = [1.0; 3]);
    let quadruple = |rows: &mut Vec<[f32; 3]>| *rows = rows.repeat(4);
    quadruple(&mut cloud.means);
    quadruple(&mut cloud.log_scales);
    quadruple(&mut cloud.sh_coeffs);
    cloud.quats = cloud.quats.repeat(4);
    cloud.opacity_logits = vec![-3.0; 4000];
    let gaussians = GaussianBuffers::upload(&app.gpu, &cloud).expect("it fits");
    let app = App { gaussians, ..app };

    let away = LensCamera::from(Camera {
        intrinsics: Pinhole { width: WIDTH, height: HEIGHT, fx: 120.0, fy: 120.0, cx: 64.0, cy: 48.0 },
        cam_from_world: Pose::look_at(DVec3::Z * 30.0, DVec3::Z * 60.0, DVec3::Y),
    });
    app.show(&away, &target);
    let before = app.floats(&target);
    assert_eq!(before, app.expected(&away));
    let near = camera(3.0, 0.0);
    let expected = app.expected(&near);
    app.show(&near, &target);
    app.gpu.wait().expect("it runs");
    assert!(app.floats(&target) == before, "a part of the picture was drawn");
    app.show(&near, &target);
    assert!(app.floats(&target) == expected, "the frame after it is not whole");
    assert_eq!(app.renderer.incomplete_frames(), 1);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_target_of_another_size_is_refused() {
    let app = App::new(RendererKind::Ewa);
    let target = texture(&app.gpu, WIDTH / 2, wgpu::TextureFormat::Rgba8Unorm);
    let options = RenderOptions::default();
    let refused =
        app.renderer.render_to(&mut app.encoder(), &app.gaussians, &camera(3.0, 0.0), &options, &target);
    let text = refused.expect_err("it has half the width").to_string();
    assert!(text.contains("128x96") && text.contains("64x96"), "{text}");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_device_that_is_too_small_is_refused_in_a_sentence() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()));
    let adapter = adapter.expect("an adapter is there");
    let small = wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..Gpu::REQUIRED_LIMITS };
    let request = wgpu::DeviceDescriptor { required_limits: small, ..wgpu::DeviceDescriptor::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&request)).expect("less than it has");
    let refused = Gpu::from_device(&adapter, device, queue);
    let Err(error @ Error::NoAdapter { .. }) = refused else { panic!("{refused:?}") };
    assert!(
        error.to_string().contains("max_storage_buffers_per_shader_stage is 4 and has to be 8"),
        "{error}"
    );
}
