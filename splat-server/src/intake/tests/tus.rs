//! Resumable uploads.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use sha1::{Digest, Sha1};

use super::*;
use crate::job::JobId;

fn metadata(name: &str) -> String {
    format!("filename {}", STANDARD.encode(name))
}

async fn create(place: &Place, name: &str, length: usize) -> Upload {
    place.intake.create_upload(&Owner::local(), length as u64, &metadata(name)).await.unwrap()
}

async fn append(place: &Place, id: &JobId, offset: u64, bytes: &[u8]) -> Result<Upload> {
    place.intake.append(&Owner::local(), id, offset, None, pieces(bytes, 1000)).await
}

async fn upload_whole(place: &Place, name: &str, bytes: &[u8]) -> JobId {
    let id = create(place, name, bytes.len()).await.id;
    assert!(append(place, &id, 0, bytes).await.unwrap().is_complete());
    id
}

/// A stream of chunks that ends with a connection error.
fn dropped(
    bytes: &[u8],
    piece: usize,
) -> impl Stream<Item = std::result::Result<Bytes, &'static str>> + use<> {
    let mut all: Vec<_> = bytes.chunks(piece).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    all.push(Err("connection reset by peer"));
    stream::iter(all)
}

#[tokio::test]
async fn uploads_become_a_job() {
    let place = Place::new(limits());
    let owner = Owner::local();
    let photos: Vec<Vec<u8>> = (0..3).map(jpeg).collect();
    let mut ids = Vec::new();
    for (index, bytes) in photos.iter().enumerate() {
        let name = format!("IMG_{index}.jpg");
        let upload = create(&place, &name, bytes.len()).await;
        assert_eq!(
            (upload.offset, upload.length, upload.name.as_str()),
            (0, bytes.len() as u64, name.as_str())
        );
        assert_eq!(upload.metadata, metadata(&name));
        let half = bytes.len() / 2;
        let upload = append(&place, &upload.id, 0, &bytes[..half]).await.unwrap();
        assert_eq!(upload.offset, half as u64);
        let upload = append(&place, &upload.id, half as u64, &bytes[half..]).await.unwrap();
        assert!(upload.is_complete());
        ids.push(upload.id);
    }
    ids.push(upload_whole(&place, "more.zip", &super::zips::archive(&[("IMG_9.jpg", &jpeg(9))])).await);
    assert_eq!(place.intake.uploads(&owner).await.unwrap().len(), 4);

    // A draft that is dropped releases the uploads.
    let draft = place.intake.take(&owner, &ids).await.unwrap();
    assert!(matches!(place.intake.take(&owner, &ids).await, Err(IntakeError::Locked)));
    drop(draft);

    ids.push(ids[0].clone());
    let photos_taken = place.intake.take(&owner, &ids).await.unwrap().finish().await.unwrap();
    let job = JobId::random();
    let entries = photos_taken.commit(&place.store, &job).await.unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        ["IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg", "IMG_9.jpg"],
        "an id that is named twice counts once"
    );
    let images = place.store.local_dir(&job).unwrap().join("images");
    assert!(std::fs::read(images.join("0002.jpg")).unwrap() == photos[1]);
    assert!(matches!(place.intake.take(&owner, &ids).await, Err(IntakeError::NoUpload)));
    assert!(place.intake.uploads(&owner).await.unwrap().is_empty());
    becomes_empty(&place.uploads()).await;
}

/// 20 MB over a connection that drops 20 times, each time losing what was in flight.
#[tokio::test]
async fn an_upload_arrives_whole_over_a_connection_that_drops() {
    let size = 20 << 20;
    drops_and_resumes(size, 20).await;
}

/// The same with 2 GB. `cargo test -p splat-server --release -- --ignored two_gigabytes --nocapture` prints the speed.
#[tokio::test]
#[ignore = "writes 2 GB"]
#[expect(clippy::print_stderr, reason = "a measurement")]
async fn two_gigabytes_arrive_whole() {
    let start = std::time::Instant::now();
    drops_and_resumes(2 << 30, 20).await;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    eprintln!("2 GB in {:.1} s, {memory}", start.elapsed().as_secs_f64());
}

