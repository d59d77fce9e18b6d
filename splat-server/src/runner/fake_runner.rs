//! Test mode: simulates a job without COLMAP and GPU, so that clients can be tested in seconds.
//!
//! Stages run in the same order as in a real run and resume in the same way; the scene is a coloured ball. Faults come from the
//! job's `test` option.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use glam::DVec3;
use splat_core::events::Stage;
use splat_core::files::{make_parent, write_atomically, write_error};
use splat_core::pipeline::{Around, OutputFolder, Picture, Viewer, save_png};
use splat_core::ply::{self, PlyOptions};
use splat_core::{Camera, CancelToken, Event, GaussianCloud, Pinhole, Pose};

use super::{Ended, Failure, Order};
use crate::layout;
use crate::scene::{Faults, RetryFrom};

/// The simulated stages, in order.
const STAGES: [Stage; 8] = [
    Stage::Prepare,
    Stage::Features,
    Stage::Matching,
    Stage::Mapping,
    Stage::Undistort,
    Stage::Train,
    Stage::Save,
    Stage::Evaluate,
];
const STAGE_MS: u32 = 50;
const GAUSSIANS: u32 = 2_000;
/// Progress events per stage.
const PARTS: u32 = 5;
/// The degree-0 spherical harmonic, which converts colours to coefficients (Kerbl et al. 2023).
const SH_C0: f32 = 0.282_094_8;

/// Size of live views, and their lens.
const PICTURE: (u32, u32) = (480, 320);
const PICTURE_LENS: Pinhole =
    Pinhole { width: PICTURE.0, height: PICTURE.1, fx: 400.0, fy: 400.0, cx: 240.0, cy: 160.0 };
/// Initial distance of the camera, in radii of the ball.
const DISTANCE: f64 = 3.5;

struct FakeRun<'a> {
    order: &'a Order,
    events: &'a (dyn Fn(Event) + Sync),
    viewer: &'a dyn Viewer,
    cancel: &'a CancelToken,
    faults: Faults,
    output: OutputFolder,
    started: Instant,
}

pub(super) fn run(
    order: &Order,
    events: &(dyn Fn(Event) + Sync),
    viewer: &dyn Viewer,
    cancel: &CancelToken,
) -> Result<Ended, Failure> {
    let output = OutputFolder::create(layout::MODEL)?;
    let faults = order.spec.options.test.clone().unwrap_or_default();
    let fake_run = FakeRun { order, events, viewer, cancel, faults, output, started: Instant::now() };
    let mut done = fake_run.finished();
    if let Some(from) = order.spec.redo_from
        && order.first_attempt
    {
        done.retain(|stage| place(*stage) < place(first_stage(from)));
    }
    for stage in STAGES {
        if cancel.is_cancelled() {
            return Ok(Ended::Cancelled);
        }
        (fake_run.events)(Event::StageStarted { stage });
        let skipped = done.contains(&stage);
        if !skipped && !fake_run.run_stage(stage)? {
            return Ok(Ended::Cancelled);
        }
        done.insert(stage);
        fake_run.note(&done)?;
        fake_run.log(&format!("{} done", name(stage)))?;
        let elapsed_s = fake_run.started.elapsed().as_secs_f64();
        (fake_run.events)(Event::StageFinished { stage, elapsed_s, skipped });
    }
    fake_run.outcome()
}

