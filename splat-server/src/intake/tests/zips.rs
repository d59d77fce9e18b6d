//! Archives, valid and malicious.

use std::io::Write;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};

use super::*;

pub(super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    archive_with(files, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
}

fn archive_with(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        if name.ends_with('/') {
            zip.add_directory(*name, options).unwrap();
        } else {
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

async fn send(draft: &mut Draft, bytes: &[u8]) -> Result<Added> {
    draft.add_file("photos.zip", pieces(bytes, 1000)).await
}

/// The zip is rejected as a whole, and nothing of it is kept.
async fn is_refused(limits: Limits, bytes: &[u8], code: RejectCode) {
    let place = Place::new(limits);
    let mut draft = place.draft().await;
    let added = send(&mut draft, bytes).await.unwrap();
    assert!(added.photos.is_empty(), "{added:?}");
    let [rejected] = added.rejected.as_slice() else { panic!("{added:?}") };
    assert_eq!((rejected.code, rejected.name.as_str()), (code, "photos.zip"), "{rejected:?}");
    assert!(files_below(&place.uploads()).is_empty(), "{:?}", files_below(&place.uploads()));
}

#[tokio::test]
async fn photos_come_out_of_a_zip_and_clutter_stays_behind() {
    let place = Place::new(limits());
    let [a, b, c] = [jpeg(1), jpeg(2), photo(ImageFormat::Png, 40, 40, 3)];
    let zip = archive(&[
        ("photos/", b""),
        ("photos/IMG_10.jpg", &b),
        ("photos/IMG_9.jpg", &a),
        ("photos\\deep\\IMG_11.png", &c),
        ("__MACOSX/photos/._IMG_10.jpg", b"resource fork"),
        ("photos/.DS_Store", b"clutter"),
        ("photos/Thumbs.db", b"clutter"),
        ("photos/readme.txt", b"hello"),
    ]);
    let mut draft = place.draft().await;
    let added = send(&mut draft, &zip).await.unwrap();
    assert_eq!(added.photos.len(), 3, "{added:?}");
    assert_eq!(
        added.rejected,
        [Rejected::new("readme.txt", RejectCode::UnsupportedFormat, "it is text, not a photo")]
    );
    let names: Vec<_> =
        draft.finish().await.unwrap().entries().map(|e| format!("{} {}", e.file, e.name)).collect();
    assert_eq!(names, ["0001.jpg IMG_9.jpg", "0002.jpg IMG_10.jpg", "0003.png IMG_11.png"]);
}

/// A zipped dataset: copies, masks and depth maps derived from its photos are not photos.
#[tokio::test]
async fn what_was_made_from_photos_is_no_photo() {
    let place = Place::new(limits());
    let picture = jpeg(1);
    let mut draft = place.draft().await;
    let names = [
        "scan/images/a.jpg",
        "scan/images/b.jpg",
        "scan/images_2/a.jpg",
        "scan/masks/a.png",
        "scan\\depth\\a.png",
        // Without a photo folder beside it, the name means nothing.
        "depth/c.jpg",
        "flat/d.jpg",
        "flat/mask/d.png",
    ];
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, picture.as_slice())).collect();
    files.extend([("scan/masks/", &b""[..]), ("scan/masks/.DS_Store", b"clutter")]);
    let added = send(&mut draft, &archive(&files)).await.unwrap();
    let taken: Vec<&str> = added.photos.iter().map(|photo| photo.name.as_str()).collect();
    assert_eq!(taken, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]);
    let reasons: Vec<&str> = added.rejected.iter().map(|rejected| rejected.reason.as_str()).collect();
    let words = ["`images_2`", "a mask in `masks`", "`depth`", "a mask in `mask`"];
    assert_eq!(reasons.len(), words.len(), "{reasons:?}");
    assert!(reasons.iter().zip(words).all(|(reason, word)| reason.contains(word)), "{reasons:?}");
}