/// The byte at an offset of the test file: a zip's signature, then numbers.
fn byte_at(at: u64) -> u8 {
    b"PK\x03\x04"
        .get(usize::try_from(at).unwrap())
        .copied()
        .unwrap_or((at.wrapping_mul(2_654_435_761) >> 21) as u8)
}

async fn drops_and_resumes(size: u64, drops: u64) {
    let place = Place::new(limits());
    let owner = Owner::local();
    let id = place.intake.create_upload(&owner, size, "").await.unwrap().id;
    let mut offset = 0;
    // Generated in blocks, as if read from the network.
    let from = |start: u64, end: u64| {
        stream::unfold(start, move |at| async move {
            let next = (at + 64 * 1024).min(end);
            (at < end).then(|| (Ok::<_, String>((at..next).map(byte_at).collect::<Bytes>()), next))
        })
    };
    for drop in 1..=drops {
        let until = size * drop / (drops + 1) + drop * 977;
        let broken = from(offset, until).chain(stream::iter([Err("reset".to_owned())]));
        let error = place.intake.append(&owner, &id, offset, None, broken).await.unwrap_err();
        assert!(matches!(error, IntakeError::Interrupted { .. }), "{error}");
        offset = place.intake.upload(&owner, &id).await.unwrap().offset;
        assert_eq!(offset, until, "what came before the drop is kept");
    }
    // The file is not a valid zip, which only its end reveals; until then all of it is kept.
    let before = place.uploads().join(id.as_str()).join("data");
    let whole = std::fs::File::open(&before).unwrap();
    let error = place.intake.append(&owner, &id, offset, None, from(offset, size)).await.unwrap_err();
    assert!(
        matches!(&error, IntakeError::Refused(rejected) if rejected.code == RejectCode::BadZip),
        "{error}"
    );
    #[cfg(unix)]
    {
        use std::io::Read;
        let mut file = std::io::BufReader::with_capacity(1 << 20, whole);
        let (mut at, mut block) = (0_u64, vec![0; 1 << 16]);
        loop {
            let read = file.read(&mut block).unwrap();
            if read == 0 {
                break;
            }
            assert!(
                block[..read].iter().zip(at..).all(|(byte, at)| *byte == byte_at(at)),
                "differs after byte {at}"
            );
            at += read as u64;
        }
        assert_eq!(at, size);
    }
}

#[tokio::test]
async fn a_restart_finds_the_uploads() {
    let place = Place::new(limits());
    let bytes = jpeg(1);
    let id = create(&place, "a.jpg", bytes.len()).await.id;
    let owner = Owner::local();
    let error = place.intake.append(&owner, &id, 0, None, dropped(&bytes[..300], 100)).await.unwrap_err();
    assert!(matches!(error, IntakeError::Interrupted { .. }));
    // As left by a killed process: a folder without a record.
    std::fs::create_dir(place.uploads().join(JobId::random().as_str())).unwrap();

    let again = Intake::open(place.dir.path(), limits()).unwrap();
    let upload = again.upload(&owner, &id).await.unwrap();
    assert_eq!((upload.offset, upload.name.as_str()), (300, "a.jpg"));
    let done = again.append(&owner, &id, 300, None, pieces(&bytes[300..], 100)).await.unwrap();
    assert!(done.is_complete());
    // A complete upload stays complete, for clients that missed the last response.
    let again = Intake::open(place.dir.path(), limits()).unwrap();
    assert!(again.upload(&owner, &id).await.unwrap().is_complete());
    assert!(again.append(&owner, &id, bytes.len() as u64, None, pieces(b"", 1)).await.unwrap().is_complete());
}

