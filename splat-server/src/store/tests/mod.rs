//! One suite for all backends, and tests of the local backend only.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod buckets;
pub(crate) mod emulator;

use super::*;

async fn read(contents: Contents) -> Vec<u8> {
    let mut all = Vec::new();
    let mut stream = contents.stream;
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

/// The contract of every backend.
async fn keeps_the_contract(store: &JobStore) {
    let (id, other) = (JobId::random(), JobId::random());
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("photo.jpg");
    std::fs::write(&file, b"0123456789").unwrap();

    store.ping().await.unwrap();
    assert!(store.list(&id).await.unwrap().is_empty());
    assert!(matches!(store.head(&id, "images/0001.jpg").await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.get(&id, "images/0001.jpg", None).await, Err(StoreError::NotFound { .. })));

    let put = store.put(&id, "images/0001.jpg", &file).await.unwrap();
    assert_eq!((put.bytes, put.path.as_str()), (10, "images/0001.jpg"));
    assert!(file.exists(), "put copies");
    assert_eq!(store.head(&id, "images/0001.jpg").await.unwrap().etag, put.etag);
    assert!(put.etag.starts_with('"') && put.etag.ends_with('"') && put.etag.len() > 2, "{}", put.etag);

    let whole = store.get(&id, "images/0001.jpg", None).await.unwrap();
    assert_eq!((whole.head.bytes, whole.range.clone()), (10, 0..10));
    assert_eq!(read(whole).await, b"0123456789");
    let part = store.get(&id, "images/0001.jpg", Some(3..6)).await.unwrap();
    assert_eq!((part.head.bytes, part.range.clone()), (10, 3..6));
    assert_eq!(read(part).await, b"345");
    let tail = store.get(&id, "images/0001.jpg", Some(8..1000)).await.unwrap();
    assert_eq!(tail.range, 8..10);
    assert_eq!(read(tail).await, b"89");
    for bad in [10..11, 99..100, 3..3] {
        let error = store.get(&id, "images/0001.jpg", Some(bad.clone())).await.unwrap_err();
        assert!(matches!(error, StoreError::BadRange { bytes: 10 }), "{bad:?}: {error}");
    }

    // New content gets a new ETag, even at the same length.
    tokio::time::sleep(Duration::from_millis(20)).await;
    std::fs::write(&file, b"abcdefghij").unwrap();
    let again = store.put_moving(&id, "images/0001.jpg", &file).await.unwrap();
    assert_ne!(again.etag, put.etag);
    assert!(!file.exists(), "put_moving moves");

    store.put_bytes(&id, "output/log.txt", Bytes::from_static(b"line\n")).await.unwrap();
    store.put_bytes(&id, "output/empty", Bytes::new()).await.unwrap();
    assert!(read(store.get(&id, "output/empty", None).await.unwrap()).await.is_empty());
    store.put_bytes(&other, "images/0001.jpg", Bytes::from_static(b"other")).await.unwrap();
    let listed: Vec<_> = store.list(&id).await.unwrap().into_iter().map(|f| (f.path, f.bytes)).collect();
    let expected =
        [("images/0001.jpg", 10), ("output/empty", 0), ("output/log.txt", 5)].map(|(p, b)| (p.to_owned(), b));
    assert_eq!(listed, expected);

    for bad in ["", "../x", "/etc/passwd", "images/../../x", "a\\b"] {
        assert!(matches!(store.head(&id, bad).await, Err(StoreError::BadPath { .. })), "{bad}");
        assert!(
            matches!(store.put_bytes(&id, bad, Bytes::new()).await, Err(StoreError::BadPath { .. })),
            "{bad}"
        );
        assert!(matches!(store.get(&id, bad, None).await, Err(StoreError::BadPath { .. })), "{bad}");
        assert!(matches!(store.delete_file(&id, bad).await, Err(StoreError::BadPath { .. })), "{bad}");
    }

    let mut known = vec![id.clone(), other.clone()];
    known.sort();
    let ids = |found: Vec<ListedJob>| found.into_iter().map(|found| found.id).collect::<Vec<_>>();
    assert_eq!(ids(store.older_than(Duration::ZERO).await.unwrap()), known);
    assert!(store.older_than(Duration::from_secs(3600)).await.unwrap().is_empty());

    store.mark_queue(&id, "0queue").await.unwrap();
    store.mark_submitted(&other).await.unwrap();
    let marks: Vec<_> = store.older_than(Duration::ZERO).await.unwrap();
    let mut expected = vec![
        ListedJob { id: id.clone(), queue_id: Some("0queue".into()), submitted: false },
        ListedJob { id: other.clone(), queue_id: None, submitted: true },
    ];
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(marks, expected);
    assert_eq!(store.list(&other).await.unwrap().len(), 1, "marks are no files of a job");
    let copy = store.download_job(&id, |_| true).await.unwrap();
    assert_eq!(copy.dir().join(".taken.0queue").exists(), store.local_dir(&id).is_some());
    copy.remove().await.unwrap();

    assert!(!store.put_new(&id, "output/log.txt", Bytes::from_static(b"other")).await.unwrap());
    assert_eq!(read(store.get(&id, "output/log.txt", None).await.unwrap()).await, b"line\n");
    let rivals = (0..4_u8).map(|rival| store.put_new(&id, "output/once", vec![rival; 1000].into()));
    let heard: Vec<bool> = futures_util::future::try_join_all(rivals).await.unwrap();
    let winner = heard.iter().position(|heard| *heard).unwrap();
    assert_eq!(heard.iter().filter(|heard| **heard).count(), 1, "{heard:?}");
    assert_eq!(read(store.get(&id, "output/once", None).await.unwrap()).await, vec![winner as u8; 1000]);
    assert_eq!(store.list(&id).await.unwrap().len(), 4, "only whole files are there");
    store.delete_file(&id, "output/once").await.unwrap();

    let copied = JobId::random();
    store.copy_files(&id, &copied, |path| path.starts_with("images/")).await.unwrap();
    let files = store.list(&copied).await.unwrap();
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["images/0001.jpg"]);
    assert_eq!(read(store.get(&copied, "images/0001.jpg", None).await.unwrap()).await, b"abcdefghij");
    store.delete_job(&copied).await.unwrap();

    store.delete_file(&id, "output/empty").await.unwrap();
    store.delete_file(&id, "output/empty").await.unwrap();
    assert_eq!(store.list(&id).await.unwrap().len(), 2);
    store.delete_job(&id).await.unwrap();
    store.delete_job(&id).await.unwrap();
    assert!(store.list(&id).await.unwrap().is_empty());
    assert_eq!(read(store.get(&other, "images/0001.jpg", None).await.unwrap()).await, b"other");
    store.delete_job(&other).await.unwrap();
}

