//! Extracts photos from a video: sharp frames at equal steps of motion, by ffmpeg if it is installed.
//!
//! ffmpeg reads untrusted input, so it gets its own folder, no network, a fixed demuxer, two threads and a time limit. It is
//! killed with all its children when the time is over or the request is dropped.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::process::Command;

use super::error::{IntakeError, RejectCode, Result, at};
use super::sniff::VideoKind;
use super::{Limits, frames};
use crate::child::{self, Done};
use crate::store::blocking;

/// Frames at shorter intervals show nothing new.
const MOST_FRAMES_PER_SECOND: f64 = 4.0;
/// Frames examined per frame that may be chosen.
const LOOKED_AT_PER_FRAME: usize = 4;
/// Maximum bytes per allocation of ffmpeg: a frame with 16-bit colours of the largest photos.
const MAX_ALLOCATION: &str = "1073741824";
const POLL: Duration = Duration::from_millis(250);
/// Reading the container's header is quick; scanning a video without a duration takes longer.
const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// The programs that read videos.
#[derive(Clone, Debug)]
pub(super) struct Ffmpeg {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
}

/// A video file, and what reads it.
pub(super) struct Video<'a> {
    pub(super) ffmpeg: &'a Ffmpeg,
    /// Folder of the file, to which output is written too.
    pub(super) dir: &'a Path,
    /// Name of the file.
    pub(super) file: &'a str,
    pub(super) kind: VideoKind,
    pub(super) limits: &'a Limits,
}

/// Why a video is rejected.
pub(super) type Refusal = (RejectCode, String);

impl Ffmpeg {
    /// Finds both programs in `PATH`.
    pub(super) fn find() -> Option<Self> {
        let find = |name: &str| {
            let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
            std::env::split_paths(&std::env::var_os("PATH")?)
                .map(|dir| dir.join(&name))
                .find(|path| path.is_file())
        };
        Some(Self { ffmpeg: find("ffmpeg")?, ffprobe: find("ffprobe")? })
    }
}

