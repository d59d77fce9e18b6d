//! `splat convert`: converts a scene to another format.

use std::path::Path;

use serde::Serialize;
use splat_core::formats::{self, Format, Region, SplatScene, SpzVersion};
use splat_core::pipeline::SavedScene;
use splat_core::text::{bytes, thousands};

use super::render::read_scene;
use super::{Context, view};
use crate::args::{self, ConvertArgs};
use crate::failure::Failure;
use crate::settings;

pub(super) fn convert(args: &ConvertArgs, context: &Context) -> Result<(), Failure> {
    let html = args.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("html"));
    if html {
        view::require_viewer()?;
    }
    let format = if html { None } else { Some(format(args)?) };
    let crop = args.crop.as_deref().map(region).transpose()?;
    if let Some(scale) = args.scale.filter(|scale| !(*scale > 0.0 && scale.is_finite())) {
        return Err(Failure::Usage {
            what: format!("`--scale {scale}` is no factor to scale by"),
            hint: "give a number above 0",
        });
    }
    let saved = settings::saved_scene(&args.input)?;
    let mut scene = read_scene(&saved.scene, context)?;
    let read = scene.cloud.len();
    edit(&mut scene, args, crop.as_ref());
    if scene.cloud.is_empty() {
        let (what, hint) = match read {
            0 => ("holds no Gaussians that could be written", "give a scene with content"),
            _ => ("has no Gaussians left to write", "crop less"),
        };
        return Err(Failure::Input { path: args.input.clone(), what: what.to_owned(), hint });
    }
    context.check()?;
    let Some(format) = format else {
        // The run's cameras do not match a scene that was rotated, scaled or moved.
        let moved = args.up.is_some() || args.scale.is_some() || args.recentre;
        let saved = if moved { SavedScene::default() } else { saved };
        let cameras = view::cameras(&scene, &saved, None, context)?;
        return view::export(&scene, &cameras, &view::title(&args.input), &args.output, context);
    };
    let written = formats::write(&args.output, format, &scene)?;
    for note in &written.notes {
        context.reporter.warn(note);
    }
    #[derive(Serialize)]
    struct Done<'a> {
        event: &'a str,
        path: &'a Path,
        gaussians: usize,
        left_out: usize,
        sh_degree: u32,
        bytes: u64,
        notes: &'a [String],
    }
    let gaussians = scene.cloud.len() - written.left_out;
    let done = Done {
        event: "done",
        path: &args.output,
        gaussians,
        left_out: read - gaussians,
        sh_degree: written.sh_degree,
        bytes: args.output.metadata().map_or(0, |data| data.len()),
        notes: &written.notes,
    };
    let count = |count: usize| thousands(count as u64);
    let of = if read == gaussians { String::new() } else { format!(" of {}", count(read)) };
    let text = format!(
        "{}  {}{of} Gaussians, SH degree {}, {}",
        args.output.display(),
        count(gaussians),
        done.sh_degree,
        bytes(done.bytes)
    );
    context.reporter.result(&done, &text);
    Ok(())
}

fn format(args: &ConvertArgs) -> Result<Format, Failure> {
    match Format::of_name(&args.output) {
        Some(Format::Spz(_)) => Ok(Format::Spz(match args.spz_version {
            args::SpzVersion::V2 => SpzVersion::V2,
            args::SpzVersion::V3 => SpzVersion::V3,
            args::SpzVersion::V4 => SpzVersion::V4,
        })),
        Some(format) => Ok(format),
        None => Err(Failure::Usage {
            what: format!("`{}` has no extension of a form that is written", args.output.display()),
            hint: "name it .ply, .compressed.ply, .spz, .sog, .splat, .glb or .html",
        }),
    }
}

fn region(text: &str) -> Result<Region, Failure> {
    text.parse().map_err(|_| Failure::Usage {
        what: format!("`--crop {text}` is no shape"),
        hint: "give box:X0,Y0,Z0,X1,Y1,Z1 or sphere:X,Y,Z,RADIUS",
    })
}

/// Applies the requested edits. Given coordinates are world coordinates; the cloud's are relative to the scene's origin.
fn edit(scene: &mut SplatScene, args: &ConvertArgs, crop: Option<&Region>) {
    if let Some(crop) = crop {
        scene.keep_region(crop);
    }
    let cloud = &mut scene.cloud;
    if args.drop_floaters {
        cloud.drop_floaters();
    }
    if let Some(degree) = args.max_sh.filter(|degree| *degree < cloud.sh_degree) {
        cloud.set_sh_degree(degree);
    }
    if let Some(count) = args.keep {
        cloud.keep_most_seen(count as usize);
    }
    if let Some(up) = args.up {
        scene.turn_up(up.direction());
    }
    if let Some(scale) = args.scale {
        scene.rescale(scale);
    }
    if args.recentre {
        scene.recentre();
    }
}