fn local() -> (tempfile::TempDir, JobStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = JobStore::open(&StoreConfig::local(dir.path().join("data"))).unwrap();
    (dir, store)
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let (_dir, store) = local();
    keeps_the_contract(&store).await;
    assert!(store.free_bytes().unwrap() > 0);
}

#[tokio::test]
async fn a_file_is_read_as_one_version_while_others_take_its_place() {
    let (_dir, store) = local();
    let id = JobId::random();
    let version = |count: usize| Bytes::from(vec![count as u8; count]);
    store.put_bytes(&id, "preview.png", version(200)).await.unwrap();
    let writer = async {
        for count in (1..=200).rev() {
            store.put_bytes(&id, "preview.png", version(count)).await.unwrap();
        }
    };
    let reader = async {
        loop {
            let whole = store.get(&id, "preview.png", None).await.unwrap();
            let count = whole.head.bytes as usize;
            assert_eq!(read(whole).await, version(count));
            // As a client does: the size first, then the bytes.
            let head = store.head(&id, "preview.png").await.unwrap();
            let chosen =
                store.get_part(&id, "preview.png", |head| Ok(head.bytes / 2..head.bytes)).await.unwrap();
            let (count, range) = (chosen.head.bytes as usize, chosen.range.clone());
            assert!(count as u64 <= head.bytes);
            assert_eq!(read(chosen).await, version(count)[range.start as usize..]);
            if count == 1 {
                break;
            }
        }
    };
    tokio::join!(writer, reader);
}

