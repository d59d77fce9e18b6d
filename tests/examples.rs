//! The library's examples run and give the documented results.

#[expect(dead_code, unreachable_pub, reason = "its main is not called here")]
#[path = "../splat-core/examples/in_my_app.rs"]
pub(crate) mod in_my_app;
#[expect(dead_code, unreachable_pub, reason = "its main is not called here")]
#[path = "../splat-core/examples/own_loss.rs"]
mod own_loss;
#[expect(dead_code, unreachable_pub, reason = "its main is not called here")]
#[path = "../splat-colmap/examples/train.rs"]
mod train;

#[test]
fn own_loss_descends() {
    let [on_gpu, on_host] = [own_loss::Place::Gpu, own_loss::Place::Host]
        .map(|place| own_loss::run(60, place).expect("the example runs"));
    assert_eq!((on_gpu.len(), on_host.len()), (60, 60));
    // Views differ in how much of them the Gaussians cover: each is compared with itself, three steps and more later.
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    for losses in [&on_gpu, &on_host] {
        assert!(mean(&losses[57..]) < 0.8 * mean(&losses[..3]), "{losses:?}");
    }
    for (gpu, host) in on_gpu.iter().zip(&on_host) {
        assert!((gpu - host).abs() < 1e-3 * host, "{gpu} on the GPU, {host} on the host");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_program_with_a_device_of_its_own_shows_a_scene() {
    let in_my_app::Flight { times, pixels } =
        in_my_app::run(&in_my_app::spiral(), 3).expect("the example runs");
    assert_eq!(times.len(), 3);
    let seen = pixels.iter().filter(|pixel| pixel[3] > 128).count();
    assert!(seen > 500, "{seen} pixels of {} show something", pixels.len());
}

#[test]
fn train_example_writes_view_and_scene() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    crate::tiny_dataset::write(dir.path(), 12).expect("a dataset");
    let output = dir.path().join("out");
    let mut steps = Vec::new();
    train::run(dir.path(), &output, 30, |report| steps.push(report.step)).expect("the example runs");
    assert_eq!(steps, (1..=30).collect::<Vec<_>>());
    let view = image::open(output.join("view.png")).expect("a picture").to_rgb8();
    assert_eq!(view.dimensions(), (64, 48));
    let scene = splat_core::ply::read(&output.join("scene.ply")).expect("a scene");
    assert!(scene.cloud.len() >= 576, "{}", scene.cloud.len());
}
