//! How much memory this process has needed at most.

/// Peak resident memory of this process in bytes, where the system tells.
///
/// Linux keeps it in `/proc/self/status` as `VmHWM` (KiB). Windows and macOS tell only through calls that need `unsafe`,
/// which this project keeps out; there it is `None`, and logs say that it is unknown. Memory on a discrete GPU is not
/// part of it; on software Vulkan it is.
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
