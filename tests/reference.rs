//! The f64 reference against an independent f64 implementation, on real data.
//!
//! Differences come from the inputs' conversion to logarithms, logits and SH coefficients and from
//! the outputs' storage in f32: both some 1e-7.

use splat_core::reference::{self, Gaussians, Options, View};
use splat_test_needs::needs;

use crate::garden_data::{Garden, Mode, dc_of_colour, relative_l2};

/// The Gaussians in f64 without a detour through f32.
fn gaussians(garden: &Garden, mode: Mode) -> Gaussians {
    Gaussians {
        means: garden.input("means").rows(),
        quats: garden.input("quats").rows(),
        log_scales: garden.input("scales").rows().into_iter().map(|s: [f64; 3]| s.map(f64::ln)).collect(),
        opacity_logits: garden.input("opacities").data.iter().map(|o| (o / (1.0 - o)).ln()).collect(),
        sh_coeffs: match mode {
            Mode::Sh => garden.input("sh").rows(),
            _ => garden.input("colors").rows().into_iter().map(|c: [f64; 3]| c.map(dc_of_colour)).collect(),
        },
        sh_degree: if mode == Mode::Sh { 3 } else { 0 },
    }
}

#[needs("reference/garden_ref.npz")]
#[test]
fn forward_equals_the_garden_reference() {
    let garden = Garden::load();
    for mode in Mode::ALL {
        let gaussians = gaussians(&garden, mode);
        let options = Options { background: garden.background(mode), antialiased: mode.antialiased() };
        for index in 0..garden.views() {
            let view =
                View { intrinsics: garden.intrinsics(index), cam_from_world: garden.cam_from_world(index) };
            let splats = reference::project(&gaussians, &view, &options);
            let picture = reference::rasterize(&reference::sort(&splats), &view, &options);
            let of = |name: &str| garden.output(mode, name).at(index);

            check(&format!("{mode:?} image"), &picture.rgb, &of("image").data, 2e-7);
            check(&format!("{mode:?} alpha"), &picture.alpha, &of("alpha").data, 2e-7);
            let contributors: Vec<f64> = picture.contributors.iter().copied().map(f64::from).collect();
            assert_eq!(contributors, of("n_contrib").data, "{mode:?} contributors");

            let (radii, means2d) = (of("radii").rows::<2>(), of("means2d").rows::<2>());
            let (depths, conics) = (of("depths").data, of("conics").rows::<3>());
            let mut ours: [Vec<f64>; 4] = Default::default();
            let mut theirs: [Vec<f64>; 4] = Default::default();
            for (i, splat) in splats.iter().enumerate() {
                let drawn = radii[i][0] > 0.0;
                assert_eq!(splat.is_some(), drawn, "{mode:?}: Gaussian {i} of view {index}");
                let Some(splat) = splat else { continue };
                ours[0].extend(splat.mean2d.to_array());
                ours[1].extend(splat.conic);
                ours[2].push(splat.depth);
                ours[3].extend(splat.radii.to_array());
                theirs[0].extend(means2d[i]);
                theirs[1].extend(conics[i]);
                theirs[2].push(depths[i]);
                theirs[3].extend(radii[i]);
            }
            assert!(ours[2].len() > 1000, "only {} Gaussians were drawn", ours[2].len());
            for (name, k) in [("means2d", 0), ("conics", 1), ("depths", 2), ("radii", 3)] {
                check(&format!("{mode:?} {name}"), &ours[k], &theirs[k], 2e-7);
            }
        }
    }
}

/// The stored f32 parameters and the rigid pose, which the GPU is fed, show the same picture: what the
/// conversion costs stays below the floor that `garden.rs` allows.
#[needs("reference/garden_ref.npz")]
#[test]
fn stored_parameters_show_the_garden() {
    let garden = Garden::load();
    for mode in Mode::ALL {
        let gaussians = Gaussians::from(&garden.cloud(mode));
        let options = Options { background: garden.background(mode), antialiased: mode.antialiased() };
        let picture = reference::render(&gaussians, &View::from(&garden.camera(1)), &options);
        check(&format!("{mode:?} image"), &picture.rgb, &garden.output(mode, "image").at(1).data, 1.2e-5);
    }
}

fn check(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    let error = relative_l2(ours, theirs);
    assert!(error < tolerance, "{what}: relative error {error:.2e}");
}