#[tokio::test]
async fn pieces_must_fit() {
    let place = Place::new(limits());
    let bytes = jpeg(1);
    let id = create(&place, "a.jpg", bytes.len()).await.id;
    let error = append(&place, &id, 5, &bytes).await.unwrap_err();
    assert!(matches!(error, IntakeError::WrongOffset { have: 0, given: 5 }), "{error}");
    let error =
        append(&place, &id, 0, &[bytes.as_slice(), b"more than announced"].concat()).await.unwrap_err();
    assert!(matches!(error, IntakeError::BeyondLength { .. }), "{error}");
    let half = bytes.len() / 2;
    let have = async || place.intake.upload(&Owner::local(), &id).await.unwrap().offset;
    assert_eq!(have().await, 0, "what was refused stays");
    append(&place, &id, 0, &bytes[..half]).await.unwrap();
    let error = append(&place, &id, half as u64, &bytes).await.unwrap_err();
    assert!(matches!(error, IntakeError::BeyondLength { .. }), "{error}");
    assert_eq!(have().await, half as u64);
    append(&place, &id, half as u64, &bytes[half..]).await.unwrap();
    let error =
        place.intake.take(&Owner::local(), &[create(&place, "b.jpg", 10).await.id]).await.unwrap_err();
    assert!(matches!(error, IntakeError::Incomplete { have: 0, length: 10, .. }), "{error}");
}

#[tokio::test]
async fn a_piece_with_a_wrong_checksum_is_taken_back() {
    let place = Place::new(limits());
    let owner = Owner::local();
    let bytes = jpeg(1);
    let id = create(&place, "a.jpg", bytes.len()).await.id;
    let sum = |bytes: &[u8]| format!("sha1 {}", STANDARD.encode(Sha1::digest(bytes)));
    let send = async |offset: u64, bytes: &[u8], sum: &str| {
        place.intake.append(&owner, &id, offset, Some(sum), pieces(bytes, 100)).await
    };
    send(0, &bytes[..200], &sum(&bytes[..200])).await.unwrap();
    let error = send(200, &bytes[200..], &sum(b"something else")).await.unwrap_err();
    assert!(matches!(error, IntakeError::WrongChecksum), "{error}");
    assert_eq!(place.intake.upload(&owner, &id).await.unwrap().offset, 200);
    assert!(matches!(send(200, b"x", "crc32 AAAA").await, Err(IntakeError::BadRequest { .. })));
    // Interrupted in the middle: the received part cannot be verified.
    let broken = dropped(&bytes[200..400], 50);
    let error = place.intake.append(&owner, &id, 200, Some(&sum(&bytes[200..])), broken).await.unwrap_err();
    assert!(matches!(error, IntakeError::Interrupted { .. }), "{error}");
    assert_eq!(place.intake.upload(&owner, &id).await.unwrap().offset, 200);
    // Killed in the middle: the mark is still there.
    let dir = place.uploads().join(id.as_str());
    std::fs::write(dir.join("unverified"), "200").unwrap();
    let mut data = std::fs::read(dir.join("data")).unwrap();
    data.extend_from_slice(b"garbage");
    std::fs::write(dir.join("data"), data).unwrap();
    let again = Intake::open(place.dir.path(), limits()).unwrap();
    assert_eq!(again.upload(&owner, &id).await.unwrap().offset, 200);
    let done =
        again.append(&owner, &id, 200, Some(&sum(&bytes[200..])), pieces(&bytes[200..], 99)).await.unwrap();
    assert!(done.is_complete());
}

