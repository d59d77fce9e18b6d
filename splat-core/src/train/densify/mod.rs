//! Densification: adding, moving and removing Gaussians. Planned on the host from geometry and statistics, executed on the GPU.
//!
//! Both strategies return a [`Plan`], which `rearrange` executes.

mod adc;
mod mcmc;

use super::config::{DensifyConfig, Strategy, TrainConfig};
use crate::gpu::layout::{DensifyStatistic, GatherSource, Gaussian};
use crate::random::Random;

/// Input of a densification.
#[derive(Debug)]
pub(crate) struct State<'a> {
    /// Geometry `[N]`.
    pub(crate) geometry: &'a [Gaussian],
    /// Densify statistics `[N]`.
    pub(crate) statistics: &'a [DensifyStatistic],
    /// Scene extent, units of the run's frame.
    pub(crate) extent: f32,
    /// Maximum number of Gaussians.
    pub(crate) cap: usize,
    /// Step (from 0) before which this happens.
    pub(crate) step: u32,
    /// Refinements before this one; see [`TrainConfig::refinements_before`].
    pub(crate) refinements: f64,
}

/// Result of a densification.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    /// All Gaussians are listed, with new ids: some were removed.
    Anew {
        /// New geometry `[M]`.
        geometry: Vec<Gaussian>,
        /// Where colours and moments come from `[M]`.
        sources: Vec<GatherSource>,
    },
    /// Most Gaussians stay as they are.
    Changed(Changes),
}

/// Gaussians that are changed or added; they start with moments of zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// Number of Gaussians afterwards.
    pub(crate) count: u32,
    /// Their ids `[C]`, each at most once. Those beyond the present Gaussians are new.
    pub(crate) places: Vec<u32>,
    /// New geometry `[C]`.
    pub(crate) geometry: Vec<Gaussian>,
    /// Where colours come from `[C]`, by ids before the densification.
    pub(crate) sources: Vec<GatherSource>,
}

impl Plan {
    /// Number of Gaussians afterwards.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Anew { geometry, .. } => geometry.len(),
            Self::Changed(changes) => changes.count as usize,
        }
    }
}

/// Opacity after a reset, as a multiple of the pruning threshold (gsplat).
const RESET_OPACITY_FACTOR: f32 = 2.0;

fn logit(opacity: f64) -> f32 {
    let clamped = opacity.clamp(1e-6, 1.0 - 1e-6);
    (clamped / (1.0 - clamped)).ln() as f32
}

/// Source of an unchanged Gaussian, which keeps its moments.
fn kept(gid: u32) -> GatherSource {
    GatherSource { gid, keeps_moments: 1 }
}

/// Source of a new or substantially changed Gaussian, whose moments start at zero.
fn fresh(gid: u32) -> GatherSource {
    GatherSource { gid, keeps_moments: 0 }
}

/// Plans a densification with the configured strategy.
pub(crate) fn plan(config: &TrainConfig, state: &State<'_>) -> Plan {
    let purpose = 0x6465_6e73;
    let mut random = Random::new(config.seed, purpose, state.step);
    match config.strategy {
        Strategy::Adc => adc::adc(config, state, &random),
        Strategy::Mcmc => Plan::Changed(mcmc::mcmc(&config.densify, state, &mut random)),
    }
}

/// Random numbers drawn by [`offset_within`]: three normal ones.
const DRAWS_PER_OFFSET: u64 = 6;

/// Draws an offset from a Gaussian, relative to its mean.
fn offset_within(gaussian: &Gaussian, random: &mut Random) -> glam::Vec3 {
    let [w, x, y, z] = gaussian.quat;
    let q = glam::Quat::from_xyzw(x, y, z, w);
    let rotation = if q.length_squared() > 1e-24 { q.normalize() } else { glam::Quat::IDENTITY };
    let mut drawn = glam::Vec3::ZERO;
    for axis in 0..3 {
        drawn[axis] = random.normal() as f32 * gaussian.log_scale[axis].exp();
    }
    rotation * drawn
}

/// Resets opacities to just above the pruning threshold; Gaussians that are not needed stay faint and are pruned later.
pub(crate) fn reset_opacities(geometry: &mut [Gaussian], settings: &DensifyConfig) {
    let limit = logit(f64::from(settings.prune_opacity * RESET_OPACITY_FACTOR));
    for gaussian in geometry {
        gaussian.opacity_logit = gaussian.opacity_logit.min(limit);
    }
}

/// Opacity logit of a Gaussian that the next MCMC refinement will relocate.
pub(crate) fn faint(settings: &DensifyConfig) -> f32 {
    logit(0.5 * f64::from(settings.prune_opacity))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
pub(super) mod tests;
