//! Human-readable events, durations and sizes, for log files and terminals.

use std::fmt;

use crate::events::{Event, Stage};

/// `12345` as `12,345`.
#[must_use]
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in binary units: `1.5 GiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// Seconds as `45 s`, `3 min 20 s` or `2 h 05 min`; NaN as `?`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".into();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{} h {m:02} min", thousands(h)),
    }
}

impl Stage {
    /// Description of the stage, as the beginning of a line.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Photograph => "taking photos",
            Self::Prepare => "preparing photos",
            Self::Features => "finding features",
            Self::Matching => "matching photos",
            Self::Mapping => "placing cameras",
            Self::Undistort => "undistorting photos",
            Self::Load => "loading dataset",
            Self::Train => "training",
            Self::Evaluate => "evaluating",
            Self::Save => "saving",
            Self::Render => "rendering",
        }
    }
}

/// One line without line end, for a log file or a plain terminal.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StageStarted { stage } => write!(f, "{} ...", stage.title()),
            Self::StageProgress { stage, done, total: Some(total) } => {
                write!(f, "{}: {} of {}", stage.title(), thousands(*done), thousands(*total))
            }
            Self::StageProgress { stage, done, total: None } => {
                write!(f, "{}: {}", stage.title(), thousands(*done))
            }
            Self::StageFinished { stage, skipped: true, .. } => {
                write!(f, "{}: done by an earlier run", stage.title())
            }
            Self::StageFinished { stage, elapsed_s, skipped: false } => {
                write!(f, "{}: done in {}", stage.title(), duration(*elapsed_s))
            }
            Self::Warning { message } => write!(f, "warning: {message}"),
            Self::Placed(placement) => placement.fmt(f),
            Self::Estimate { steps_per_s, total_s, predicted_bytes } => write!(
                f,
                "estimate: about {} of training ({steps_per_s:.1} step/s) and at most {} of memory",
                duration(*total_s),
                bytes(*predicted_bytes)
            ),
            Self::Step { step, steps, loss, gaussians, steps_per_s, eta_s, .. } => {
                write!(
                    f,
                    "step {} of {}: loss {loss:.4}, {} Gaussians, {steps_per_s:.1} step/s",
                    thousands(u64::from(*step)),
                    thousands(u64::from(*steps)),
                    thousands(u64::from(*gaussians))
                )?;
                eta_s.map_or(Ok(()), |eta_s| write!(f, ", {} left", duration(eta_s)))
            }
            Self::Eval { step, psnr, cc_psnr, ssim, elapsed_s, gaussians } => write!(
                f,
                "held-out photos at step {}: PSNR {psnr:.2} dB{}, SSIM {ssim:.4} ({} of training, {} Gaussians)",
                thousands(u64::from(*step)),
                corrected(*cc_psnr),
                duration(*elapsed_s),
                thousands(u64::from(*gaussians))
            ),
            Self::Saved { path, kind } => write!(f, "wrote {kind} {}", path.display()),
        }
    }
}

/// The colour-corrected PSNR in brackets, appended to the plain one.
#[must_use]
pub fn corrected(cc_psnr: Option<f64>) -> String {
    cc_psnr.map(|psnr| format!(" ({psnr:.2} colour-corrected)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1536, 20 << 20, 3 << 30].map(bytes),
            ["0 B", "1023 B", "1.5 KiB", "20 MiB", "3.0 GiB"]
        );
        assert_eq!(
            [0.25, 59.6, 200.0, 7_500.0, f64::NAN].map(duration),
            ["0.2 s", "1 min 00 s", "3 min 20 s", "2 h 05 min", "?"]
        );
    }

    #[test]
    fn events_are_one_line_of_json_and_one_of_text() {
        let event = Event::Eval {
            step: 500,
            psnr: 22.5,
            cc_psnr: Some(23.25),
            ssim: 0.8,
            elapsed_s: 41.0,
            gaussians: 9_000,
        };
        let json = serde_json::to_string(&event).unwrap_or_default();
        assert!(
            json.starts_with(
                r#"{"event":"eval","step":500,"psnr":22.5,"cc_psnr":23.25,"ssim":0.8,"elapsed_s":41.0,"gaussians":9000"#
            ),
            "{json}"
        );
        assert_eq!(
            event.to_string(),
            "held-out photos at step 500: PSNR 22.50 dB (23.25 colour-corrected), SSIM 0.8000 (41 s of training, 9,000 \
             Gaussians)"
        );
    }
}
