//! Metrics for operators, in the Prometheus text format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::queue::Ending;

/// Labels of requests. Routes are patterns, so that their number is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// `GET` ...
    pub method: String,
    /// `/v1/jobs/{id}` ...
    pub route: String,
    /// `200` ...
    pub status: u16,
}

/// Labels of the ends of attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndingLabels {
    /// `succeeded`, `failed`, `retry`, `cancelled`, `released`.
    pub ending: &'static str,
}

/// Labels of jobs by state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LaneLabels {
    /// `scene`, `cpu` or `webhook`.
    pub lane: &'static str,
    /// `queued` or `running`.
    pub state: &'static str,
}

/// Label of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LineLabels {
    /// `scene`, `cpu` or `webhook`.
    pub lane: &'static str,
}

/// Label of a stage of a scene.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StageLabels {
    /// `features`, `train` ...
    pub stage: &'static str,
}

/// Label of a key. There are as many as the operator made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KeyLabels {
    /// Id of the key; `local` without keys.
    pub key: String,
}

/// Buckets from 0.1 s to two days.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.1, 3.0, 14))
}

/// All metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Responses by method, route and status.
    pub requests: Family<RequestLabels, Counter>,
    /// Seconds until the response began.
    pub latency: Histogram,
    /// Event streams open now.
    pub streams: Gauge,
    /// Attempts started.
    pub attempts: Counter,
    /// Attempts by how they ended.
    pub endings: Family<EndingLabels, Counter>,
    /// Jobs by lane and state, as of the last check.
    pub jobs: Family<LaneLabels, Gauge>,
    /// Free bytes on the data folder's disk, as of the last check.
    pub disk_free: Gauge,
    /// Job folders that the queue does not know, as of the last sweep; none of them is deleted.
    pub unknown_folders: Gauge,
    /// Seconds that jobs waited for a worker, from when they could have been claimed.
    pub waits: Family<LineLabels, Histogram, fn() -> Histogram>,
    /// Seconds that attempts took.
    pub durations: Family<LineLabels, Histogram, fn() -> Histogram>,
    /// Seconds that stages of scenes took.
    pub stages: Family<StageLabels, Histogram, fn() -> Histogram>,
    /// Seconds of attempts by key.
    pub use_by_key: Family<KeyLabels, Counter<f64, AtomicU64>>,
    /// Webhooks that were not delivered after all attempts.
    pub webhooks_lost: Counter,
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("splat");
        let metrics = Self {
            requests: Family::default(),
            // Buckets from 0.5 ms to 16 s.
            latency: Histogram::new(exponential_buckets(0.0005, 2.0, 16)),
            streams: Gauge::default(),
            attempts: Counter::default(),
            endings: Family::default(),
            jobs: Family::default(),
            disk_free: Gauge::default(),
            unknown_folders: Gauge::default(),
            waits: Family::new_with_constructor(seconds),
            durations: Family::new_with_constructor(seconds),
            stages: Family::new_with_constructor(seconds),
            use_by_key: Family::default(),
            webhooks_lost: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("http_requests", "Requests answered", metrics.requests.clone());
        registry.register("http_request_seconds", "Seconds until an answer began", metrics.latency.clone());
        registry.register("event_streams", "Event streams open", metrics.streams.clone());
        registry.register("job_attempts", "Attempts begun by this process", metrics.attempts.clone());
        registry.register("job_endings", "Attempts ended by this process", metrics.endings.clone());
        registry.register("jobs", "Jobs by lane and state", metrics.jobs.clone());
        registry.register("disk_free_bytes", "Bytes free where job files lie", metrics.disk_free.clone());
        registry.register(
            "unknown_job_folders",
            "Folders of jobs that the queue does not know; none of them is deleted",
            metrics.unknown_folders.clone(),
        );
        let waits = "Seconds that jobs waited for a worker of this process";
        registry.register("job_wait_seconds", waits, metrics.waits.clone());
        registry.register("job_seconds", "Seconds that attempts took", metrics.durations.clone());
        registry.register("stage_seconds", "Seconds that stages of scenes took", metrics.stages.clone());
        let by_key = "Seconds of attempts by the id of a key";
        registry.register("key_job_seconds", by_key, metrics.use_by_key.clone());
        registry.register(
            "webhooks_lost",
            "Webhooks given up after all attempts",
            metrics.webhooks_lost.clone(),
        );
        Self { registry, ..metrics }
    }

    /// Counts the end of an attempt.
    pub fn ended(&self, ending: &Ending) {
        let ending = match ending {
            Ending::Succeeded { .. } => "succeeded",
            Ending::Failed(_) => "failed",
            Ending::Retry(_) => "retry",
            Ending::Cancelled => "cancelled",
            Ending::Released => "released",
        };
        self.endings.get_or_create(&EndingLabels { ending }).inc();
    }

    /// The metrics in Prometheus's text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
