//! The opened parts that servers, workers and the management of keys use.

use std::sync::Arc;

use crate::config::Config;
use crate::gesture::models::Models;
use crate::intake::Intake;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::store::JobStore;

/// The opened parts of the service. A clone shares all of them.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The resolved configuration.
    pub config: Arc<Config>,
    /// The queue of jobs.
    pub queue: Arc<dyn Queue>,
    /// API keys.
    pub keys: Keys,
    /// Files of jobs.
    pub store: JobStore,
    /// Gesture models.
    pub models: Models,
    /// Receives what clients send.
    pub intake: Intake,
    /// Metrics for operators.
    pub metrics: Arc<Metrics>,
}
