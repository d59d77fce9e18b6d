//! Single photos.

use super::*;
use crate::job::JobId;

#[tokio::test]
async fn photos_come_to_the_job_in_natural_order_under_names_of_the_services() {
    let place = Place::new(limits());
    let mut draft = place.draft().await;
    let sent = [
        ("IMG_10.jpg", jpeg(10)),
        ("../../IMG_2.JPG", jpeg(2)),
        ("IMG_1.png", photo(ImageFormat::Png, 50, 40, 1)),
        ("IMG_2.JPG", jpeg(3)),
        ("IMG_3.webp", photo(ImageFormat::WebP, 33, 44, 4)),
    ];
    for (name, bytes) in &sent {
        let added = draft.add_file(name, pieces(bytes, 100)).await.unwrap();
        assert_eq!((added.photos.len(), added.rejected.len()), (1, 0), "{name}: {added:?}");
        assert_eq!(added.photos[0].bytes, bytes.len() as u64);
    }
    let id = JobId::random();
    let photos = draft.finish().await.unwrap();
    let entries = photos.commit(&place.store, &id).await.unwrap();
    let rejected: Vec<_> =
        entries.iter().map(|e| (e.file.as_str(), e.name.as_str(), e.width, e.height)).collect();
    assert_eq!(
        rejected,
        [
            ("0001.png", "IMG_1.png", 50, 40),
            ("0002.jpg", "IMG_2.JPG", 64, 48),
            ("0003.jpg", "IMG_2.JPG", 64, 48),
            ("0004.webp", "IMG_3.webp", 33, 44),
            ("0005.jpg", "IMG_10.jpg", 64, 48),
        ]
    );
    let images = place.store.local_dir(&id).unwrap().join("images");
    for (file, index) in
        [("0001.png", 2), ("0002.jpg", 1), ("0003.jpg", 3), ("0004.webp", 4), ("0005.jpg", 0)]
    {
        assert!(std::fs::read(images.join(file)).unwrap() == sent[index].1, "{file} is not what was sent");
    }
    becomes_empty(&place.uploads()).await;
}

#[tokio::test]
async fn a_bad_file_is_named_at_once_and_the_others_go_on() {
    let place = Place::new(Limits { max_file_bytes: 100_000, max_pixels: 10_000, ..limits() });
    let mut draft = place.draft().await;
    let whole = jpeg(1);
    let mut heic = b"\0\0\0\x18ftypheic".to_vec();
    heic.resize(600, 0);
    let cases: [(&str, Vec<u8>, RejectCode, &str); 10] = [
        ("empty.jpg", Vec::new(), RejectCode::EmptyFile, "empty"),
        ("notes.jpg", b"hello there".to_vec(), RejectCode::UnsupportedFormat, "text"),
        ("a.heic", heic, RejectCode::UnreadablePhoto, "HEIC"),
        ("a.gif", photo(ImageFormat::Gif, 40, 40, 1), RejectCode::UnsupportedFormat, "GIF"),
        ("a.bmp", photo(ImageFormat::Bmp, 40, 40, 1), RejectCode::UnsupportedFormat, "BMP"),
        ("a.tif", photo(ImageFormat::Tiff, 40, 40, 1), RejectCode::UnsupportedFormat, "TIFF"),
        ("cut.jpg", whole[..whole.len() - 40].to_vec(), RejectCode::UnreadablePhoto, "breaks off"),
        ("tiny.png", photo(ImageFormat::Png, 8, 8, 1), RejectCode::TooSmall, "8x8"),
        ("wide.png", photo(ImageFormat::Png, 200, 100, 1), RejectCode::TooManyPixels, "200x100"),
        ("big.jpg", [whole.clone(), vec![0; 100_000]].concat(), RejectCode::FileTooLarge, "100000"),
    ];
    for (name, bytes, code, word) in cases {
        let added = draft.add_file(name, pieces(&bytes, 77)).await.unwrap();
        let [rejected] = added.rejected.as_slice() else { panic!("{name}: {added:?}") };
        assert_eq!((rejected.code, rejected.name.as_str()), (code, name), "{rejected:?}");
        assert!(rejected.reason.contains(word), "{name}: {}", rejected.reason);
        assert!(!rejected.reason.contains('/'), "a path of the server is shown: {}", rejected.reason);
        let taken = draft.add_file("good.jpg", pieces(&whole, 1000)).await.unwrap();
        assert_eq!(taken.photos.len(), 1);
    }
    assert_eq!((draft.len(), draft.rejected().len()), (10, 10));
    assert_eq!(files_below(&place.uploads()).len(), 10, "what was refused is not kept");
}

