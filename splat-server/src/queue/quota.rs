//! Usage and quota of owners, and whether jobs are accepted.

use serde::{Deserialize, Serialize};

use super::{QueueError, Result};
use crate::job::UnixMs;

/// Days for which usage is stored.
pub(crate) const DAYS_KEPT: u64 = 92;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// The day of a time, counted from 1970 (UTC).
pub(crate) fn day_of(at: UnixMs) -> u64 {
    at / DAY_MS
}

/// Usage of an owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Jobs submitted since midnight (UTC).
    pub jobs_today: u64,
    /// Milliseconds that workers held jobs, in attempts that ended since midnight (UTC).
    pub busy_ms_today: u64,
    /// Stored jobs, in all states.
    pub kept_jobs: u64,
    /// Bytes stored for them.
    pub kept_bytes: u64,
}

/// Quota of one owner; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Total bytes stored.
    pub bytes: Option<u64>,
    /// Jobs submitted per day.
    pub jobs_a_day: Option<u64>,
    /// Milliseconds of work per day. A job that has started is not stopped by it.
    pub busy_ms_a_day: Option<u64>,
}

impl Quota {
    /// No limits.
    pub const NONE: Self = Self { bytes: None, jobs_a_day: None, busy_ms_a_day: None };

    /// Checks whether one more job with this many bytes is within the quota.
    ///
    /// # Errors
    /// [`QueueError::QuotaUsedUp`] if it is not.
    pub fn check(&self, usage: &Usage, bytes: u64) -> Result<()> {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let minutes = |ms: u64| ms / 60_000;
        let used_up = |what: String| Err(QueueError::QuotaUsedUp { what });
        match *self {
            Self { bytes: Some(most), .. } if usage.kept_bytes.saturating_add(bytes) > most => {
                used_up(format!(
                    "{} MiB of scenes and photos are kept for you and this one has {} MiB more; {} MiB is the most: delete scenes that are done",
                    mib(usage.kept_bytes),
                    mib(bytes),
                    mib(most)
                ))
            }
            Self { jobs_a_day: Some(most), .. } if usage.jobs_today >= most => used_up(format!(
                "you have submitted {} jobs today and {most} is the most; the day ends at midnight UTC",
                usage.jobs_today
            )),
            Self { busy_ms_a_day: Some(most), .. } if usage.busy_ms_today >= most => used_up(format!(
                "your jobs have taken {} minutes today and {} is the most; the day ends at midnight UTC",
                minutes(usage.busy_ms_today),
                minutes(most)
            )),
            _ => Ok(()),
        }
    }
}

/// Whether jobs are accepted and started. Webhooks are sent in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Jobs are accepted and started.
    #[default]
    Open,
    /// Jobs are accepted but not started.
    Paused,
    /// No jobs are accepted; existing ones are started.
    Draining,
}

impl Mode {
    /// The number that is stored for the mode.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Open => 0,
            Self::Paused => 1,
            Self::Draining => 2,
        }
    }

    /// The mode of a stored number.
    pub(crate) fn of_number(number: i64) -> Self {
        [Self::Paused, Self::Draining].into_iter().find(|mode| mode.number() == number).unwrap_or_default()
    }
}
