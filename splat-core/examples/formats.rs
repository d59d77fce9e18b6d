//! How fast scenes are written and read, and in how much memory: one million Gaussians in every form.
//!
//! ```sh
//! cargo run --release -p splat-core --no-default-features --example formats -- 1000000
//! ```
//!
//! Memory is the most that the process held at once (reported on Linux only), less what it held before; the cloud itself is part of
//! what reading takes, and not of what writing takes.

#![expect(clippy::print_stdout, reason = "an example says what it finds")]

use std::path::Path;
use std::time::Instant;

use splat_core::GaussianCloud;
use splat_core::formats::{self, Format, SplatScene, SpzVersion};
use splat_core::random::Random;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("splat-formats-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = run(count, &folder);
    std::fs::remove_dir_all(&folder)?;
    for row in result? {
        println!("{row}");
    }
    Ok(())
}

/// Writes and reads a made-up scene of `count` Gaussians of degree 3 in every form; gives a line for each.
///
/// # Errors
/// What writing or reading says.
pub fn run(count: usize, folder: &Path) -> splat_core::Result<Vec<String>> {
    let scene = SplatScene { cloud: made_up(count), ..SplatScene::default() };
    let data = count * (3 + 4 + 3 + 1 + 48) * 4;
    let mut rows = vec![
        format!("{count} Gaussians, {} MB", data / 1_000_000),
        "form           written   memory  MB on disk     read   memory".to_owned(),
    ];
    let forms = [
        Format::Ply,
        Format::CompressedPly,
        Format::Spz(SpzVersion::V2),
        Format::Spz(SpzVersion::V3),
        Format::Spz(SpzVersion::V4),
        Format::Sog,
        Format::Splat,
        Format::Glb,
    ];
    for format in forms {
        let path = folder.join(format!("scene.{}", format.extension()));
        let (written, writing) = measured(|| formats::write(&path, format, &scene));
        written?;
        let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let (read, reading) = measured(|| formats::read(&path));
        let read = read?.cloud.len();
        assert_eq!(read, count, "{format:?} gives back another number of Gaussians");
        rows.push(format!(
            "{:14} {} {:11.1} {}",
            format!("{format:?}"),
            writing.columns(data),
            size as f64 / 1e6,
            reading.columns(data)
        ));
        // Not measured with the next.
        let _ = std::fs::remove_file(&path);
    }
    Ok(rows)
}

/// Time and memory of one piece of work.
struct Cost {
    seconds: f64,
    bytes: Option<u64>,
}

impl Cost {
    fn columns(&self, data: usize) -> String {
        let memory =
            self.bytes.map_or("-".to_owned(), |bytes| format!("{:.2} x", bytes as f64 / data as f64));
        format!("{:6.2} s {memory:>8}", self.seconds)
    }
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    // Sets the peak back to what is held now.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = status("VmRSS:");
    let started = Instant::now();
    let result = work();
    let seconds = started.elapsed().as_secs_f64();
    let bytes =
        status("VmHWM:").zip(before).map(|(peak, before)| peak.saturating_sub(before)).filter(|_| reset);
    (result, Cost { seconds, bytes })
}

/// A field of `/proc/self/status` in bytes.
fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Small Gaussians in a room, haze beyond, harmonics of the size that training gives them.
fn made_up(count: usize) -> GaussianCloud {
    let mut random = Random::new(1, 0, 0);
    let coeffs = 16;
    let mut cloud = GaussianCloud { sh_degree: 3, ..GaussianCloud::default() };
    cloud.sh_coeffs.reserve_exact(count * coeffs);
    for index in 0..count {
        let reach = if index % 20 == 0 { 100.0 } else { 1.0 };
        let mut around = |middle: f64, spread: f64| (middle + spread * random.normal()) as f32;
        cloud.means.push([0.0; 3].map(|middle| around(middle, 2.0 * reach)));
        cloud.quats.push([0.0; 4].map(|middle| around(middle, 1.0)));
        cloud.log_scales.push([0.0; 3].map(|_| around(-5.0 + reach.ln(), 0.8)));
        cloud.opacity_logits.push(around(0.0, 2.0));
        cloud.sh_coeffs.push([0.0; 3].map(|middle| around(middle, 0.8)));
        cloud.sh_coeffs.extend((1..coeffs).map(|_| [0.0; 3].map(|middle| around(middle, 0.06))));
    }
    cloud
}
