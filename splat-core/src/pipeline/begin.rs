//! Starts a run: new, from points or a scene, or resumed from its latest checkpoint.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::Pipeline;
use super::budget::Budget;
use super::train::{Progress, progress_path, read_progress};
use crate::dataset::Dataset;
use crate::gpu::Gpu;
use crate::train::{TrainConfig, Trainer};
use crate::{Error, Result};

impl Pipeline<'_> {
    /// A new trainer, or one from the newest readable checkpoint.
    pub(super) fn trainer(&self, gpu: &Gpu, dataset: &Arc<Dataset>) -> Result<(Trainer, Progress)> {
        let checkpoints = if self.options.resume { self.own_checkpoints()? } else { Vec::new() };
        for path in &checkpoints {
            match Trainer::resume(gpu, Arc::clone(dataset), path) {
                Ok(mut trainer) => {
                    self.log.line(&format!("resumed from {}", path.display()));
                    let own = trainer.config();
                    // If unset, renderer, alpha mode and backdrop follow from the dataset, which is the same. An extended run has
                    // other schedules.
                    let wanted = TrainConfig {
                        steps: own.steps,
                        pace: own.pace,
                        renderer: self.options.train.renderer.or(own.renderer),
                        alpha_mode: self.options.train.alpha_mode.or(own.alpha_mode),
                        backdrop: self.options.train.backdrop.or(own.backdrop),
                        coarse_until: own.coarse_until.clone(),
                        sh_degree_every: own.sh_degree_every,
                        ..self.options.train.clone()
                    };
                    let longer = self.options.extend_to.filter(|steps| *steps > own.steps);
                    let other_steps = self.options.train.steps != own.steps
                        && longer.is_none()
                        && self.options.deadline.is_none();
                    let ignored = own != &wanted || other_steps;
                    if let Some(steps) = longer {
                        trainer.extend_to(steps)?;
                    }
                    if ignored {
                        self.warn(format!(
                            "going on with the settings of `{}`: {} steps, seed {}; other settings given now are not used",
                            path.display(),
                            trainer.config().steps,
                            trainer.config().seed
                        ));
                    }
                    let run = self.output.run_id();
                    let progress = Progress { run, ..read_progress(&progress_path(path)) };
                    return Ok((trainer, progress));
                }
                // If this checkpoint is damaged, an older one may be usable; errors of the device affect all of them.
                Err(error @ (Error::Malformed { .. } | Error::Read { .. })) => {
                    self.warn(format!("checkpoint `{}` is skipped: {error}", path.display()));
                }
                Err(error) => return Err(error),
            }
        }
        if self.options.resume {
            self.warn("there is no checkpoint to go on from; training begins anew".into());
        }
        if self.options.train.alpha_mode.is_none()
            && let Some(note) = dataset.alpha_note()
        {
            self.warn(format!("{note}; `--alpha` decides otherwise"));
        }
        let trainer = match &self.options.init {
            None => Trainer::new(gpu, Arc::clone(dataset), self.new_run())?,
            Some(path) => self.trainer_from_scene(gpu, dataset, path)?,
        };
        if self.options.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.warn(
                "the time given was over before training began; a few steps are trained all the same, so that there is a \
                 scene to look at"
                    .into(),
            );
        }
        // Only now, since a run that cannot start must not move anything.
        let (older, run) = self.output.begin_run(
            self.options.dataset_place.as_ref(),
            &self.options.dataset,
            trainer.config().alpha(),
        )?;
        if let Some(older) = older {
            self.warn(format!(
                "what an earlier run left in `{}` is kept in `{}`; remove that when it is not needed",
                self.output.root().display(),
                older.display()
            ));
        }
        Ok((trainer, Progress { run, ..Progress::default() }))
    }

    /// The settings of a new run.
    fn new_run(&self) -> TrainConfig {
        let config = self.options.train.clone();
        match self.options.deadline {
            Some(_) => TrainConfig { steps: Budget::first_guess(), ..config },
            None => config,
        }
    }

    /// A new trainer that starts with the Gaussians of a scene file.
    fn trainer_from_scene(&self, gpu: &Gpu, dataset: &Arc<Dataset>, path: &Path) -> Result<Trainer> {
        let path = &super::SavedScene::find(path)?.scene;
        let scene = crate::formats::read(path)?;
        for note in &scene.notes {
            self.warn(format!("`{}`: {note}", path.display()));
        }
        if scene.cloud.is_empty() {
            let what = "it holds no Gaussian to start with".to_owned();
            return Err(Error::Malformed { path: path.to_owned(), format: "scene", what });
        }
        let count = scene.cloud.len();
        self.log.line(&format!("starts with the {count} Gaussians of {}", path.display()));
        let config = self.new_run();
        let trainer = Trainer::from_scene(gpu, Arc::clone(dataset), config, scene.cloud, scene.origin)?;
        let kept = trainer.gaussian_count();
        if (kept as usize) < count {
            self.warn(format!(
                "of the {count} Gaussians of `{}` the {kept} most visible are taken: more do not fit; raise --max-gaussians if it \
                 is what limits them",
                path.display()
            ));
        }
        Ok(trainer)
    }

    /// Checkpoints of the latest run in the folder, newest first. Others may have been copied there by the user.
    pub(super) fn own_checkpoints(&self) -> Result<Vec<std::path::PathBuf>> {
        let own = self.output.run_id();
        let is_own = |path: &std::path::PathBuf| {
            let run = read_progress(&progress_path(path)).run;
            run.is_empty() || run == own
        };
        Ok(self.output.checkpoints()?.into_iter().filter(is_own).collect())
    }
}
