use super::*;

fn resolve(files: &[&str], names: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let below = |path: &Path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().replace('\\', "/");
    let found = PhotoIndex::of(dir.path()).resolve(names);
    found
        .iter()
        .map(|resolved| match resolved {
            Resolved::File(path, how) => format!("{} by {}", below(path), how.text()),
            Resolved::Ambiguous(paths) => {
                format!("? {}", paths.iter().map(|path| below(path)).collect::<Vec<_>>().join(" "))
            }
            Resolved::Missing => "-".into(),
        })
        .collect()
}

/// Files from a Windows archive that was unpacked with the wrong encoding: names are not UTF-8.
#[test]
#[cfg(target_os = "linux")]
fn names_in_other_encodings_are_found_where_they_differ() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    // Two syllables in EUC-KR.
    let name = |number: u8| [&b"\xbb\xe7\xc1\xf8"[..], &[number], b".jpg"].concat();
    for number in [b'1', b'2'] {
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(&name(number))), "x").unwrap();
    }
    let wanted = [b'1', b'2', b'3'].map(|number| String::from_utf8_lossy(&name(number)).into_owned());
    let found = PhotoIndex::of(dir.path()).resolve(&wanted.each_ref().map(String::as_str));
    for (number, found) in [b'1', b'2'].into_iter().zip(&found) {
        let Resolved::File(path, _) = found else { panic!("{found:?}") };
        assert_eq!(path.file_name().unwrap().as_bytes(), name(number));
    }
    assert_eq!(found[2], Resolved::Missing);
}

#[test]
fn masks_are_found_by_the_names_that_programs_give_them() {
    let dir = tempfile::tempdir().unwrap();
    let files =
        ["a_mask.png", "b.jpg.mask.png", "sub/c.mask.PNG", "d.png", "e-mask.png", "e.png", "mask_f.png"];
    for file in files {
        fs::create_dir_all(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join(file), "x").unwrap();
    }
    let photos = ["a.jpg", "b.jpg", "sub/c.jpg", "d.JPG", "e.jpg", "f.jpg", "v1.2/g"];
    let masks = resolve_masks(&PhotoIndex::of(dir.path()), &photos);
    let names = masks.iter().map(|mask| match mask {
        Resolved::File(path, _) => path.file_name().unwrap().to_str().unwrap(),
        _ => "-",
    });
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["a_mask.png", "b.jpg.mask.png", "c.mask.PNG", "d.png", "e.png", "-", "-"]
    );
}

#[test]
fn names_find_their_files() {
    let cases: &[(&[&str], &str, &str)] = &[
        (&["a.jpg"], "a.jpg", "a.jpg by name"),
        (&["a.jpg"], "A.JPG", "a.jpg by name in another case"),
        (&["a.png"], "a.JPG", "a.png by name without extension"),
        (&["a.png"], "a", "a.png by name without extension"),
        (&["my photo.jpg"], "images/my%20photo.jpg", "my photo.jpg by the end of the path"),
        (&["my%20photo.jpg", "my photo.jpg"], "my%20photo.jpg", "my%20photo.jpg by name"),
        (&["100%.jpg", "사진.jpg"], "100%.jpg", "100%.jpg by name"),
        (&["사진.jpg"], "%EC%82%AC%EC%A7%84.jpg", "사진.jpg by name"),
        (&["a%20b.png"], "a%20b.jpg", "a%20b.png by name without extension"),
        // Masks in a subfolder are not photos.
        (&["a.jpg", "masks/a.png"], "a.png", "a.jpg by name without extension"),
        (&["a.jpg.png"], "a.jpg", "a.jpg.png by name without extension"),
        (&["a.jpeg"], "cam0/A.HEIC", "a.jpeg by name without extension"),
        (&["frame.0001.png"], "frame.0001", "frame.0001.png by name without extension"),
        (&["a.jpg"], "cam0/a.jpg", "a.jpg by the end of the path"),
        (&["cam0/a.jpg"], "a.jpg", "cam0/a.jpg by the end of the path"),
        (&["cam0/a.jpg"], r"cam0\a.jpg", "cam0/a.jpg by name"),
        (&["a.jpg"], r"C:\Users\me\scan\images\a.jpg", "a.jpg by the end of the path"),
        (&["cam0/a.jpg", "cam1/a.jpg"], "/data/cam1/a.jpg", "cam1/a.jpg by the end of the path"),
        (&["cam0/a.jpg", "cam1/a.jpg"], "CAM1/a.png", "cam1/a.jpg by name without extension"),
        (&["cam0/a.jpg", "cam1/a.jpg"], "a.jpg", "? cam0/a.jpg cam1/a.jpg"),
        (&["a.jpg", "a.png"], "a.webp", "? a.jpg a.png"),
        (&["a.jpg", "a.png"], "a.png", "a.png by name"),
        (&["사진 1.jpg"], "사진 1.JPG", "사진 1.jpg by name in another case"),
        (
            &["\u{ac00}\u{c744}.jpg"],
            "\u{1100}\u{1161}\u{110b}\u{1173}\u{11af}.jpg",
            "\u{ac00}\u{c744}.jpg by name in another Unicode form",
        ),
        (
            &["e\u{301}te\u{301}/1.jpg"],
            "\u{e9}t\u{e9}/1.jpg",
            "e\u{301}te\u{301}/1.jpg by name in another Unicode form",
        ),
        (&["caf\u{e9}.png"], "scan/CAFE\u{301}.JPG", "caf\u{e9}.png by name without extension"),
        (&["b.jpg"], "a.jpg", "-"),
        (&["b.jpg"], "", "-"),
        (&["a.jpg"], "../../a.jpg", "a.jpg by name"),
        (&[".hidden/a.jpg", "a.txt"], "a.jpg", "-"),
    ];
    for (files, name, expected) in cases {
        assert_eq!(resolve(files, &[name]), [*expected], "{name} in {files:?}");
    }
}

#[test]
fn one_file_is_one_photo() {
    // Photos of two cameras were flattened into one folder and one set was lost: it is unknown which.
    assert_eq!(resolve(&["1.jpg"], &["cam0/1.jpg", "cam1/1.jpg"]), ["? 1.jpg", "? 1.jpg"]);
    // The better match gets the file.
    assert_eq!(resolve(&["1.jpg"], &["1.jpg", "1.png"]), ["1.jpg by name", "? 1.jpg"]);
    // A repeated name is not ambiguous.
    assert_eq!(resolve(&["1.jpg"], &["x/1.jpg", "x/1.jpg"]), ["1.jpg by the end of the path"; 2]);
}

#[test]
fn what_was_matched_how_is_one_line() {
    let file = |how| Resolved::File(PathBuf::new(), how);
    assert_eq!(summary(&[file(MatchedBy::Path), Resolved::Missing]), None);
    let mixed = [file(MatchedBy::Stem), file(MatchedBy::Path), file(MatchedBy::Stem)];
    assert_eq!(summary(&mixed).unwrap(), "1 by name, 2 by name without extension");
}
