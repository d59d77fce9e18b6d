//! Buckets, against real servers.

use splat_test_needs::needs;

use super::emulator::{Emulator, Service};
use super::*;

#[needs(program = "target/tools/bin/moto_server")]
#[tokio::test]
async fn s3_keeps_the_contract() {
    let emulator = Emulator::start(Service::S3);
    let dir = tempfile::tempdir().unwrap();
    let store = emulator.store(dir.path());
    keeps_the_contract(&store).await;
    large_files_go_in_parts(&store).await;
    workers_copy_only_what_changed(&store).await;
}

#[needs(program = "target/tools/bin/moto_server")]
#[tokio::test]
async fn gcs_keeps_the_contract() {
    let emulator = Emulator::start(Service::Gcs);
    let dir = tempfile::tempdir().unwrap();
    let store = emulator.store(dir.path());
    keeps_the_contract(&store).await;
    large_files_go_in_parts(&store).await;
    workers_copy_only_what_changed(&store).await;
}

async fn large_files_go_in_parts(store: &JobStore) {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("scene.ply");
    let content: Vec<u8> = (0..20_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&file, &content).unwrap();
    let id = JobId::random();
    let put = store.put(&id, "output/scene.ply", &file).await.unwrap();
    assert_eq!(put.bytes, content.len() as u64);
    assert!(
        read(store.get(&id, "output/scene.ply", None).await.unwrap()).await == content,
        "a large file comes back changed"
    );
    let across = 8_388_600..8_388_620;
    let part = read(store.get(&id, "output/scene.ply", Some(across.clone())).await.unwrap()).await;
    assert_eq!(part, content[across.start as usize..across.end as usize]);
    store.delete_job(&id).await.unwrap();
}

async fn workers_copy_only_what_changed(store: &JobStore) {
    let id = JobId::random();
    for name in ["images/0001.jpg", "images/0002.jpg", "output/log.txt"] {
        store.put_bytes(&id, name, Bytes::from(name.to_owned())).await.unwrap();
    }
    let mut first = store.download_job(&id, |path| path.starts_with("images/")).await.unwrap();
    assert_eq!(std::fs::read(first.dir().join("images/0002.jpg")).unwrap(), b"images/0002.jpg");
    assert!(!first.dir().join("output/log.txt").exists(), "only what is wanted is fetched");
    assert_eq!(first.download(|_| true).await.unwrap(), Synced { files: 1, bytes: 14, unchanged: 2 });

    std::fs::write(first.dir().join("output/new.bin"), b"new").unwrap();
    std::fs::write(first.dir().join("output/log.txt"), b"longer than before").unwrap();
    assert_eq!(first.upload_changed(|_| true).await.unwrap(), Synced { files: 2, bytes: 21, unchanged: 2 });
    assert_eq!(first.upload_changed(|_| true).await.unwrap(), Synced { files: 0, bytes: 0, unchanged: 4 });
    let dir = first.dir().to_path_buf();
    drop(first);

    // As after a crash of the worker: another process finds the files.
    let mut again = store.download_job(&id, |_| true).await.unwrap();
    assert_eq!(again.download(|_| true).await.unwrap(), Synced { files: 0, bytes: 0, unchanged: 4 });
    std::fs::write(again.dir().join("images/0001.jpg"), b"damaged").unwrap();
    assert_eq!(again.download(|_| true).await.unwrap().files, 1, "what was changed here is fetched again");
    assert_eq!(std::fs::read(dir.join("images/0001.jpg")).unwrap(), b"images/0001.jpg");
    let head = again.upload("output/new.bin").await.unwrap();
    assert_eq!(head.etag, store.head(&id, "output/new.bin").await.unwrap().etag);
    again.remove().await.unwrap();
    assert!(!dir.exists());
    assert_eq!(store.list(&id).await.unwrap().len(), 4);
    store.delete_job(&id).await.unwrap();
}

/// The store is unavailable for a while: calls fail within the retry time, and succeed once it is back.
#[needs(program = "target/tools/bin/moto_server")]
#[tokio::test]
async fn a_bucket_that_goes_away_is_told_and_comes_back() {
    let mut emulator = Emulator::start(Service::S3);
    let dir = tempfile::tempdir().unwrap();
    let store = emulator.store(dir.path());
    let id = JobId::random();
    store.ping().await.unwrap();
    store.put_bytes(&id, "a", Bytes::from_static(b"x")).await.unwrap();
    emulator.stop();
    let file = dir.path().join("file");
    std::fs::write(&file, b"y").unwrap();
    for error in [
        store.ping().await.unwrap_err(),
        store.head(&id, "a").await.unwrap_err(),
        store.put(&id, "b", &file).await.unwrap_err(),
        store.list(&id).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable { .. }) && error.may_pass(), "{error}");
    }
    emulator.start_again();
    store.ping().await.unwrap();
    assert_eq!(store.put(&id, "b", &file).await.unwrap().bytes, 1);
}

#[needs(program = "target/tools/bin/moto_server")]
#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_passing_fault() {
    let emulator = Emulator::start(Service::S3);
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig { url: Some("s3://nowhere".into()), ..emulator.config(dir.path()) };
    let error = JobStore::open(&config).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }) && !error.may_pass(), "{error}");
}