#[tokio::test]
async fn hostile_entries_are_named_and_lead_nowhere() {
    let place = Place::new(limits());
    let good = jpeg(1);
    let inner = archive(&[("a.jpg", &good)]);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [
        ("../../evil.jpg", &good),
        ("/etc/evil.jpg", &good),
        ("..\\evil.jpg", &good),
        ("C:\\evil.jpg", &good),
        ("inner.zip", &inner),
        ("empty.jpg", &Vec::new()),
        ("good.jpg", &good),
    ] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.add_symlink("link.jpg", "/etc/passwd", stored).unwrap();
    let mut bytes = zip.finish().unwrap().into_inner();
    let mut draft = place.draft().await;
    let added = send(&mut draft, &bytes).await.unwrap();
    let rejected: Vec<_> = added.rejected.iter().map(|r| (r.name.as_str(), r.code)).collect();
    assert_eq!(
        rejected,
        [
            ("evil.jpg", RejectCode::UnsafeName),
            ("evil.jpg", RejectCode::UnsafeName),
            ("evil.jpg", RejectCode::UnsafeName),
            ("evil.jpg", RejectCode::UnsafeName),
            ("inner.zip", RejectCode::NestedArchive),
            ("empty.jpg", RejectCode::EmptyFile),
            ("link.jpg", RejectCode::Link),
        ]
    );
    assert_eq!(added.photos.len(), 1);
    assert_eq!(
        files_below(place.dir.path()).len(),
        1,
        "one photo and nothing else: {:?}",
        files_below(place.dir.path())
    );

    // The same archive with the encryption flag set on every entry.
    let mut found = 0;
    for at in 0..bytes.len() - 10 {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            bytes[at + 8] |= 1;
            found += 1;
        }
    }
    assert_eq!(found, 9, "eight entries, and the one of the zip within");
    let added = send(&mut draft, &bytes).await.unwrap();
    assert!(
        added.photos.is_empty() && added.rejected.iter().any(|r| r.code == RejectCode::Encrypted),
        "{added:?}"
    );
}

#[tokio::test]
async fn a_damaged_entry_is_named_and_the_others_are_taken() {
    let place = Place::new(limits());
    let [a, b] = [jpeg(1), jpeg(2)];
    let mut zip = archive_with(
        &[("a.jpg", &a), ("b.jpg", &b)],
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
    );
    let at = zip.windows(a.len()).position(|window| window == a).unwrap();
    zip[at + a.len() / 2] ^= 0xff;
    let mut draft = place.draft().await;
    let added = send(&mut draft, &zip).await.unwrap();
    assert_eq!((added.photos.len(), added.photos[0].name.as_str()), (1, "b.jpg"));
    assert_eq!((added.rejected[0].name.as_str(), added.rejected[0].code), ("a.jpg", RejectCode::BadZip));
}

#[tokio::test]
async fn bombs_are_refused_whole() {
    // A photo's signature followed by zeros: 300 MB in 300 KB.
    let mut bomb = jpeg(1);
    bomb.truncate(200);
    bomb.resize(40 << 20, 0);
    let zip = archive(&[("good.jpg", &jpeg(1)), ("bomb.jpg", &bomb)]);
    assert!(zip.len() < 100_000, "{}", zip.len());
    is_refused(limits(), &zip, RejectCode::ZipBomb).await;

    let many: Vec<(String, Vec<u8>)> = (0..40).map(|i| (format!("{i}.txt"), b"x".to_vec())).collect();
    let many: Vec<_> = many.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    is_refused(Limits { max_zip_entries: 39, ..limits() }, &archive(&many), RejectCode::TooManyEntries).await;

    is_refused(limits(), b"PK\x03\x04 and then nothing of the kind", RejectCode::BadZip).await;
    is_refused(limits(), &archive(&[]), RejectCode::BadZip).await;
    let whole = archive(&[("a.jpg", &jpeg(1))]);
    is_refused(limits(), &whole[..whole.len() - 30], RejectCode::BadZip).await;
}

/// A directory with many long names is not read into memory only to be rejected.
#[tokio::test]
async fn a_directory_of_megabytes_is_not_read() {
    let long = "x".repeat(60_000);
    let names: Vec<String> = (0..100).map(|i| format!("{i}{long}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"x".as_slice())).collect();
    is_refused(limits(), &archive(&files), RejectCode::TooManyEntries).await;
}

#[tokio::test]
async fn limits_hold_while_a_zip_is_unpacked() {
    let photos: Vec<Vec<u8>> = (0..5).map(jpeg).collect();
    let names: Vec<String> = (0..5).map(|i| format!("{i}.jpg")).collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().zip(&photos).map(|(n, p)| (n.as_str(), p.as_slice())).collect();
    let zip = archive(&files);

    let place = Place::new(Limits { max_photos: 4, ..limits() });
    let mut draft = place.draft().await;
    let error = send(&mut draft, &zip).await.unwrap_err();
    assert!(matches!(error, IntakeError::TooManyPhotos { max: 4 }), "{error}");
    assert!(files_below(&place.uploads()).is_empty());

    let mut large = jpeg(9);
    large.resize(60_000, 7);
    let place = Place::new(Limits { max_file_bytes: 50_000, ..limits() });
    let mut draft = place.draft().await;
    let added = send(&mut draft, &archive(&[("large.jpg", &large), ("a.jpg", &photos[0])])).await.unwrap();
    assert_eq!((added.photos.len(), added.rejected[0].code), (1, RejectCode::FileTooLarge));

    let place = Place::new(Limits { max_job_bytes: 100_000, ..limits() });
    let mut draft = place.draft().await;
    let error = send(&mut draft, &archive(&[("1.jpg", &large), ("2.jpg", &large)])).await.unwrap_err();
    assert!(matches!(error, IntakeError::JobTooLarge { .. }), "{error}");
}
