//! Which form of the photos a step is trained on.

use std::sync::Arc;

use super::config::TrainConfig;
use super::memory::Workload;
use super::trainer::Trainer;
use crate::dataset::Dataset;
use crate::render::RendererKind;
use crate::{Error, Result};

/// A run's photos.
#[derive(Debug)]
pub(super) struct Photos {
    /// What was asked for; the run's cameras, extent and scale floors are this one's.
    pub(super) given: Arc<Dataset>,
    /// The same undistorted: of a run that begins with photos as they were taken and ends with EWA, which draws pinholes
    /// alone.
    flat: Option<Arc<Dataset>>,
}

impl Photos {
    /// # Errors
    /// [`Error::NeedsGut`] or [`Error::RollingNeedsGut`] for EWA on photos that it cannot draw, [`Error::View`] for a lens
    /// that no flat picture can stand for in a run that ends with EWA.
    pub(super) fn new(given: Arc<Dataset>, config: &TrainConfig) -> Result<Self> {
        let bent = given.keeps_distortion();
        if bent && config.renderer_kind() == RendererKind::Ewa {
            let model = given.distorted_lens().map(|lens| lens.model.name());
            return Err(model.map_or(Error::RollingNeedsGut, |model| Error::NeedsGut { model }));
        }
        let ends_flat = bent && config.finish_ewa_steps > 0;
        let flat = if ends_flat { Some(Arc::new(given.undistorted()?)) } else { None };
        Ok(Self { given, flat })
    }

    /// The form that a renderer trains on.
    pub(super) fn seen_by(&self, renderer: RendererKind) -> &Arc<Dataset> {
        match (&self.flat, renderer) {
            (Some(flat), RendererKind::Ewa) => flat,
            _ => &self.given,
        }
    }

    fn forms(&self) -> impl Iterator<Item = &Arc<Dataset>> {
        std::iter::once(&self.given).chain(&self.flat)
    }

    /// What decides how much memory the run needs.
    pub(super) fn workload(&self, config: &TrainConfig) -> Result<Workload> {
        let mut workload = Workload::of(&self.given, config.sh_degree, config.renderer)?;
        if let Some(flat) = &self.flat {
            let flat = Workload::of(flat, config.sh_degree, config.renderer)?;
            workload.width = workload.width.max(flat.width);
            workload.height = workload.height.max(flat.height);
        }
        Ok(workload)
    }
}

impl Trainer {
    /// What decides how much memory this run needs, besides how many Gaussians it has.
    ///
    /// # Errors
    /// As [`Workload::of`].
    pub fn workload(&self) -> Result<Workload> {
        self.photos.workload(&self.config)
    }

    /// Bytes of memory that this run's photos take at most; see [`Dataset::peak_memory_bytes`].
    #[must_use]
    pub fn peak_photo_bytes(&self) -> u64 {
        // One form at a time: what was decoded of the other is let go.
        self.photos.forms().map(|dataset| dataset.peak_memory_bytes()).max().unwrap_or(0)
    }

    /// The dataset in use: the one given, or, in the last steps by EWA of photos that kept their distortion, the same
    /// undistorted.
    #[must_use]
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// Trains on the form of the photos that the renderer in force can draw.
    pub(super) fn use_fitting_photos(&mut self) {
        let fitting = self.photos.seen_by(self.renderer());
        if !Arc::ptr_eq(fitting, &self.dataset) {
            self.dataset.forget_images();
            self.dataset = Arc::clone(fitting);
        }
    }
}