#[tokio::test]
async fn one_writer_at_a_time_and_a_dead_one_gives_way() {
    let place = Place::new(limits());
    let owner = Owner::local();
    let bytes = jpeg(1);
    let id = create(&place, "a.jpg", bytes.len()).await.id;
    // A connection that sends 100 bytes and then stalls. It has the upload to itself once its bytes are asked for.
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (intake, writer, first) = (place.intake.clone(), id.clone(), Bytes::copy_from_slice(&bytes[..100]));
    let hangs = tokio::spawn(async move {
        let sends = stream::once(async move {
            begun.send(()).unwrap();
            Ok::<_, Infallible>(first)
        });
        intake.append(&Owner::local(), &writer, 0, None, sends.chain(stream::pending())).await
    });
    has_begun.await.unwrap();
    for _ in 0..2 {
        assert!(matches!(append(&place, &id, 0, &bytes).await, Err(IntakeError::Locked)));
        assert!(matches!(place.intake.upload(&owner, &id).await, Err(IntakeError::Locked)));
        assert!(matches!(place.intake.terminate(&owner, &id).await, Err(IntakeError::Locked)));
    }
    let upload = loop {
        match place.intake.upload(&owner, &id).await {
            Err(IntakeError::Locked) => tokio::time::sleep(Duration::from_millis(50)).await,
            upload => break upload.unwrap(),
        }
    };
    assert_eq!(upload.offset, 100, "what the dead connection brought is kept");
    assert!(matches!(hangs.await.unwrap(), Err(IntakeError::Interrupted { .. })));
    assert!(append(&place, &id, 100, &bytes[100..]).await.unwrap().is_complete());
}

