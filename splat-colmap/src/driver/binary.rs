//! The COLMAP program: its location, version and options.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use splat_core::CancelToken;
use splat_core::child::{self, Ended, Run};

use super::places;
use crate::error::{ColmapError, Result};
use crate::version::Version;

/// Environment variable that names the program.
const BINARY_VARIABLE: &str = "SPLAT_COLMAP";
/// The oldest supported release.
const OLDEST: Version = Version { major: 3, minor: 6, patch: None };
/// Time limit for `help`, which loads many libraries but computes nothing.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

/// Qt, which COLMAP links, needs this to run without a display.
pub(super) const VARIABLES: &[(&str, &str)] =
    if cfg!(target_os = "linux") { &[("QT_QPA_PLATFORM", "offscreen")] } else { &[] };

/// A working COLMAP program.
#[derive(Clone, Debug)]
pub struct Colmap {
    binary: PathBuf,
    version: Version,
    has_cuda: bool,
}

impl Colmap {
    /// Finds the program and queries its version: `binary` if given, else `SPLAT_COLMAP`, else `colmap` on PATH, else the usual locations
    /// of releases for Windows, Homebrew and MacPorts.
    ///
    /// # Errors
    /// [`ColmapError::CannotStart`] if there is none or it does not start; [`ColmapError::NotColmap`] for another program;
    /// [`ColmapError::TooOld`].
    pub fn find(binary: Option<&Path>) -> Result<Self> {
        let named =
            binary.map(Path::to_owned).or_else(|| std::env::var_os(BINARY_VARIABLE).map(PathBuf::from));
        let binary = named.unwrap_or_else(places::program);
        let answer = ask(&binary, &["help"])?;
        let Some((version, has_cuda)) = parse_help(&answer) else {
            let first = answer.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
            return Err(ColmapError::NotColmap { binary, answer: first.trim().chars().take(200).collect() });
        };
        if version < OLDEST {
            return Err(ColmapError::TooOld { binary, found: version, oldest: OLDEST });
        }
        Ok(Self { binary, version, has_cuda })
    }

    /// The program's path or name.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Release of the program.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether it finds and matches features on a CUDA GPU.
    #[must_use]
    pub fn has_cuda(&self) -> bool {
        self.has_cuda
    }

    /// A command line for one of its commands, with the option names of this release.
    pub(super) fn command(&self, name: &'static str) -> Result<Command> {
        let help = ask(&self.binary, &[name, "--help"])?;
        let known: BTreeSet<String> = parse_options(&help);
        if known.is_empty() {
            return Err(ColmapError::NoCommand {
                binary: self.binary.clone(),
                command: name,
                version: self.version,
            });
        }
        Ok(Command { name, known, arguments: vec![name.into()] })
    }
}

impl fmt::Display for Colmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cuda = if self.has_cuda { "with CUDA" } else { "without CUDA" };
        write!(f, "COLMAP {} {cuda} (`{}`)", self.version, self.binary.display())
    }
}

/// A command line under construction.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) name: &'static str,
    known: BTreeSet<String>,
    pub(super) arguments: Vec<OsString>,
}

impl Command {
    /// Adds an option by the first of its names that this release supports; if it supports none, the program's default applies. Names differ between releases (3.8's `SiftExtraction.use_gpu` is
    /// `FeatureExtraction.use_gpu` since 3.12), so they are looked up, not derived from the version.
    pub(super) fn option(mut self, names: &[&str], value: impl Into<OsString>) -> Self {
        if let Some(name) = names.iter().find(|name| self.known.contains(**name)) {
            self.arguments.push(format!("--{name}").into());
            self.arguments.push(value.into());
        }
        self
    }

    /// A key that identifies the work of this command line.
    pub(super) fn key(&self) -> String {
        let words: Vec<_> = self.arguments.iter().map(|a| a.to_string_lossy()).collect();
        words.join(" ")
    }
}

/// Runs the program with a short time limit and returns its output.
fn ask(binary: &Path, arguments: &[&str]) -> Result<String> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let mut answer = String::new();
    let ended = child::run(
        Run {
            program: binary,
            arguments: &arguments,
            variables: VARIABLES,
            timeout: Some(PROBE_TIMEOUT),
            cancel: &CancelToken::new(),
            own_group: true,
        },
        &mut |line| {
            // No help text is longer; a program that is not COLMAP may print anything.
            if answer.len() < 1 << 20 {
                answer.push_str(line);
                answer.push('\n');
            }
        },
    )
    .map_err(|source| ColmapError::CannotStart { binary: binary.to_owned(), source })?;
    match ended {
        // Some releases end `--help` with a failure status.
        Ended::Exited(_) => Ok(answer),
        Ended::TimedOut | Ended::Cancelled => {
            Err(ColmapError::Hangs { binary: binary.to_owned(), seconds: PROBE_TIMEOUT.as_secs() })
        }
    }
}

/// Version and CUDA from `colmap help`: "COLMAP 3.8 -- ..." and "(Commit ... without CUDA)".
fn parse_help(text: &str) -> Option<(Version, bool)> {
    let after = text.split("COLMAP ").skip(1).find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let release = after.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()?;
    let mut numbers = release.split('.').map(str::parse);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let patch = numbers.next().and_then(Result::ok);
    Some((Version { major, minor, patch }, text.contains("with CUDA")))
}

/// Names after `--` in a command's help.
fn parse_options(text: &str) -> BTreeSet<String> {
    let names = text.lines().filter_map(|line| {
        let start = line.find("--")?;
        let name: String = line[start + 2..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
            .collect();
        // "[ --help ]" is in every answer, even to a command that does not exist.
        (!name.is_empty() && name != "help").then_some(name)
    });
    names.collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn versions_and_cuda_are_read_from_every_style_of_help() {
        let old = "COLMAP 3.8 -- Structure-from-Motion and Multi-View Stereo\n (Commit Unknown on Unknown without CUDA)";
        assert_eq!(parse_help(old).unwrap(), (Version { major: 3, minor: 8, patch: None }, false));
        let new = "COLMAP 4.0.1 -- Structure-from-Motion\n (Commit 1a2b3c on 2026-01-02 with CUDA)\n";
        assert_eq!(parse_help(new).unwrap(), (Version { major: 4, minor: 0, patch: Some(1) }, true));
        let noisy = "warning: COLMAP sets a locale\nCOLMAP 3.13.0.dev0 (Commit x with CUDA)";
        assert_eq!(parse_help(noisy).unwrap().0, Version { major: 3, minor: 13, patch: Some(0) });
        assert!(parse_help("BusyBox v1.35").is_none());
        let release = |major, minor, patch| Version { major, minor, patch };
        assert!(
            release(3, 12, None) > release(3, 8, None) && release(4, 1, Some(1)) > release(4, 1, Some(0))
        );
        assert_eq!([release(3, 8, None), release(4, 2, Some(1))].map(|v| v.to_string()), ["3.8", "4.2.1"]);
    }

    #[test]
    fn the_known_name_of_an_option_is_chosen() {
        let help = "  -h [ --help ] \n  --database_path arg\n  --FeatureExtraction.use_gpu arg (=1)\n";
        let command = Command { name: "x", known: parse_options(help), arguments: vec!["x".into()] };
        let command = command
            .option(&["FeatureExtraction.use_gpu", "SiftExtraction.use_gpu"], "0")
            .option(&["gone"], "1")
            .option(&["database_path"], "a b");
        assert_eq!(command.arguments, ["x", "--FeatureExtraction.use_gpu", "0", "--database_path", "a b"]);
    }
}