impl Video<'_> {
    /// Duration in seconds.
    pub(super) async fn duration(&self) -> Result<std::result::Result<f64, Refusal>> {
        let bad = || {
            Ok(Err((
                RejectCode::BadVideo,
                "it is no readable video; copy it again, or send photos".to_owned(),
            )))
        };
        let asked = ["-show_entries", "stream=width,height:format=duration", "-of", "json"];
        let Some(done) = self.probe(&asked).await? else { return bad() };
        let Ok(found) = serde_json::from_slice::<Probed>(&done.stdout) else { return bad() };
        let Some(stream) = found.streams.first() else { return bad() };
        if stream.width.saturating_mul(stream.height) > self.limits.max_pixels {
            let reason = format!("its frames have {}x{} pixels; scale it down", stream.width, stream.height);
            return Ok(Err((RejectCode::TooManyPixels, reason)));
        }
        let declared = found.format.duration.and_then(|text| text.parse::<f64>().ok());
        let seconds = match declared.filter(|seconds| seconds.is_finite() && *seconds > 0.0) {
            Some(seconds) => seconds,
            // Browsers record WebM without a duration. The timestamp of the last frame is used.
            None => match self.probe(&["-show_entries", "packet=pts_time", "-of", "csv=p=0"]).await? {
                Some(done) => last_time(&done.stdout),
                None => return bad(),
            },
        };
        let max = self.limits.max_video_seconds;
        if seconds > max as f64 {
            let reason =
                format!("it lasts {seconds:.0} seconds, and {max} are the most; cut it or send photos");
            return Ok(Err((RejectCode::VideoTooLong, reason)));
        }
        Ok(Ok(seconds))
    }

    async fn probe(&self, what: &[&str]) -> Result<Option<Done>> {
        let ffprobe = &self.ffmpeg.ffprobe;
        let mut command = Command::new(ffprobe);
        command.current_dir(self.dir);
        command.args(["-v", "error", "-protocol_whitelist", "file", "-max_alloc", MAX_ALLOCATION]);
        command.args(["-f", self.kind.demuxer(), "-select_streams", "v:0"]).args(what);
        command.arg(format!("file:{}", self.file));
        let done = child::output(&mut command, PROBE_LIMIT).await;
        Ok(done.map_err(at(ffprobe))?.filter(|done| done.success))
    }

    /// Extracts up to `wanted` frames from the first `seconds`, by sharpness and motion, into the new folder `frames` beside the
    /// file. Returns their paths in order.
    pub(super) async fn frames(
        &self,
        frames: &str,
        seconds: f64,
        wanted: usize,
        bytes_left: u64,
    ) -> Result<std::result::Result<Vec<PathBuf>, Refusal>> {
        let limits = self.limits;
        let out = self.dir.join(frames);
        tokio::fs::create_dir(&out).await.map_err(at(&out))?;
        let fewest = limits.min_photos;
        let sensible = (seconds * MOST_FRAMES_PER_SECOND).ceil().max(fewest as f64) as usize;
        let count = wanted.min(sensible).max(1);
        // A video of zero length is one frame.
        let rate = (count * LOOKED_AT_PER_FRAME) as f64 / seconds.max(1e-3);
        let limit = Duration::from_secs(limits.video_timeout_seconds);
        let started = Instant::now();
        let Some(chosen) = self.choose(rate, count, limit).await? else {
            return Ok(too_slow(started));
        };
        if chosen.is_empty() {
            return Ok(no_picture());
        }
        let (last, chosen) = (chosen.len(), chosen.iter());
        let select: Vec<String> = chosen.map(|place| format!("eq(n\\,{place})")).collect();
        // Timestamps are renumbered, so that no frame is duplicated to fill gaps.
        let filter = format!("fps={rate:.9},select={},setpts=N/({rate:.9}*TB)", select.join("+"));
        let mut command = self.reading();
        command.args(["-vf", &filter, "-frames:v", &last.to_string()]);
        command.args(["-pix_fmt", "yuvj420p", "-q:v", "2", "-f", "image2"]);
        command.arg(format!("file:{frames}/%05d.jpg"));
        let left = limit.saturating_sub(started.elapsed());
        let mut run = std::pin::pin!(child::output(&mut command, left));
        // The output size is checked while ffmpeg writes.
        let done = loop {
            tokio::select! {
                done = &mut run => break done.map_err(at(&self.ffmpeg.ffmpeg))?,
                () = tokio::time::sleep(POLL) => {
                    if files_in(&out).await?.iter().map(|(_, bytes)| bytes).sum::<u64>() > bytes_left {
                        return Err(IntakeError::JobTooLarge { max: limits.max_job_bytes });
                    }
                }
            }
        };
        if done.is_none() {
            return Ok(too_slow(started));
        }
        // A truncated video gives the frames before the end; other failures give none.
        let mut frames: Vec<PathBuf> = files_in(&out).await?.into_iter().map(|(path, _)| path).collect();
        frames.sort();
        Ok(if frames.is_empty() { no_picture() } else { Ok(frames) })
    }

    /// Indices of the frames that become photos, out of `rate` frames per second. `None` if examining them took too long.
    async fn choose(&self, rate: f64, count: usize, limit: Duration) -> Result<Option<Vec<usize>>> {
        const GREY: &str = "grey";
        let side = frames::SIDE;
        let filter = format!("fps={rate:.9},scale={side}:{side}:flags=area");
        let mut command = self.reading();
        let most = count.saturating_mul(LOOKED_AT_PER_FRAME);
        command.args(["-vf", &filter, "-frames:v", &most.to_string()]);
        command.args(["-pix_fmt", "gray", "-f", "rawvideo"]).arg(format!("file:{GREY}"));
        if child::output(&mut command, limit).await.map_err(at(&self.ffmpeg.ffmpeg))?.is_none() {
            return Ok(None);
        }
        let (path, fewest) = (self.dir.join(GREY), self.limits.min_photos);
        let chosen = blocking(move || {
            let scores = match frames::score(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                scores => scores.map_err(at(&path))?,
            };
            std::fs::remove_file(&path).map_err(at(&path))?;
            Ok::<_, IntakeError>(frames::choose(&scores, count, fewest))
        })
        .await?;
        Ok(Some(chosen))
    }

    /// An ffmpeg command that reads only the frames.
    fn reading(&self) -> Command {
        let limits = self.limits;
        let mut command = Command::new(&self.ffmpeg.ffmpeg);
        command.current_dir(self.dir);
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file"]);
        command.args(["-max_alloc", MAX_ALLOCATION, "-threads", "2"]);
        command.args(["-max_pixels", &limits.max_pixels.to_string()]);
        command.args(["-f", self.kind.demuxer(), "-t", &limits.max_video_seconds.to_string(), "-i"]);
        command.arg(format!("file:{}", self.file));
        command.args(["-map", "0:v:0", "-an", "-sn", "-dn", "-threads", "2"]);
        command
    }
}

type FramesOrRefusal = std::result::Result<Vec<PathBuf>, Refusal>;

fn no_picture() -> FramesOrRefusal {
    let reason = "no picture could be read from it; copy it again, or send photos";
    Err((RejectCode::BadVideo, reason.into()))
}

fn too_slow(started: Instant) -> FramesOrRefusal {
    let seconds = started.elapsed().as_secs_f64();
    let reason = format!("taking frames from it took more than {seconds:.0} seconds; cut it or send photos");
    Err((RejectCode::VideoTooLong, reason))
}

#[derive(Deserialize)]
struct Probed {
    #[serde(default)]
    streams: Vec<ProbedStream>,
    #[serde(default)]
    format: ProbedFormat,
}

#[derive(Deserialize)]
struct ProbedStream {
    #[serde(default)]
    width: u64,
    #[serde(default)]
    height: u64,
}

#[derive(Deserialize, Default)]
struct ProbedFormat {
    duration: Option<String>,
}

/// The largest time in a list with one per line; 0 if it is empty.
fn last_time(list: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(list);
    let times = text.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
    times.filter(|time| time.is_finite()).fold(0.0, f64::max)
}

async fn files_in(dir: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let mut entries = tokio::fs::read_dir(dir).await.map_err(at(dir))?;
    while let Some(entry) = entries.next_entry().await.map_err(at(dir))? {
        if let Ok(meta) = entry.metadata().await
            && meta.is_file()
        {
            found.push((entry.path(), meta.len()));
        }
    }
    Ok(found)
}
