//! Available memory, and how to install programs on this system.

/// How to install COLMAP on this system.
pub const INSTALL_COLMAP: &str = if cfg!(windows) {
    "download it from COLMAP's releases on GitHub, unpack it and add its folder to PATH"
} else if cfg!(target_os = "macos") {
    "`brew install colmap`"
} else {
    "Debian, Ubuntu: `apt install colmap`"
};

/// How to install ffmpeg on this system.
pub const INSTALL_FFMPEG: &str = if cfg!(windows) {
    "`winget install ffmpeg`"
} else if cfg!(target_os = "macos") {
    "`brew install ffmpeg`"
} else {
    "Debian, Ubuntu: `apt install ffmpeg`"
};

/// How to install a GPU driver if no adapter was found.
pub const INSTALL_GPU_DRIVER: &str = if cfg!(windows) {
    "install the driver of your GPU's maker; it brings Vulkan and DirectX 12"
} else if cfg!(target_os = "macos") {
    "macOS brings Metal: this Mac's GPU may be hidden from a virtual machine"
} else {
    "install your GPU's Vulkan driver; without a GPU, Mesa's software Vulkan computes on the CPU (Debian, Ubuntu: `apt install mesa-vulkan-drivers`)"
};

/// Available memory in bytes; `None` if unknown, in which case callers assume a small machine.
///
/// Linux reports it in `/proc/meminfo` as `MemAvailable` (KiB); on other systems the crate `sysinfo` is used.
#[must_use]
pub fn available_memory() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return parse_available(&std::fs::read_to_string("/proc/meminfo").ok()?);
    #[cfg(not(target_os = "linux"))]
    {
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        Some(system.available_memory()).filter(|&bytes| bytes > 0)
    }
}

#[cfg(any(target_os = "linux", test))]
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
