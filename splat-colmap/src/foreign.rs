//! Poses of other programs, which are recognised but not read.

use std::path::Path;

/// Where such poses lie in a dataset's folder (`*` before an extension), whose they are, and what makes a dataset of them.
const PLACES: [(&str, &str, &str); 13] = [
    ("keyframes/cameras", "Polycam's", "`ns-process-data polycam`"),
    ("keyframes/corrected_cameras", "Polycam's", "`ns-process-data polycam`"),
    ("metadata.json", "Record3D's", "`ns-process-data record3d`"),
    ("poses_bounds.npy", "LLFF's", "COLMAP, from which they came,"),
    ("bundle.out", "Bundler's", "COLMAP's `model_converter`"),
    ("*.nvm", "VisualSFM's", "COLMAP's `model_converter`"),
    ("reconstruction.json", "OpenSfM's", "`opensfm export_colmap`"),
    ("opensfm/reconstruction.json", "OpenDroneMap's", "`ns-process-data odm`"),
    ("sensors/trajectories.txt", "Kapture's", "`kapture_export_colmap.py`"),
    ("*.sfm", "Meshroom's", "its node ExportColmap"),
    ("*.rsproj", "RealityScan's", "its export of COLMAP's form"),
    ("*.rcproj", "RealityCapture's", "its export of COLMAP's form"),
    ("cameras.xml", "Metashape's", "`ns-process-data metashape`"),
];

/// A sentence without a full stop on poses that are there in a form which is not read; `None` if none are known.
#[must_use]
pub fn poses(dir: &Path) -> Option<String> {
    let with_extension = |extension: &str| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let named = |path: &Path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
        entries.filter(|path| named(path)).min()
    };
    for (place, whose, converter) in PLACES {
        let found = match place.strip_prefix("*.") {
            Some(extension) => with_extension(extension),
            None => Some(dir.join(place)).filter(|path| path.exists()),
        };
        if let Some(found) = found {
            return Some(format!(
                "`{}` holds {whose} poses, which {converter} makes a dataset of",
                found.display()
            ));
        }
    }
    let halves = [["cameras", "images"], ["images", "cameras"]];
    for (folder, [there, missing]) in [dir.join("sparse/0"), dir.join("sparse"), dir.to_owned()]
        .into_iter()
        .flat_map(|folder| halves.map(|half| (folder.clone(), half)))
    {
        let file = |stem: &str| ["bin", "txt"].map(|form| folder.join(format!("{stem}.{form}")));
        if let Some(found) = file(there).into_iter().find(|path| path.is_file()) {
            let wanted = found.with_file_name(missing).with_extension(found.extension().unwrap_or_default());
            return Some(format!(
                "`{}` is there and `{}` is not: copy both, in one form",
                found.display(),
                wanted.display()
            ));
        }
    }
    let database = dir.join("database.db");
    database.is_file().then(|| {
        format!(
            "`{}` holds COLMAP's features and matches; its `mapper` makes a model of them",
            database.display()
        )
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn poses_of_other_programs_are_named() {
        for (file, words) in [
            ("keyframes/cameras/1.json", "Polycam"),
            ("metadata.json", "Record3D"),
            ("poses_bounds.npy", "LLFF"),
            ("bundle.out", "Bundler"),
            ("scan.NVM", "VisualSFM"),
            ("sensors/trajectories.txt", "Kapture"),
            ("cameras.sfm", "Meshroom"),
            ("cameras.xml", "Metashape"),
            ("sparse/0/cameras.bin", "images.bin` is not"),
            ("sparse/images.txt", "cameras.txt` is not"),
            ("database.db", "mapper"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(poses(dir.path()), None);
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
            let said = poses(dir.path()).unwrap();
            assert!(said.contains(words), "{file}: {said}");
        }
    }
}
