//! Videos, made by ffmpeg where that is installed.

use std::process::Command;

use splat_test_needs::needs;

use super::*;

/// A test picture that pans: `seconds` at 320x240.
fn video(dir: &Path, name: &str, seconds: f64, more: &[&str]) -> Vec<u8> {
    let path = dir.join(name);
    let source = format!("testsrc2=size=320x240:rate=10:duration={seconds}");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &source, "-vf", "scroll=horizontal=0.05"])
        .args(more)
        .arg(&path)
        .status()
        .expect("ffmpeg is installed: scripts/setup.sh --test installs it");
    assert!(made.success());
    std::fs::read(path).unwrap()
}

const KINDS: [(&str, &[&str]); 4] = [
    ("clip.mp4", &["-c:v", "mpeg4"]),
    ("clip.mov", &["-c:v", "mjpeg"]),
    ("clip.mkv", &["-c:v", "mpeg4"]),
    ("clip.avi", &["-c:v", "mpeg4"]),
];

#[needs(program = "ffmpeg")]
#[tokio::test]
async fn frames_are_spread_over_a_video_that_moves() {
    let made = tempfile::tempdir().unwrap();
    for (name, codec) in KINDS {
        let bytes = video(made.path(), name, 6.0, codec);
        let place = Place::new(Limits { max_photos: 12, ..limits() });
        let mut draft = place.draft().await;
        let added = draft.add_file(name, pieces(&bytes, 5000)).await.unwrap();
        assert_eq!((added.photos.len(), added.rejected.len()), (12, 0), "{name}: {added:?}");
        assert_eq!((added.photos[0].width, added.photos[0].height), (320, 240));
        assert_eq!(added.photos[11].name, format!("{name} frame 00012"));
        let id = crate::job::JobId::random();
        draft.finish().await.unwrap().commit(&place.store, &id).await.unwrap();
        let images = place.store.local_dir(&id).unwrap().join("images");
        // The picture moves all the time, so that frames of other moments differ.
        let frames: std::collections::BTreeSet<_> =
            files_below(&images).iter().map(|path| std::fs::read(path).unwrap()).collect();
        assert_eq!(frames.len(), 12, "{name}");
    }
}

#[needs(program = "ffmpeg")]
#[tokio::test]
async fn a_short_video_gives_few_frames_and_a_recording_without_length_some() {
    let made = tempfile::tempdir().unwrap();
    let bytes = video(made.path(), "short.mp4", 1.0, &["-c:v", "mpeg4"]);
    let place = Place::new(limits());
    let mut draft = place.draft().await;
    let added = draft.add_file("short.mp4", pieces(&bytes, 5000)).await.unwrap();
    assert_eq!(added.photos.len(), 4, "four a second show all there is: {added:?}");

    // As browsers record: a live stream, whose header cannot know the end.
    let bytes = video(made.path(), "live.mkv", 3.0, &["-c:v", "mpeg4", "-f", "matroska", "-live", "1"]);
    let added = draft.add_file("live.webm", pieces(&bytes, 5000)).await.unwrap();
    assert!((8..=12).contains(&added.photos.len()), "{added:?}");
}

#[needs(program = "ffmpeg")]
#[tokio::test]
async fn frames_of_a_camera_that_stands_still_are_few() {
    let made = tempfile::tempdir().unwrap();
    let hold = ["-vf", "loop=loop=60:size=1,scroll=horizontal=0", "-t", "6", "-c:v", "mpeg4"];
    let bytes = video(made.path(), "still.mp4", 0.1, &hold);
    let place = Place::new(limits());
    let added = place.draft().await.add_file("still.mp4", pieces(&bytes, 5000)).await.unwrap();
    assert_eq!((added.photos.len(), added.rejected.len()), (limits().min_photos, 0), "{added:?}");
}

#[needs(program = "ffmpeg")]
#[tokio::test]
async fn videos_that_cannot_be_used_are_refused_with_the_reason() {
    let made = tempfile::tempdir().unwrap();
    let bytes = video(made.path(), "clip.mp4", 3.0, &["-c:v", "mpeg4"]);
    let long = Limits { max_video_seconds: 2, ..limits() };
    let large = Limits { max_pixels: 320 * 240 - 1, ..limits() };
    let cut = &bytes[..bytes.len() / 2];
    for (limits, bytes, code) in [
        (long, bytes.as_slice(), RejectCode::VideoTooLong),
        (large, &bytes, RejectCode::TooManyPixels),
        (limits(), cut, RejectCode::BadVideo),
        (limits(), b"\x1a\x45\xdf\xa3 but no more", RejectCode::BadVideo),
    ] {
        let place = Place::new(limits);
        let mut draft = place.draft().await;
        let added = draft.add_file("clip.mp4", pieces(bytes, 5000)).await.unwrap();
        assert_eq!(added.rejected.first().map(|rejected| rejected.code), Some(code), "{added:?}");
        assert!(files_below(&place.uploads()).is_empty());
    }
}

/// A playlist that names another file must not lead ffmpeg there.
#[needs(program = "ffmpeg")]
#[tokio::test]
async fn a_playlist_in_a_videos_clothes_reads_nothing_else() {
    let made = tempfile::tempdir().unwrap();
    let secret = video(made.path(), "secret.avi", 1.0, &["-c:v", "mjpeg"]);
    let place = Place::new(limits());
    let path = made.path().join("secret.avi");
    assert!(!secret.is_empty());
    let mut playlist = b"\0\0\0\x18ftypisom\0\0\0\0isomiso2".to_vec();
    playlist.extend(format!("\n#EXTM3U\n#EXTINF:1,\nfile://{}\n", path.display()).into_bytes());
    let mut draft = place.draft().await;
    let added = draft.add_file("clip.mp4", pieces(&playlist, 5000)).await.unwrap();
    assert_eq!(added.rejected.first().map(|rejected| rejected.code), Some(RejectCode::BadVideo), "{added:?}");
}

#[tokio::test]
async fn without_ffmpeg_a_video_is_refused_with_the_reason() {
    let place = Place::new(limits());
    let intake = place.intake.clone().without_ffmpeg();
    assert!(!intake.takes_videos());
    let mut draft = intake.begin(&Owner::local()).await.unwrap();
    let added = draft.add_file("clip.webm", pieces(b"\x1a\x45\xdf\xa3 and so on", 5)).await.unwrap();
    assert_eq!(added.rejected[0].code, RejectCode::VideoUnsupported);
    assert!(added.rejected[0].reason.contains("ffmpeg"));
}
