use glam::*;
use splat_core::*;
fn main() {
    let t = std::time::Instant::now();
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    println!("{:#?}", gpu.report());
    println!("open {:?}", t.elapsed());
    let t = std::time::Instant::now();
    for s in gpu::shaders::ALL {
        let k = gpu::kernel::Kernel::new(&gpu, *s, Default::default(), &[]);
        if let Err(e) = gpu.check() {
            println!("{}: {e}", s.name);
        }
        let _ = k;
    }
    println!("kernels {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let r = Renderer::new(&gpu).unwrap();
    println!("renderer {:?}", t.elapsed());
    let n = 5000;
    let mut seed = 1u32;
    let mut rnd = || {
        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
        (seed >> 8) as f32 / 16777216.0
    };
    let mut c = GaussianCloud { sh_degree: 3, ..Default::default() };
    for _ in 0..n {
        c.means.push([rnd() * 4. - 2., rnd() * 4. - 2., rnd() * 4. - 2.]);
        c.quats.push([rnd() - 0.5, rnd() - 0.5, rnd() - 0.5, rnd() - 0.5]);
        c.log_scales.push([-3. + rnd(), -3. + rnd(), -3. + rnd()]);
        c.opacity_logits.push(rnd() * 4. - 2.);
        for k in 0..16 {
            c.sh_coeffs.push(if k == 0 {
                [rnd() * 2. - 1., rnd() * 2. - 1., rnd() * 2. - 1.]
            } else {
                [rnd() * 0.1; 3]
            });
        }
    }
    let g = GaussianBuffers::upload(&gpu, &c).unwrap();
    let cam = Camera {
        intrinsics: Pinhole { width: 480, height: 360, fx: 400., fy: 400., cx: 240., cy: 180. },
        cam_from_world: Pose::look_at(dvec3(0., 0., -5.), DVec3::ZERO, DVec3::Y),
    };
    for _ in 0..3 {
        let t = std::time::Instant::now();
        let f = r.render(&g, &cam, &RenderOptions::default()).unwrap();
        println!("render {:?}", t.elapsed());
        let img = f.read().unwrap();
        let t = std::time::Instant::now();
        let ones = vec![1.0; 480 * 360 * 3];
        let gr = r.backward(&g, &f, &FrameGradient { v_rgb: &ones, ..Default::default() }).unwrap();
        println!("backward {:?} {:?} {:?}", t.elapsed(), &gr.means[..2], gr.cam_from_world);
        let px: Vec<u8> = img.rgb.iter().map(|x| (x.clamp(0., 1.) * 255.) as u8).collect();
        image::save_buffer("/tmp/a.png", &px, 480, 360, image::ColorType::Rgb8).unwrap();
    }
}
