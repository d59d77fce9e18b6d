//! Errors reported by a device, each returned once by every clone of its [`Gpu`](super::Gpu).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Result};

/// Number of faults kept: the latest ones.
const MAX_KEPT: usize = 64;

#[derive(Clone, Debug)]
enum Fault {
    OutOfMemory(String),
    Internal(String),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::OutOfMemory(why) => Self::OutOfGpuMemory { why },
            Fault::Internal(why) => Self::Gpu { why },
        }
    }
}

/// All faults of one device.
#[derive(Debug, Default)]
struct Reports {
    /// Why the device was lost.
    lost: Option<String>,
    kept: VecDeque<Fault>,
    /// Total number of faults, including those no longer kept.
    count: u64,
}

/// The faults of one device, and how many of them this clone has returned.
#[derive(Debug, Default)]
pub(super) struct Faults {
    seen: AtomicU64,
    reports: Arc<Mutex<Reports>>,
}

/// A new clone counts the same faults as returned as its original.
impl Clone for Faults {
    fn clone(&self) -> Self {
        Self { seen: AtomicU64::new(self.seen.load(Ordering::Relaxed)), reports: Arc::clone(&self.reports) }
    }
}

impl Faults {
    /// Installs the device's error handlers.
    pub(super) fn listen(&self, device: &wgpu::Device) {
        let faults = self.clone();
        device.set_device_lost_callback(move |_reason, message| faults.lose(message));
        let faults = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            faults.add(match error {
                wgpu::Error::OutOfMemory { source } => Fault::OutOfMemory(source.to_string()),
                other => Fault::Internal(other.to_string()),
            });
        }));
    }

    fn lose(&self, why: String) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).lost = Some(why);
    }

    fn add(&self, fault: Fault) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.kept.len() == MAX_KEPT {
            reports.kept.pop_front();
        }
        reports.kept.push_back(fault);
        reports.count += 1;
    }

    /// Returns the loss of the device, or else the first fault that this clone has not returned. Later faults are its consequences and
    /// count as returned with it.
    pub(super) fn check(&self) -> Result<()> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &reports.lost {
            return Err(Error::DeviceLost { why: why.clone() });
        }
        let unseen = reports.count - self.seen.swap(reports.count, Ordering::Relaxed);
        let first = reports.kept.len().saturating_sub(unseen as usize);
        reports.kept.get(first).map_or(Ok(()), |fault| Err(fault.clone().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clone_reports_a_fault_once_and_a_loss_always() {
        let faults = Faults::default();
        let other = faults.clone();
        assert!(faults.check().is_ok());
        other.add(Fault::OutOfMemory("a buffer".into()));
        other.add(Fault::Internal("its consequence".into()));
        for clone in [&faults, &other] {
            assert!(matches!(clone.check(), Err(Error::OutOfGpuMemory { .. })), "the first is the cause");
            assert!(clone.check().is_ok(), "it was reported");
        }
        assert!(faults.clone().check().is_ok(), "a clone knows what its original has reported");
        faults.lose("unplugged".into());
        for _ in 0..2 {
            assert!(matches!(faults.check(), Err(Error::DeviceLost { .. })));
            assert!(matches!(other.check(), Err(Error::DeviceLost { .. })));
        }
    }

    #[test]
    fn faults_without_end_fill_no_memory_and_later_ones_are_reported() {
        let faults = Faults::default();
        let late = faults.clone();
        for round in 0..3 {
            (0..10 * MAX_KEPT).for_each(|index| faults.add(Fault::Internal(index.to_string())));
            assert_eq!(faults.reports.lock().map_or(0, |reports| reports.kept.len()), MAX_KEPT);
            assert!(faults.check().is_err() && faults.check().is_ok(), "round {round}");
        }
        assert!(late.check().is_err() && late.check().is_ok());
    }
}
