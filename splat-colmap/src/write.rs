//! Writing sparse models, binary and text. By hand, as reading: no crate writes COLMAP's format.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use splat_core::Pose;
use splat_core::files::{make_dir, write_atomically};

use crate::error::{Result, write_error};
use crate::model::{PosedImage, Reconstruction};
use crate::read::ModelForm;

/// "No point" in a binary feature.
const NO_POINT: u64 = u64::MAX;

/// Writes `model` to the folder `dir` (made where missing) as `cameras`, `images` and `points3D`.
///
/// What COLMAP before 3.12 writes, and every version reads. Of an older model in `dir`, the files of
/// both forms and its rigs and frames are removed, because COLMAP would read them instead or besides.
///
/// # Errors
/// [`crate::ColmapError::Core`] where the disk refuses.
pub fn write_model(model: &Reconstruction, dir: &Path, form: ModelForm) -> Result<()> {
    make_dir(dir)?;
    for stem in ["cameras", "images", "points3D", "rigs", "frames"] {
        for old in [ModelForm::Binary, ModelForm::Text] {
            let path = old.file(dir, stem);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(write_error(&path, error));
                }
                _ => {}
            }
        }
    }
    let file = |stem| form.file(dir, stem);
    match form {
        ModelForm::Binary => {
            write_atomically(&file("cameras"), |out| binary_cameras(model, out))?;
            write_atomically(&file("images"), |out| binary_images(model, out))?;
            write_atomically(&file("points3D"), |out| binary_points(model, out))?;
        }
        ModelForm::Text => {
            write_atomically(&file("cameras"), |out| text_cameras(model, out))?;
            write_atomically(&file("images"), |out| text_images(model, out))?;
            write_atomically(&file("points3D"), |out| text_points(model, out))?;
        }
    }
    Ok(())
}

/// COLMAP's w,x,y,z,tx,ty,tz.
fn pose_numbers(pose: &Pose) -> [f64; 7] {
    let (q, t) = (pose.rotation, pose.translation);
    [q.w, q.x, q.y, q.z, t.x, t.y, t.z]
}

fn write_count(out: &mut impl Write, count: usize) -> io::Result<()> {
    out.write_all(&(count as u64).to_le_bytes())
}

fn write_f64s(out: &mut impl Write, values: &[f64]) -> io::Result<()> {
    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}

fn binary_cameras(model: &Reconstruction, out: &mut impl Write) -> io::Result<()> {
    write_count(out, model.cameras.len())?;
    for (id, lens) in &model.cameras {
        out.write_all(&id.to_le_bytes())?;
        out.write_all(&lens.model.colmap_id().to_le_bytes())?;
        out.write_all(&u64::from(lens.width).to_le_bytes())?;
        out.write_all(&u64::from(lens.height).to_le_bytes())?;
        write_f64s(out, &lens.params)?;
    }
    Ok(())
}

fn binary_images(model: &Reconstruction, out: &mut impl Write) -> io::Result<()> {
    write_count(out, model.images.len())?;
    for (id, image) in &model.images {
        let PosedImage { name, camera_id, cam_from_world, points2d } = image;
        out.write_all(&id.to_le_bytes())?;
        write_f64s(out, &pose_numbers(cam_from_world))?;
        out.write_all(&camera_id.to_le_bytes())?;
        out.write_all(name.as_bytes())?;
        out.write_all(&[0])?;
        write_count(out, points2d.len())?;
        for point in points2d {
            write_f64s(out, &point.xy)?;
            out.write_all(&point.point3d_id.unwrap_or(NO_POINT).to_le_bytes())?;
        }
    }
    Ok(())
}

fn binary_points(model: &Reconstruction, out: &mut impl Write) -> io::Result<()> {
    write_count(out, model.points.len())?;
    for (id, point) in &model.points {
        out.write_all(&id.to_le_bytes())?;
        write_f64s(out, &point.position)?;
        out.write_all(&point.rgb)?;
        write_f64s(out, &[point.error])?;
        write_count(out, point.track.len())?;
        for element in &point.track {
            out.write_all(&element.image_id.to_le_bytes())?;
            out.write_all(&element.point2d_index.to_le_bytes())?;
        }
    }
    Ok(())
}

/// Numbers after spaces. Rust writes the fewest digits that read back as the same number.
fn text_f64s(out: &mut impl Write, values: &[f64]) -> io::Result<()> {
    values.iter().try_for_each(|value| write!(out, " {value}"))
}

fn text_cameras(model: &Reconstruction, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "# Camera list with one line of data per camera:")?;
    writeln!(out, "#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]")?;
    writeln!(out, "# Number of cameras: {}", model.cameras.len())?;
    for (id, lens) in &model.cameras {
        write!(out, "{id} {} {} {}", lens.model, lens.width, lens.height)?;
        text_f64s(out, &lens.params)?;
        writeln!(out)?;
    }
    Ok(())
}

fn text_images(model: &Reconstruction, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "# Image list with two lines of data per image:")?;
    writeln!(out, "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME")?;
    writeln!(out, "#   POINTS2D[] as (X, Y, POINT3D_ID)")?;
    writeln!(out, "# Number of images: {}", model.images.len())?;
    for (id, image) in &model.images {
        write!(out, "{id}")?;
        text_f64s(out, &pose_numbers(&image.cam_from_world))?;
        writeln!(out, " {} {}", image.camera_id, image.name)?;
        for (index, point) in image.points2d.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(out, "{separator}{} {} ", point.xy[0], point.xy[1])?;
            match point.point3d_id {
                Some(id) => write!(out, "{id}")?,
                None => write!(out, "-1")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn text_points(model: &Reconstruction, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "# 3D point list with one line of data per point:")?;
    writeln!(out, "#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)")?;
    writeln!(out, "# Number of points: {}", model.points.len())?;
    for (id, point) in &model.points {
        write!(out, "{id}")?;
        text_f64s(out, &point.position)?;
        let [r, g, b] = point.rgb;
        write!(out, " {r} {g} {b} {}", point.error)?;
        for element in &point.track {
            write!(out, " {} {}", element.image_id, element.point2d_index)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