/// The server may drop a request of a disconnected client at any moment.
#[tokio::test]
async fn a_dropped_request_leaves_a_usable_upload() {
    let place = Place::new(limits());
    let owner = Owner::local();
    let size = 3_u64 << 20;
    let id = place.intake.create_upload(&owner, size, "").await.unwrap().id;
    let mut have = 0;
    for round in 0..8 {
        let slow = stream::unfold(have, |at| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let next = (at + 50_000).min(size);
            (at < next).then(|| (Ok::<_, Infallible>((at..next).map(byte_at).collect::<Bytes>()), next))
        });
        let work = place.intake.append(&owner, &id, have, None, slow);
        assert!(tokio::time::timeout(Duration::from_millis(5 + round * 4), work).await.is_err());
        let now = loop {
            match place.intake.upload(&owner, &id).await {
                Ok(upload) => break upload.offset,
                // A write to the disk is still in progress.
                Err(IntakeError::Locked) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => panic!("{error}"),
            }
        };
        assert!(now >= have);
        have = now;
    }
    let data = std::fs::read(place.uploads().join(id.as_str()).join("data")).unwrap_or_default();
    assert_eq!(data.len() as u64, have);
    assert!(data.iter().zip(0..).all(|(byte, at)| *byte == byte_at(at)));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_as_early_as_can_be() {
    let place = Place::new(Limits { max_file_bytes: 5000, ..limits() });
    let owner = Owner::local();
    let reject = async |name: &str, length: u64, bytes: Vec<u8>| {
        let id = place.intake.create_upload(&owner, length, &metadata(name)).await.unwrap().id;
        let error = append(&place, &id, 0, &bytes).await.unwrap_err();
        let IntakeError::Refused(rejected) = &error else { panic!("{name}: {error}") };
        assert_eq!(rejected.name, name);
        // The reason can still be queried; the bytes are gone.
        assert!(matches!(place.intake.upload(&owner, &id).await, Err(IntakeError::Refused(_))));
        assert!(matches!(
            place.intake.take(&owner, std::slice::from_ref(&id)).await,
            Err(IntakeError::Refused(_))
        ));
        assert!(!place.uploads().join(id.as_str()).join("data").exists());
        let code = rejected.code;
        (code, status(error).as_u16())
    };
    let mut large = jpeg(1);
    large.resize(5001, 0);
    // Detected from its first bytes, long before the declared end.
    assert_eq!(
        reject("notes.txt", 1 << 30, b"text ".repeat(200)).await,
        (RejectCode::UnsupportedFormat, 415)
    );
    assert_eq!(reject("huge.jpg", 1 << 30, large.clone()).await, (RejectCode::FileTooLarge, 413));
    assert_eq!(reject("large.jpg", 5001, large).await, (RejectCode::FileTooLarge, 413));
    // Detected at its end.
    assert_eq!(reject("short.txt", 4, b"text".to_vec()).await, (RejectCode::UnsupportedFormat, 415));
    let cut = jpeg(1)[..700].to_vec();
    assert_eq!(reject("cut.jpg", 700, cut).await, (RejectCode::UnreadablePhoto, 422));
    let error = place.intake.create_upload(&owner, 0, &metadata("empty.jpg")).await.unwrap_err();
    assert_eq!(status(error), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(place.intake.uploads(&owner).await.unwrap().is_empty());
}

#[tokio::test]
async fn limits_of_an_owner_hold_and_others_are_not_seen() {
    let place =
        Place::new(Limits { max_uploads: 2, max_uploads_bytes: 1000, max_job_bytes: 800, ..limits() });
    let [one, two] = ["one", "two"].map(|name| Owner(name.into()));
    let create = async |owner: &Owner, length: u64| place.intake.create_upload(owner, length, "").await;
    assert!(matches!(create(&one, 801).await, Err(IntakeError::UploadTooLarge { max: 800 })));
    let first = create(&one, 600).await.unwrap().id;
    assert!(matches!(create(&one, 401).await, Err(IntakeError::OwnerFull { max: 1000 })));
    create(&one, 400).await.unwrap();
    assert!(matches!(create(&one, 1).await, Err(IntakeError::TooManyUploads { count: 2 })));
    create(&two, 800).await.unwrap();

    assert!(matches!(place.intake.upload(&two, &first).await, Err(IntakeError::NoUpload)));
    assert!(matches!(place.intake.terminate(&two, &first).await, Err(IntakeError::NoUpload)));
    assert!(matches!(
        place.intake.take(&two, std::slice::from_ref(&first)).await,
        Err(IntakeError::NoUpload)
    ));
    let stolen = place.intake.append(&two, &first, 0, None, pieces(b"x", 1)).await;
    assert!(matches!(stolen, Err(IntakeError::NoUpload)));
    assert_eq!(place.intake.uploads(&two).await.unwrap().len(), 1);

    place.intake.terminate(&one, &first).await.unwrap();
    assert!(matches!(place.intake.upload(&one, &first).await, Err(IntakeError::NoUpload)));
    create(&one, 600).await.unwrap();

    let full = Place::new(Limits { disk_floor_bytes: u64::MAX, ..limits() });
    let error = full.intake.create_upload(&one, 1, "").await.unwrap_err();
    assert_eq!(status(error), StatusCode::INSUFFICIENT_STORAGE);
}

#[tokio::test]
async fn what_is_forgotten_is_swept() {
    let place = Place::new(limits());
    let owner = Owner::local();
    let old = create(&place, "old.jpg", 100).await.id;
    let taken = upload_whole(&place, "taken.jpg", &jpeg(1)).await;
    let lost = place.uploads().join(JobId::random().as_str());
    std::fs::create_dir(&lost).unwrap();
    std::fs::write(place.uploads().join("not-ours.txt"), b"stays").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("precious"), b"stays").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(elsewhere.path(), lost.join("link")).unwrap();
    assert_eq!(place.intake.sweep_uploads().await.unwrap(), 0);
    // Times of files have the resolution of the system's clock ticks.
    tokio::time::sleep(Duration::from_millis(30)).await;
    let moment = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(30)).await;
    // Uploads that a draft uses are not swept; the draft itself is new.
    let draft = place.intake.take(&owner, std::slice::from_ref(&taken)).await.unwrap();
    assert_eq!(place.intake.sweep_unchanged_since(moment).await.unwrap(), 2);
    assert!(matches!(place.intake.upload(&owner, &old).await, Err(IntakeError::NoUpload)));
    assert!(!lost.exists() && place.uploads().join("not-ours.txt").exists());
    assert!(elsewhere.path().join("precious").exists(), "a sweep follows no link");
    drop(draft);
    assert!(place.intake.upload(&owner, &taken).await.unwrap().is_complete());
}