impl FakeRun<'_> {
    /// Runs one stage; false if it was cancelled.
    fn run_stage(&self, stage: Stage) -> Result<bool, Failure> {
        if self.faults.fail_at == Some(stage) {
            return Err(Failure::ActedOut { stage: name(stage) });
        }
        if self.faults.crash_at == Some(stage) {
            std::process::abort();
        }
        if self.faults.crash_once_at == Some(stage) && !self.crashed().exists() {
            fs::write(self.crashed(), []).map_err(|error| write_error(&self.crashed(), error))?;
            std::process::abort();
        }
        while self.faults.hang_at == Some(stage) {
            if stage == Stage::Train {
                self.look(1);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let pause = Duration::from_millis(u64::from(self.faults.stage_ms.unwrap_or(STAGE_MS))) / PARTS;
        for part in 1..=PARTS {
            // Sleeps in short steps, so that cancellation takes effect within the promised second.
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if self.cancel.is_cancelled() {
                    return Ok(false);
                }
                if stage == Stage::Train {
                    self.look(part);
                }
                std::thread::sleep(
                    Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())),
                );
            }
            self.report_progress(stage, part, pause)?;
        }
        if stage == Stage::Save {
            self.save()?;
        }
        Ok(true)
    }

    fn report_progress(&self, stage: Stage, part: u32, pause: Duration) -> Result<(), Failure> {
        if stage != Stage::Train {
            let (done, total) = (u64::from(part), Some(u64::from(PARTS)));
            (self.events)(Event::StageProgress { stage, done, total });
            return Ok(());
        }
        let steps = self.order.spec.options.steps();
        let step = (steps * part / PARTS).max(1);
        let elapsed_s = pause.as_secs_f64() * f64::from(part);
        let gaussians = self.gaussians() * part / PARTS;
        (self.events)(Event::Step {
            step,
            steps,
            loss: 0.3 / part as f32,
            gaussians,
            steps_per_s: f64::from(step) / elapsed_s.max(1e-3),
            elapsed_s,
            eta_s: Some(pause.as_secs_f64() * f64::from(PARTS - part)),
        });
        let psnr = 18.0 + f64::from(part);
        let (cc_psnr, ssim) = (Some(psnr + 0.5), 0.5 + 0.08 * f64::from(part));
        (self.events)(Event::Eval { step, psnr, cc_psnr, ssim, elapsed_s, gaussians });
        let path = self.output.preview();
        let (width, height) = (96_u32, 64_u32);
        let shade =
            |i: u32| [(i % width * 255 / width) as u8, (i / width * 255 / height) as u8, (part * 50) as u8];
        let pixels: Vec<u8> = (0..width * height).flat_map(shade).collect();
        save_png(&path, width, height, &pixels)?;
        (self.events)(Event::Saved { path, kind: "preview".into() });
        Ok(())
    }

    /// Renders a live view of the ball, which depends on the camera.
    fn look(&self, part: u32) {
        let Some(look) = self.viewer.next_look() else { return };
        let pose = look.cam_from_world.unwrap_or(Pose { translation: DISTANCE * DVec3::Z, ..Pose::IDENTITY });
        let width = look.longest_side.min(PICTURE.0);
        let intrinsics = PICTURE_LENS.resized(width, (width * PICTURE.1 / PICTURE.0).max(1));
        let pixels = (0..intrinsics.height).flat_map(|y| (0..intrinsics.width).map(move |x| (x, y)));
        let rgb = pixels.flat_map(|(x, y)| {
            let [x, y] = [
                (f64::from(x) + 0.5 - intrinsics.cx) / intrinsics.fx,
                (f64::from(y) + 0.5 - intrinsics.cy) / intrinsics.fy,
            ];
            seen(&pose, DVec3::new(x, y, 1.0).normalize())
        });
        self.viewer.show(Picture {
            rgb: rgb.collect(),
            camera: Camera { intrinsics, cam_from_world: pose },
            around: Around { point: DVec3::ZERO, up: DVec3::NEG_Y },
            step: (self.order.spec.options.steps() * part / PARTS).max(1),
        });
    }

    fn save(&self) -> Result<(), Failure> {
        let path = self.output.ply(self.order.spec.options.steps());
        make_parent(&path)?;
        let comments = vec!["Generated by splat's test mode: not a reconstruction".to_owned()];
        ply::write(&path, &ball(self.gaussians()), &PlyOptions { comments, ..PlyOptions::default() })?;
        (self.events)(Event::Saved { path, kind: "ply".into() });
        Ok(())
    }

    fn outcome(&self) -> Result<Ended, Failure> {
        let steps = self.order.spec.options.steps();
        let outcome = serde_json::json!({
            "ply": self.output.ply(steps), "gaussians": self.gaussians(), "steps_done": steps, "steps": steps,
            "psnr": 18.0 + f64::from(PARTS), "ssim": 0.9, "test_mode": true,
        });
        let path = self.output.metrics();
        write_atomically(&path, |out| {
            serde_json::to_writer_pretty(out, &outcome).map_err(std::io::Error::from)
        })?;
        (self.events)(Event::Saved { path, kind: "metrics".into() });
        Ok(Ended::Succeeded { outcome })
    }

    fn gaussians(&self) -> u32 {
        self.faults.gaussians.unwrap_or(GAUSSIANS)
    }

    fn crashed(&self) -> PathBuf {
        self.output.root().join("crashed")
    }

    fn notes(&self) -> PathBuf {
        self.output.root().join("rehearsal.json")
    }

    /// Stages finished by an earlier attempt.
    fn finished(&self) -> BTreeSet<Stage> {
        fs::read(self.notes()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn note(&self, done: &BTreeSet<Stage>) -> Result<(), Failure> {
        write_atomically(&self.notes(), |out| {
            serde_json::to_writer(out, done).map_err(std::io::Error::from)
        })?;
        Ok(())
    }

    fn log(&self, line: &str) -> Result<(), Failure> {
        let path = self.output.log();
        append(&path, line).map_err(|error| write_error(&path, error))?;
        Ok(())
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    writeln!(OpenOptions::new().create(true).append(true).open(path)?, "{line}")
}

fn name(stage: Stage) -> String {
    serde_json::to_value(stage).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn place(stage: Stage) -> usize {
    STAGES.iter().position(|&other| other == stage).unwrap_or(usize::MAX)
}

fn first_stage(from: RetryFrom) -> Stage {
    match from {
        RetryFrom::Prepare => Stage::Prepare,
        RetryFrom::Features => Stage::Features,
        RetryFrom::Matching => Stage::Matching,
        RetryFrom::Mapping => Stage::Mapping,
        RetryFrom::Train => Stage::Train,
    }
}

/// Colour that a camera sees in a direction: that of the [`ball`], or black.
fn seen(pose: &Pose, direction: DVec3) -> [u8; 3] {
    let (eye, direction) = (pose.centre(), pose.inverse().rotation * direction);
    let middle = -eye.dot(direction);
    let inside = middle * middle - eye.length_squared() + 1.0;
    if middle <= 0.0 || inside < 0.0 {
        return [0; 3];
    }
    let point = eye + (middle - inside.sqrt()) * direction;
    point.to_array().map(|c| (255.0 * (0.5 + 0.5 * c).clamp(0.0, 1.0)) as u8)
}

/// Gaussians evenly distributed over a unit sphere (Fibonacci lattice), coloured by position.
fn ball(count: u32) -> GaussianCloud {
    let golden = std::f32::consts::PI * (3.0 - 5.0_f32.sqrt());
    let means: Vec<[f32; 3]> = (0..count)
        .map(|i| {
            let y = 1.0 - 2.0 * (i as f32 + 0.5) / count as f32;
            let (radius, angle) = ((1.0 - y * y).sqrt(), golden * i as f32);
            [radius * angle.cos(), y, radius * angle.sin()]
        })
        .collect();
    let spacing = (4.0 / count as f32).sqrt().ln();
    let colour = |m: &[f32; 3]| m.map(|c| 0.5 * c / SH_C0);
    GaussianCloud {
        sh_coeffs: means.iter().map(colour).collect(),
        quats: vec![[1.0, 0.0, 0.0, 0.0]; means.len()],
        log_scales: vec![[spacing; 3]; means.len()],
        opacity_logits: vec![3.0; means.len()],
        means,
        sh_degree: 0,
    }
}
