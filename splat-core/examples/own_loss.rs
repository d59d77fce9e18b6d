//! The rasterizer alone: forward, then the gradients of a loss of one's own with respect to every parameter.
//!
//! Here the loss is the mean squared difference to a plain orange picture, and plain gradient descent on the colours
//! brings two grey Gaussians towards it. The trainer is not involved.
//!
//! ```sh
//! cargo run --release --example own_loss
//! ```

#![expect(clippy::print_stdout, reason = "an example says what it finds")]

use splat_core::{
    Camera, FrameGradient, GaussianBuffers, GaussianCloud, Gpu, GpuOptions, Pinhole, Pose, RenderOptions,
    Renderer, RendererKind,
};

fn main() -> splat_core::Result<()> {
    let losses = run(20)?;
    println!("loss {:.5} at first, {:.5} at last", losses[0], losses[losses.len() - 1]);
    Ok(())
}

/// Descends `steps` times; gives the loss before each.
///
/// # Errors
/// What the GPU says.
pub fn run(steps: usize) -> splat_core::Result<Vec<f32>> {
    const ORANGE: [f32; 3] = [1.0, 0.5, 0.1];
    const RATE: f32 = 40.0;

    let gpu = Gpu::new(&GpuOptions::default())?;
    let renderer = Renderer::new(&gpu, RendererKind::Ewa)?;
    let intrinsics = Pinhole { width: 64, height: 48, fx: 60.0, fy: 60.0, cx: 32.0, cy: 24.0 };
    let camera = Camera { intrinsics, cam_from_world: Pose::IDENTITY };
    let mut cloud = GaussianCloud {
        means: vec![[-0.3, 0.0, 2.0], [0.3, 0.1, 2.5]],
        quats: vec![[1.0, 0.0, 0.0, 0.0]; 2],
        log_scales: vec![[-1.0; 3]; 2],
        opacity_logits: vec![2.0; 2],
        sh_coeffs: vec![[0.0; 3]; 2],
        sh_degree: 0,
    };

    let mut losses = Vec::new();
    for _ in 0..steps {
        let buffers = GaussianBuffers::upload(&gpu, &cloud)?;
        let frame = renderer.render(&buffers, &camera, &RenderOptions::default())?;
        let image = frame.read()?;

        // Any loss whose derivative by the image is known: `v_rgb` holds dL/d(rgb), `[H*W*3]`.
        let count = image.rgb.len() as f32;
        let off: Vec<f32> =
            image.rgb.iter().zip(ORANGE.iter().cycle()).map(|(c, target)| c - target).collect();
        losses.push(off.iter().map(|d| d * d).sum::<f32>() / count);
        let v_rgb: Vec<f32> = off.iter().map(|d| 2.0 * d / count).collect();

        // Gradients of means, quaternions, log-scales, opacity logits, SH coefficients and of the camera's pose.
        let gradient = FrameGradient { v_rgb: &v_rgb, v_alpha: None, v_depth: None };
        let gradients = renderer.backward(&buffers, &frame, &gradient)?;
        for (coeff, v_coeff) in cloud.sh_coeffs.iter_mut().zip(&gradients.sh_coeffs) {
            for (c, v) in coeff.iter_mut().zip(v_coeff) {
                *c -= RATE * v;
            }
        }
    }
    Ok(losses)
}