#[tokio::test]
async fn files_of_a_local_job_lie_where_its_worker_looks() {
    let (dir, store) = local();
    let id = JobId::random();
    store.put_bytes(&id, "images/0001.jpg", Bytes::from_static(b"photo")).await.unwrap();
    let job = store.local_dir(&id).unwrap();
    assert_eq!(job, dir.path().join("data/jobs").join(id.as_str()));
    let path = job.join("images/0001.jpg");
    // Storing a file at its own path leaves it unchanged.
    let head = store.put(&id, "images/0001.jpg", &path).await.unwrap();
    assert_eq!(head.bytes, 5);
    assert_eq!(std::fs::read(path).unwrap(), b"photo");
    // A partial file left by a killed process is not listed.
    std::fs::write(job.join("images/0002.jpg.part"), b"half").unwrap();
    assert_eq!(store.list(&id).await.unwrap().len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn links_lead_nowhere() {
    use std::os::unix::fs::symlink;
    let (dir, store) = local();
    let id = JobId::random();
    let secret = dir.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("key"), b"secret").unwrap();
    store.put_bytes(&id, "images/0001.jpg", Bytes::from_static(b"photo")).await.unwrap();
    let job = store.local_dir(&id).unwrap();
    symlink(secret.join("key"), job.join("images/key.jpg")).unwrap();
    symlink(&secret, job.join("output")).unwrap();

    for path in ["images/key.jpg", "output/key"] {
        assert!(matches!(store.get(&id, path, None).await, Err(StoreError::Link { .. })), "{path}");
        assert!(matches!(store.head(&id, path).await, Err(StoreError::Link { .. })), "{path}");
        let written = store.put_bytes(&id, path, Bytes::from_static(b"overwritten")).await;
        assert!(matches!(written, Err(StoreError::Link { .. })), "{path}");
    }
    let listed: Vec<_> = store.list(&id).await.unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(listed, ["images/0001.jpg"]);
    store.delete_job(&id).await.unwrap();
    assert!(!job.exists());
    assert_eq!(std::fs::read(secret.join("key")).unwrap(), b"secret", "removing a job follows no link");

    // A job's folder that is itself a link.
    let linked = JobId::random();
    symlink(&secret, store.local_dir(&linked).unwrap()).unwrap();
    assert!(matches!(store.get(&linked, "key", None).await, Err(StoreError::Link { .. })));
    assert!(matches!(store.list(&linked).await, Err(StoreError::Link { .. })));
    assert!(store.older_than(Duration::ZERO).await.unwrap().iter().all(|found| found.id != linked));
    store.delete_job(&linked).await.unwrap();
    assert_eq!(std::fs::read(secret.join("key")).unwrap(), b"secret");
}

#[tokio::test]
async fn a_half_deleted_job_can_be_deleted_again() {
    let (_dir, store) = local();
    let id = JobId::random();
    store.put_bytes(&id, "images/0001.jpg", Bytes::from_static(b"photo")).await.unwrap();
    store.put_bytes(&id, "output/a/b", Bytes::from_static(b"x")).await.unwrap();
    std::fs::remove_dir_all(store.local_dir(&id).unwrap().join("images")).unwrap();
    store.delete_job(&id).await.unwrap();
    assert!(!store.local_dir(&id).unwrap().exists());
}

#[tokio::test]
async fn a_store_that_goes_away_is_told_and_comes_back() {
    let (dir, store) = local();
    let id = JobId::random();
    store.put_bytes(&id, "a", Bytes::from_static(b"x")).await.unwrap();
    let (jobs, away) = (dir.path().join("data/jobs"), dir.path().join("away"));
    std::fs::rename(&jobs, &away).unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(error.may_pass(), "{error}");
    std::fs::rename(&away, &jobs).unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.head(&id, "a").await.unwrap().bytes, 1);
}

#[test]
fn the_disk_of_the_data_folder_tells_its_room() {
    let (_dir, store) = local();
    let free = store.free_bytes().unwrap();
    assert!(free > 0 && free < 1 << 60, "{free}");
}
