//! The photos of a run: as given, or undistorted for its last steps.

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
    /// The dataset as given; it determines the run's cameras, extent and scale floors.
    pub(super) given: Arc<Dataset>,
    /// The same, undistorted, for a run that begins with distorted photos and ends with EWA, which supports only pinholes.
    flat: Option<Arc<Dataset>>,
}

impl Photos {
    /// # Errors
    /// [`Error::NeedsGut`] or [`Error::RollingNeedsGut`] for EWA on photos that it cannot render, [`Error::View`] for a lens that cannot
    /// be undistorted, in a run that ends with EWA.
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

    /// The version that a renderer trains on.
    pub(super) fn for_renderer(&self, renderer: RendererKind) -> &Arc<Dataset> {
        match (&self.flat, renderer) {
            (Some(flat), RendererKind::Ewa) => flat,
            _ => &self.given,
        }
    }

    fn forms(&self) -> impl Iterator<Item = &Arc<Dataset>> {
        std::iter::once(&self.given).chain(&self.flat)
    }

    /// The run's workload, which determines its memory.
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
    /// The properties of this run, besides its number of Gaussians, that determine its memory.
    ///
    /// # Errors
    /// As [`Workload::of`].
    pub fn workload(&self) -> Result<Workload> {
        self.photos.workload(&self.config)
    }

    /// Peak memory of this run's photos in bytes; see [`Dataset::peak_memory_bytes`].
    #[must_use]
    pub fn peak_photo_bytes(&self) -> u64 {
        // Only one version is in memory at a time.
        self.photos.forms().map(|dataset| dataset.peak_memory_bytes()).max().unwrap_or(0)
    }

    /// The dataset in use: the one given, or its undistorted version in the last steps of a run that ends with EWA.
    #[must_use]
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// Switches to the version of the photos that the current renderer can render.
    pub(super) fn use_fitting_photos(&mut self) {
        let fitting = self.photos.for_renderer(self.renderer());
        if !Arc::ptr_eq(fitting, &self.dataset) {
            self.dataset.forget_images();
            self.dataset = Arc::clone(fitting);
        }
    }
}
