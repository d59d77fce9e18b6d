//! Predicted memory of a run, and peak memory of this process.

use crate::text::bytes;
use crate::train::memory::Workload;

/// Memory of the program, the driver and its compiled kernels: measured on llvmpipe, where it is largest.
const PROCESS_BYTES: u64 = 300 << 20;

/// Memory of a run, in bytes. On a discrete GPU the first two are its memory; on software Vulkan all are this process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RunMemory {
    /// Parameters and optimizer state.
    pub gaussians_bytes: u64,
    /// Working buffers of a step.
    pub working_bytes: u64,
    /// Decoded photos, within the dataset's budget.
    pub photos_bytes: u64,
    /// The program, the driver and its kernels.
    pub process_bytes: u64,
}

impl RunMemory {
    /// Total.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.gaussians_bytes + self.working_bytes + self.photos_bytes + self.process_bytes
    }
}

/// Predicts a run's memory for at most `gaussians` Gaussians; `photos_bytes` is the share of photos, see
/// [`crate::Dataset::peak_memory_bytes`].
#[must_use]
pub fn predict_run(photos_bytes: u64, workload: &Workload, gaussians: u32) -> RunMemory {
    let training = workload.predict(gaussians);
    RunMemory {
        gaussians_bytes: training.gaussians_bytes,
        working_bytes: training.working_bytes,
        photos_bytes,
        process_bytes: PROCESS_BYTES,
    }
}

/// The summary of memory use at the end of the log.
pub(super) fn verdict(peak: Option<u64>, predicted: u64) -> String {
    match peak {
        Some(peak) => format!("peak memory {}, predicted at most {}", bytes(peak), bytes(predicted)),
        None => format!("peak memory unknown on this system, predicted at most {}", bytes(predicted)),
    }
}

/// Peak resident memory of this process in bytes; `None` if unknown.
///
/// Linux reports it in `/proc/self/status` as `VmHWM` (KiB). Windows and macOS only report it through calls that need `unsafe`,
/// which this project does not use: `None`. Memory of a discrete GPU is not included; on software Vulkan it is.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    if cfg!(target_os = "linux") {
        parse_vm_hwm(&std::fs::read_to_string("/proc/self/status").ok()?)
    } else {
        None
    }
}

fn parse_vm_hwm(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_form() {
        assert_eq!(parse_vm_hwm("VmPeak:\t  10 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n"), Some(2 << 20));
        assert_eq!(parse_vm_hwm("VmRSS:\t 1 kB\n"), None);
        assert_eq!(parse_vm_hwm("VmHWM:\t many\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn sees_a_large_allocation() {
        let before = peak_bytes().unwrap_or(0);
        assert!(before > 0);
        let block = vec![1_u8; 64 << 20];
        assert!(peak_bytes().unwrap_or(0) >= before.max(block.len() as u64));
    }
}
