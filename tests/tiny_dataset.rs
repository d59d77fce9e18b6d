//! A posed dataset small enough to train on in seconds: a tiled floor seen from a ring of cameras, written as a COLMAP
//! text model with PNG photos. Everything follows from formulas, so it is the same each time.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const WIDTH: u32 = 64;
const HEIGHT: u32 = 48;
const FOCAL_PX: f64 = 60.0;
const RADIUS: f64 = 3.0;
const CAMERA_HEIGHT: f64 = 2.0;
/// Half the floor's side.
const FLOOR: f64 = 2.0;
const POINTS_PER_SIDE: u32 = 24;

type V3 = [f64; 3];

fn dot(a: V3, b: V3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: V3, b: V3) -> V3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn unit(a: V3) -> V3 {
    let length = dot(a, a).sqrt();
    a.map(|x| x / length)
}

/// The floor's colour at (x, z); world y points down, as in COLMAP.
fn floor_rgb(x: f64, z: f64) -> [u8; 3] {
    let tile = ((x * 1.5).floor() + (z * 1.5).floor()).rem_euclid(2.0);
    let wave = |phase: f64| 0.5 + 0.5 * (2.1 * x + 1.3 * z + phase).sin();
    [0.0, 2.1, 4.2].map(|phase| (255.0 * (0.15 + 0.35 * tile + 0.5 * wave(phase))) as u8)
}

/// Rows of the rotation cam_from_world of a camera at `eye` that looks at the floor's middle.
fn look_at_middle(eye: V3) -> [V3; 3] {
    let forward = unit(eye.map(|x| -x));
    let right = unit(cross([0.0, 1.0, 0.0], forward));
    [right, cross(forward, right), forward]
}

/// w,x,y,z of a rotation given by rows, by its largest component.
fn quaternion(m: [V3; 3]) -> [f64; 4] {
    let trace = m[0][0] + m[1][1] + m[2][2];
    let squares =
        [trace, m[0][0] * 2.0 - trace, m[1][1] * 2.0 - trace, m[2][2] * 2.0 - trace].map(|s| s + 1.0);
    let largest = (0..4).max_by(|a, b| squares[*a].total_cmp(&squares[*b])).unwrap_or(0);
    let s = 2.0 * squares[largest].sqrt();
    let q = s / 4.0;
    match largest {
        0 => [q, (m[2][1] - m[1][2]) / s, (m[0][2] - m[2][0]) / s, (m[1][0] - m[0][1]) / s],
        1 => [(m[2][1] - m[1][2]) / s, q, (m[0][1] + m[1][0]) / s, (m[0][2] + m[2][0]) / s],
        2 => [(m[0][2] - m[2][0]) / s, (m[0][1] + m[1][0]) / s, q, (m[1][2] + m[2][1]) / s],
        _ => [(m[1][0] - m[0][1]) / s, (m[0][2] + m[2][0]) / s, (m[1][2] + m[2][1]) / s, q],
    }
}

fn photo(eye: V3, rows: [V3; 3]) -> image::RgbImage {
    image::RgbImage::from_fn(WIDTH, HEIGHT, |u, v| {
        let ray_cam = [
            (f64::from(u) + 0.5 - f64::from(WIDTH) / 2.0) / FOCAL_PX,
            (f64::from(v) + 0.5 - f64::from(HEIGHT) / 2.0) / FOCAL_PX,
            1.0,
        ];
        // The inverse of a rotation is its transpose.
        let ray = [0, 1, 2].map(|axis| (0..3).map(|row| rows[row][axis] * ray_cam[row]).sum::<f64>());
        let distance = -eye[1] / ray[1];
        let hit = [eye[0] + distance * ray[0], eye[2] + distance * ray[2]];
        let on_floor = ray[1] > 0.0 && hit.iter().all(|x| x.abs() < FLOOR);
        image::Rgb(if on_floor { floor_rgb(hit[0], hit[1]) } else { [30, 30, 40] })
    })
}

/// Writes `views` photos to `dir/images` and their model to `dir/sparse/0`.
pub(crate) fn write(dir: &Path, views: u32) -> std::io::Result<()> {
    let (images, sparse) = (dir.join("images"), dir.join("sparse/0"));
    fs::create_dir_all(&images)?;
    fs::create_dir_all(&sparse)?;
    let (cx, cy) = (f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0);
    fs::write(
        sparse.join("cameras.txt"),
        format!("1 PINHOLE {WIDTH} {HEIGHT} {FOCAL_PX} {FOCAL_PX} {cx} {cy}\n"),
    )?;
    let mut model = String::new();
    for view in 0..views {
        let angle = std::f64::consts::TAU * f64::from(view) / f64::from(views);
        let eye = [RADIUS * angle.cos(), -CAMERA_HEIGHT, RADIUS * angle.sin()];
        let rows = look_at_middle(eye);
        let [w, x, y, z] = quaternion(rows);
        let [tx, ty, tz] = rows.map(|row| -dot(row, eye));
        let name = format!("view_{view:02}.png");
        let id = view + 1;
        // The second line lists points seen in the photo; training does not need it.
        let _ = writeln!(model, "{id} {w} {x} {y} {z} {tx} {ty} {tz} 1 {name}\n");
        photo(eye, rows).save(images.join(name)).map_err(std::io::Error::other)?;
    }
    fs::write(sparse.join("images.txt"), model)?;
    let mut points = String::new();
    for i in 0..POINTS_PER_SIDE * POINTS_PER_SIDE {
        let at = |i: u32| FLOOR * (2.0 * (f64::from(i) + 0.5) / f64::from(POINTS_PER_SIDE) - 1.0);
        let (x, z) = (at(i % POINTS_PER_SIDE), at(i / POINTS_PER_SIDE));
        let [r, g, b] = floor_rgb(x, z);
        let _ = writeln!(points, "{} {x} 0 {z} {r} {g} {b} 0.5", i + 1);
    }
    fs::write(sparse.join("points3D.txt"), points)
}
