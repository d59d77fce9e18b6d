//! How long a job waits before it is retried.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::code::Code;
use crate::job::{JobProblem, UnixMs};

/// Delays that double with every attempt, each shortened by a random part of up to one half, so that jobs that failed together (a
/// full disk, a lost machine) do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Maximum delay after the first attempt.
    pub first: Duration,
    /// Maximum delay after any attempt.
    pub longest: Duration,
}

impl Default for Backoff {
    /// 2 s at first (enough for a worker to restart), 5 minutes at most (enough to fix a full disk).
    fn default() -> Self {
        Self { first: Duration::from_secs(2), longest: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// Milliseconds to wait after attempt number `attempts` (from 1): within `[d / 2, d]` with
    /// `d = min(first * 2^(attempts - 1), longest)`.
    #[must_use]
    pub fn wait_ms(&self, attempts: u32) -> u64 {
        // Without random bytes the full delay is used.
        self.wait_ms_with(attempts, getrandom::u32().unwrap_or(0))
    }

    /// [`Self::wait_ms`] with a given random number: 0 gives the full delay, `u32::MAX` half of it.
    fn wait_ms_with(&self, attempts: u32, random: u32) -> u64 {
        let doublings = attempts.saturating_sub(1).min(40);
        let longest = whole_ms(self.longest);
        let wait = whole_ms(self.first).saturating_mul(1 << doublings).min(longest);
        let shortened = u128::from(wait / 2) * u128::from(random) / u128::from(u32::MAX);
        wait - u64::try_from(shortened).unwrap_or(0)
    }
}

/// Milliseconds of a duration, saturating.
pub(super) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The time now.
pub(crate) fn now_ms() -> UnixMs {
    SystemTime::now().duration_since(UNIX_EPOCH).map(whole_ms).unwrap_or(0)
}

/// Problem of a job whose workers were lost repeatedly. The queue only knows that they stopped renewing.
pub(super) fn attempts_exhausted(attempts: u32) -> JobProblem {
    let message = format!(
        "The job was begun {attempts} times without getting further, and each time its worker fell silent for longer than its \
             lease: it was ended, for want of memory perhaps, or its machine slept, stopped or lost its connection."
    );
    let hint =
        "Retrying goes on from the last checkpoint. Should memory be short, send fewer or smaller photos.";
    JobProblem::new(Code::AttemptsExhausted, message).hint(Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_takes_at_most_half() {
        let backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(300) };
        let longest: Vec<u64> = (1..=10).map(|attempts| backoff.wait_ms_with(attempts, 0)).collect();
        assert_eq!(longest, [2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]);
        assert_eq!(backoff.wait_ms_with(1, u32::MAX), 1000);
        assert_eq!(backoff.wait_ms_with(u32::MAX, u32::MAX), 150_000);
        assert_eq!(backoff.wait_ms_with(0, 0), 2000);
        let waits: std::collections::BTreeSet<u64> = (0..50).map(|_| backoff.wait_ms(4)).collect();
        assert!(waits.len() > 10, "no jitter: {waits:?}");
        assert!(waits.iter().all(|wait| (8000..=16_000).contains(wait)), "{waits:?}");
    }
}
