//! Progress bars for a terminal: one for the current stage, and lines above it for finished ones.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use splat_core::Event;
use splat_core::events::Stage;
use splat_core::text::{duration, thousands};

const TICK: Duration = Duration::from_millis(120);
const SPINNER: &str = "{spinner} {prefix} {msg} [{elapsed}]";
const BAR: &str = "{spinner} {prefix} {wide_bar} {msg}";

/// The terminal's last line.
pub(super) struct Bars {
    bar: ProgressBar,
    stage: Option<Stage>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self { bar: ProgressBar::hidden(), stage: None }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::StageStarted { stage } => self.begin(*stage, None),
            Event::StageProgress { stage, done, total } => {
                self.begin(*stage, *total);
                self.bar.set_position(*done);
                let message = total
                    .map_or_else(|| thousands(*done), |t| format!("{}/{}", thousands(*done), thousands(t)));
                self.bar.set_message(message);
            }
            Event::Step { step, steps, loss, gaussians, steps_per_s, eta_s, .. } => {
                self.begin(Stage::Train, Some(u64::from(*steps)));
                self.bar.set_position(u64::from(*step));
                self.bar.set_message(format!(
                    "{}/{} · loss {loss:.4} · {} Gaussians · {steps_per_s:.1} step/s{}",
                    thousands(u64::from(*step)),
                    thousands(u64::from(*steps)),
                    thousands(u64::from(*gaussians)),
                    eta_s.map_or(String::new(), |eta_s| format!(" · {} left", duration(eta_s))),
                ));
            }
            Event::StageFinished { stage, .. } => {
                if self.stage == Some(*stage) {
                    self.clear();
                }
                self.line(&event.to_string());
            }
            other => self.line(&other.to_string()),
        }
    }

    /// Prints a line above the bar.
    pub(super) fn line(&self, text: &str) {
        if self.bar.is_hidden() { super::print_err(text) } else { self.bar.println(text) }
    }

    /// Removes the bar from the screen.
    pub(super) fn clear(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        self.stage = None;
    }

    /// Shows the stage's bar, replacing that of another stage.
    fn begin(&mut self, stage: Stage, total: Option<u64>) {
        if self.stage != Some(stage) {
            self.clear();
            self.bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            self.bar.set_style(style(SPINNER));
            self.bar.set_prefix(stage.title());
            self.bar.enable_steady_tick(TICK);
            self.stage = Some(stage);
        }
        if let Some(total) = total {
            self.bar.set_style(style(BAR));
            self.bar.set_length(total);
        }
    }
}

/// A style; the default one if the template does not parse (a test checks that it does).
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_parse() {
        for template in [SPINNER, BAR] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
