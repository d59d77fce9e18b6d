//! Default locations of the COLMAP program.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Name of the program where it is on PATH.
const ON_PATH: &str = "colmap";

/// Systems, by where programs are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Windows,
    Mac,
    Other,
}

impl System {
    const HERE: Self = match () {
        () if cfg!(windows) => Self::Windows,
        () if cfg!(target_os = "macos") => Self::Mac,
        () => Self::Other,
    };
}

/// The program on PATH, else in one of the usual locations; `colmap` if it is not found.
pub(super) fn program() -> PathBuf {
    find(System::HERE, &|variable| std::env::var_os(variable)).unwrap_or_else(|| PathBuf::from(ON_PATH))
}

fn find(system: System, variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let mut on_path = std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty());
    if system != System::Windows {
        if on_path.any(|folder| folder.join(ON_PATH).is_file()) {
            return Some(PathBuf::from(ON_PATH));
        }
        let folders: &[&str] = match system {
            // Homebrew on Apple's processors and on Intel's, MacPorts. Programs that are started from the desktop have none of
            // these on their PATH.
            System::Mac => &["/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin"],
            _ => &["/usr/local/bin", "/opt/colmap/bin", "/snap/bin"],
        };
        return folders.iter().map(|folder| Path::new(folder).join(ON_PATH)).find(|file| file.is_file());
    }
    // People put the unpacked release, or its `bin`, on PATH. Windows itself looks for `colmap.exe` alone.
    if let Some(found) = on_path.find_map(|folder| in_release(&folder)) {
        return Some(found);
    }
    let below = |name: &str, rest: &str| variable(name).map(|root| Path::new(&root).join(rest));
    let roots = [
        below("ProgramFiles", ""),
        below("LOCALAPPDATA", "Programs"),
        below("USERPROFILE", ""),
        below("USERPROFILE", "Downloads"),
        below("USERPROFILE", "Desktop"),
        variable("SystemDrive").map(|mut drive| {
            drive.push("\\");
            PathBuf::from(drive)
        }),
    ];
    roots.into_iter().flatten().find_map(|root| in_folders_named_colmap(&root))
}

/// The program in a folder such as `COLMAP-3.9.1-windows-cuda`, the last by name if there are several.
fn in_folders_named_colmap(root: &Path) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().to_lowercase().starts_with("colmap"))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    // Windows' own unpacking makes a folder of the archive's name around the one in it.
    folders.iter().rev().find_map(|folder| in_release(folder).or_else(|| in_folders_named_colmap(folder)))
}

/// The program in an unpacked release for Windows, or in its `bin`.
///
/// The script beside `bin` sets the library path. If the libraries are in `bin`, the program itself is preferred, since it can be
/// terminated directly.
fn in_release(folder: &Path) -> Option<PathBuf> {
    let exists = |name: &str| Some(folder.join(name)).filter(|file| file.is_file());
    let brings_libraries = |bin: &Path| {
        let is_library = |path: PathBuf| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("dll"));
        std::fs::read_dir(bin).is_ok_and(|list| list.flatten().any(|entry| is_library(entry.path())))
    };
    let script = || exists("COLMAP.bat").or_else(|| exists("colmap.bat"));
    if brings_libraries(&folder.join("bin")) {
        exists("bin/colmap.exe").or_else(script)
    } else {
        script().or_else(|| exists("colmap.exe")).or_else(|| exists("bin/colmap.exe"))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn touch(root: &Path, files: &[&str]) {
        for file in files {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), "").unwrap();
        }
    }

    #[test]
    fn windows_releases_are_found_where_people_unpack_them() {
        let home = tempfile::tempdir().unwrap();
        let found = || {
            let found = find(System::Windows, &|name| (name == "USERPROFILE").then(|| home.path().into()));
            found.map(|path| path.strip_prefix(home.path()).unwrap().to_path_buf())
        };
        assert_eq!(found(), None);
        // Unpacked by Windows, into a folder around the archive's own; libraries lie apart.
        let old = "Downloads/COLMAP-3.8-windows-no-cuda/COLMAP-3.8-windows-no-cuda";
        touch(&home.path().join(old), &["COLMAP.bat", "bin/colmap.exe", "lib/qt.dll"]);
        assert_eq!(found(), Some(Path::new(old).join("COLMAP.bat")));
        // A newer one brings them beside the program.
        let new = "Downloads/colmap-x64-windows-cuda";
        touch(&home.path().join(new), &["COLMAP.bat", "bin/colmap.exe", "bin/qt.dll"]);
        assert_eq!(found(), Some(Path::new(new).join("bin/colmap.exe")));
    }

    #[test]
    fn a_folder_on_the_path_comes_first() {
        let (home, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        touch(home.path(), &["colmap/colmap.exe"]);
        touch(tools.path(), &["COLMAP.bat", "colmap"]);
        let variable = |name: &str| match name {
            "USERPROFILE" => Some(home.path().into()),
            "PATH" => Some(tools.path().into()),
            _ => None,
        };
        assert_eq!(find(System::Windows, &variable), Some(tools.path().join("COLMAP.bat")));
        // Elsewhere the system looks along PATH itself.
        assert_eq!(find(System::Mac, &variable), Some(PathBuf::from("colmap")));
        assert_eq!(find(System::Other, &variable), Some(PathBuf::from("colmap")));
    }
}
