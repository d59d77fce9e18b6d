//! The environment variables that are passed on to child processes.

use std::ffi::{OsStr, OsString};

/// Variables that any program needs to start and to write text and temporary files. Compared in upper case, since names on Windows are
/// case-insensitive.
const TO_START: [&str; 10] = [
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LANG",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "TEMP",
    "TMP",
    "TMPDIR",
];
/// Further variables used by COLMAP, GPU drivers and their loader.
const TO_COMPUTE: [&str; 6] =
    ["HOME", "USER", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA"];
/// Prefixes of the settings of this project, of Vulkan's loader and drivers, of CUDA, and of thread pools.
const TO_COMPUTE_PREFIXES: [&str; 13] = [
    "SPLAT_ADAPTER",
    "SPLAT_COLMAP",
    "SPLAT_SHADER_CHECKS",
    "SPLAT_NO_SUBGROUPS",
    "SPLAT_VARYING_SUBGROUPS",
    "VK_",
    "MESA_",
    "LP_",
    "NODEVICE_",
    "NVIDIA_",
    "CUDA_",
    "OMP_",
    "RAYON_",
];

/// Which part of this process's environment a program gets. A service has keys and passwords in its environment, so it only passes on
/// an explicit list of what a program needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// All of it: the program runs on behalf of the same user.
    #[default]
    Inherited,
    /// What is needed to start, to use the GPU and to run COLMAP.
    Compute,
    /// What is needed to start.
    Minimal,
}

impl Environment {
    /// Whether the variable of that name is passed on.
    #[must_use]
    pub fn passes(self, name: &OsStr) -> bool {
        // Names that are not UTF-8 are not listed below.
        let upper = name.to_str().map(str::to_ascii_uppercase);
        let is_in = |names: &[&str]| upper.as_deref().is_some_and(|upper| names.contains(&upper));
        let begins = |starts: &[&str]| {
            upper.as_deref().is_some_and(|upper| starts.iter().any(|start| upper.starts_with(start)))
        };
        match self {
            Self::Inherited => true,
            Self::Compute => is_in(&TO_START) || is_in(&TO_COMPUTE) || begins(&TO_COMPUTE_PREFIXES),
            Self::Minimal => is_in(&TO_START),
        }
    }

    /// The variables that are passed on, for `Command::env_clear` and `Command::envs`.
    pub fn variables(self) -> impl Iterator<Item = (OsString, OsString)> {
        std::env::vars_os().filter(move |(name, _)| self.passes(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_and_what_drivers_need_goes_along() {
        let passes = |environment: Environment, name: &str| environment.passes(OsStr::new(name));
        for secret in
            ["AWS_SECRET_ACCESS_KEY", "SPLAT_REDIS", "SPLAT_WEBHOOK_SECRET", "NGROK_AUTHTOKEN", "MY_PATH"]
        {
            assert!(
                !passes(Environment::Compute, secret) && !passes(Environment::Minimal, secret),
                "{secret}"
            );
            assert!(passes(Environment::Inherited, secret), "{secret}");
        }
        for name in ["VK_DRIVER_FILES", "CUDA_VISIBLE_DEVICES", "HOME", "SPLAT_COLMAP"] {
            assert!(passes(Environment::Compute, name) && !passes(Environment::Minimal, name), "{name}");
        }
        for name in ["PATH", "Path", "SystemRoot"] {
            assert!(passes(Environment::Compute, name) && passes(Environment::Minimal, name), "{name}");
        }
    }
}
