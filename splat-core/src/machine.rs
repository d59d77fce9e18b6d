//! What the machine tells about its memory.

/// Memory that programs may still take, in bytes, where the system tells.
///
/// Linux keeps it in `/proc/meminfo` as `MemAvailable` (KiB). Elsewhere the answer needs `unsafe` calls, which
/// this project keeps out; there it is `None` and callers assume a small machine.
#[must_use]
pub fn available_memory() -> Option<u64> {
    if cfg!(target_os = "linux") {
        parse_available(&std::fs::read_to_string("/proc/meminfo").ok()?)
    } else {
        None
    }
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_kernels_form() {
        assert_eq!(super::parse_available("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(super::parse_available("MemTotal: 9 kB\n"), None);
    }
}