#[tokio::test]
async fn limits_of_the_whole_job_end_the_request() {
    let bytes = jpeg(1);
    let place = Place::new(Limits { max_photos: 9, max_job_bytes: bytes.len() as u64 * 3 + 10, ..limits() });
    let mut draft = place.draft().await;
    for _ in 0..3 {
        draft.add_file("a.jpg", pieces(&bytes, 500)).await.unwrap();
    }
    let error = draft.add_file("a.jpg", pieces(&bytes, 500)).await.unwrap_err();
    assert!(matches!(error, IntakeError::JobTooLarge { .. }), "{error}");

    let place = Place::new(Limits { max_photos: 2, ..limits() });
    let mut draft = place.draft().await;
    for _ in 0..2 {
        draft.add_file("a.jpg", pieces(&bytes, 500)).await.unwrap();
    }
    let error = draft.add_file("a.jpg", pieces(&bytes, 500)).await.unwrap_err();
    assert!(matches!(error, IntakeError::TooManyPhotos { max: 2 }), "{error}");
    drop(draft);
    becomes_empty(&place.uploads()).await;
}

/// A limit that is only checked on complete files would read this stream forever.
#[tokio::test]
async fn limits_hold_while_an_endless_stream_flows() {
    let place = Place::new(Limits { max_file_bytes: 1 << 20, max_job_bytes: 5 << 19, ..limits() });
    let mut draft = place.draft().await;
    let endless = || {
        stream::repeat_with(|| {
            Ok::<_, Infallible>(Bytes::from_static(b"\xff\xd8\xff and so on, without end"))
        })
    };
    for _ in 0..2 {
        let added = draft.add_file("endless.jpg", endless()).await.unwrap();
        assert_eq!(added.rejected[0].code, RejectCode::FileTooLarge);
        assert_eq!(files_below(&place.uploads()).len(), 0);
    }
    let error = draft.add_file("endless.jpg", endless()).await.unwrap_err();
    assert!(matches!(error, IntakeError::JobTooLarge { .. }), "{error}");
}

#[tokio::test]
async fn too_few_photos_are_told_with_what_was_refused() {
    let place = Place::new(limits());
    let mut draft = place.draft().await;
    draft.add_file("a.txt", pieces(b"text", 9)).await.unwrap();
    let error = draft.finish().await.unwrap_err();
    assert!(matches!(error, IntakeError::NoPhotos { .. }), "{error}");
    assert_eq!((error.rejected().len(), status(error)), (1, StatusCode::UNPROCESSABLE_ENTITY));

    let mut draft = place.draft().await;
    draft.add_file("a.jpg", pieces(&jpeg(1), 900)).await.unwrap();
    draft.add_file("b.jpg", pieces(&jpeg(2), 900)).await.unwrap();
    let error = draft.finish().await.unwrap_err();
    assert!(matches!(error, IntakeError::TooFewPhotos { found: 2, min: 3, .. }), "{error}");
    becomes_empty(&place.uploads()).await;
}

#[tokio::test]
async fn a_broken_connection_and_a_full_disk_end_the_request_and_leave_nothing() {
    let place = Place::new(limits());
    let mut draft = place.draft().await;
    let broken = stream::iter([Ok(Bytes::from(jpeg(1))), Err("connection reset")]);
    let error = draft.add_file("a.jpg", broken).await.unwrap_err();
    assert!(matches!(&error, IntakeError::Interrupted { why } if why == "connection reset"), "{error}");
    drop(draft);
    becomes_empty(&place.uploads()).await;

    let full = Place::new(Limits { disk_floor_bytes: u64::MAX, ..limits() });
    let error = full.intake.begin(&Owner::local()).await.unwrap_err();
    assert_eq!(status(error), StatusCode::INSUFFICIENT_STORAGE);
}
