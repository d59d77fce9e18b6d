//! Video encoding with the ffmpeg program: frames are piped to it, and the mp4 is written atomically.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use splat_core::CancelToken;
use splat_core::child::{self, Ended, Run, group};

use crate::failure::Failure;

const PROGRAM: &str = "ffmpeg";
/// Time limit of `-version`, which loads many libraries but computes nothing.
const VERSION_LIMIT: Duration = Duration::from_secs(60);
const NOT_THERE: &str = "install ffmpeg (`splat doctor` says how), or name a folder to get PNG frames";
const REFUSED: &str = "name a folder to get PNG frames instead";

/// The first line of ffmpeg's version; `None` if it is not installed.
pub(crate) fn version() -> Option<String> {
    let run = Run {
        program: Path::new(PROGRAM),
        arguments: &["-version".into()],
        variables: &[],
        timeout: Some(VERSION_LIMIT),
        cancel: &CancelToken::new(),
        own_group: true,
    };
    let mut lines = Vec::new();
    let ended = child::run(run, &mut |line| lines.push(line.to_owned())).ok()?;
    let succeeded = matches!(ended, Ended::Exited(status) if status.success());
    // The order of lines of both streams is undefined.
    lines.into_iter().find(|line| succeeded && line.starts_with("ffmpeg version"))
}

/// A video being written. If it is dropped before [`Video::finish`], ffmpeg is ended and no file is left.
pub(crate) struct Video {
    child: Child,
    stdin: Option<ChildStdin>,
    complaints: Option<JoinHandle<String>>,
    path: PathBuf,
    unfinished: PathBuf,
    done: bool,
}

impl Video {
    /// Starts ffmpeg for frames of `width` x `height` pixels in RGB8.
    pub(crate) fn begin(path: &Path, width: u32, height: u32, fps: u32) -> Result<Self, Failure> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)
                .map_err(|e| failure(path, format!("its folder cannot be made: {e}"), REFUSED))?;
        }
        let unfinished = path.with_extension("unfinished.mp4");
        let mut command = Command::new(PROGRAM);
        // Only this process handles a terminal's Ctrl-C: ffmpeg would finish an incomplete video.
        group::separate(&mut command);
        let mut child = command
            .args(["-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"])
            .args(["-s", &format!("{width}x{height}"), "-r", &fps.to_string(), "-i", "-", "-an"])
            // Players need even sizes and 4:2:0; with the index first, browsers can start playing immediately.
            .args([
                "-vf",
                "pad=ceil(iw/2)*2:ceil(ih/2)*2",
                "-c:v",
                "libx264",
                "-crf",
                "18",
                "-pix_fmt",
                "yuv420p",
            ])
            .args(["-movflags", "+faststart", "-f", "mp4"])
            .arg(&unfinished)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| failure(path, format!("ffmpeg cannot be started: {e}"), NOT_THERE))?;
        let stdin = child.stdin.take();
        // Read on its own thread: a full pipe would block ffmpeg, and then this process.
        let complaints = child.stderr.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = pipe.read_to_end(&mut text);
                String::from_utf8_lossy(&text).trim().to_owned()
            })
        });
        Ok(Self { child, stdin, complaints, path: path.to_path_buf(), unfinished, done: false })
    }

    /// Adds a frame.
    pub(crate) fn frame(&mut self, rgb: &[u8]) -> Result<(), Failure> {
        let written = self.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(rgb));
        written.map_err(|e| self.refusal(format!("ffmpeg stopped taking frames: {e}")))
    }

    /// Finishes the video and renames it to its final name.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        drop(self.stdin.take());
        match self.child.wait() {
            Ok(status) if status.success() => {
                std::fs::rename(&self.unfinished, &self.path)
                    .map_err(|e| failure(&self.path, format!("it cannot be renamed: {e}"), REFUSED))?;
                self.done = true;
                Ok(())
            }
            Ok(status) => Err(self.refusal(format!("ffmpeg ended with {status}"))),
            Err(error) => Err(self.refusal(format!("ffmpeg was lost: {error}"))),
        }
    }

    fn refusal(&mut self, mut what: String) -> Failure {
        self.stop();
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if let Some(last) = said.lines().last() {
            what.push_str(&format!(" ({last})"));
        }
        failure(&self.path, what, REFUSED)
    }

    fn stop(&mut self) {
        drop(self.stdin.take());
        // Once it was reaped, its id may be reused.
        if matches!(self.child.try_wait(), Ok(None)) {
            group::kill(self.child.id());
        }
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        if !self.done {
            self.stop();
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}

fn failure(path: &Path, what: String, hint: &'static str) -> Failure {
    Failure::Video { path: path.to_path_buf(), what, hint }
}
