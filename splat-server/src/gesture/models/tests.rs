//! Several servers that share one store of models: a folder, and both kinds of buckets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::OnceLock;

use splat_gesture::{Outcome, QualityGate, Recording, TrainOptions, train_new};
use splat_test_needs::needs;

use super::*;
use crate::gesture::BASE_CODE;
use crate::store::StoreConfig;
use crate::store::tests::emulator::{Emulator, Service};

/// A hand with fingers bent by `curl`, slightly different at every `step`; synthetic numbers.
fn hand(curl: f32, step: usize) -> Vec<f32> {
    let mut values = vec![0.0, 0.0, 0.0];
    for finger in 0..5 {
        let x = -0.04 + 0.02 * finger as f32;
        for joint in 1..5 {
            let bend = (curl + 1e-3 * (step % 11) as f32) * joint as f32;
            values.extend([x, -0.05 - 0.02 * joint as f32 * bend.cos(), -0.02 * joint as f32 * bend.sin()]);
        }
    }
    values.push(1.0);
    values
}

/// A model of two gestures, trained once.
fn bundle() -> Arc<Bundle> {
    static BUNDLE: OnceLock<Arc<Bundle>> = OnceLock::new();
    let made = BUNDLE.get_or_init(|| {
        let take = |curl| (0..60).map(|step| hand(curl, step)).collect::<Vec<_>>();
        let recordings = [("open", 0.0), ("closed", 0.5)]
            .map(|(name, curl)| Recording::new(name, Layout::World, &take(curl)).unwrap());
        let gate = QualityGate { min_old_accuracy: 0.0, ..QualityGate::default() };
        match train_new(&recordings, "made up", &TrainOptions { seed: 1, gate }, &|_| {}, &|| false).unwrap()
        {
            Outcome::Published(bundle) => Arc::new(*bundle),
            other => panic!("{other:?}"),
        }
    });
    Arc::clone(made)
}

fn new(parent: ModelCode) -> NewModel {
    NewModel { id: JobId::random(), parent, secret: JobId::random() }
}

/// Two servers on one store.
fn two(store: &JobStore) -> [Models; 2] {
    [(); 2].map(|()| Models::open(store, None).unwrap())
}

/// Remaining files of an owner's models, except markers of deleted ones.
async fn left(models: &Models, owner: &Owner) -> Vec<String> {
    let files = models.models.list(&of(owner)).await.unwrap().into_iter().map(|head| head.path);
    files.filter(|path| !path.ends_with(DELETED)).collect()
}

#[tokio::test]
async fn old_models_expire_with_their_addresses_and_children_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = JobStore::open(&StoreConfig::local(dir.path())).unwrap();
    let models = Models::open(&store, None).unwrap();
    let (clients, other) = (Owner::legacy(), Owner::local());
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(models.keep(&clients, new(ModelCode::Base), bundle()).await.unwrap());
    }
    let others = models.keep(&other, new(ModelCode::Base), bundle()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let moment = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let child = models.keep(&clients, new(ModelCode::Of(old[0].id.clone())), bundle()).await.unwrap();
    assert_eq!(models.expire(&clients, moment).await.unwrap(), old.len() as u64);
    assert_eq!(models.expire(&clients, moment).await.unwrap(), 0);
    let left = models.list(&clients, None, 100).await.unwrap();
    assert_eq!(left.iter().map(|record| &record.id).collect::<Vec<_>>(), [&child.id]);
    assert!(matches!(models.download(&old[1].secret, &old[1].id).await, Err(ModelError::NotFound)));
    assert!(models.bundle(&clients, &ModelCode::Of(child.id)).await.is_ok(), "it holds all that it needs");
    assert!(models.record(&other, &others.id).await.is_ok());
}

/// A deleted model stays deleted, whatever a running job does, also on another server.
async fn what_was_deleted_does_not_come_back(store: &JobStore) {
    let [here, there] = two(store);
    let owner = Owner(format!("owner {}", JobId::random()));
    let model = new(ModelCode::Base);
    here.keep(&owner, model.clone(), bundle()).await.unwrap();
    // As after a crash before the queue recorded the result: the job runs again and stores the same model again.
    let record = there.keep(&owner, model.clone(), bundle()).await.unwrap();
    here.delete(&owner, &model.id).await.unwrap();
    assert!(matches!(there.keep(&owner, model.clone(), bundle()).await, Err(ModelError::Deleted)));
    assert!(matches!(there.record(&owner, &model.id).await, Err(ModelError::NotFound)));
    assert!(matches!(there.download(&record.secret, &model.id).await, Err(ModelError::NotFound)));
    assert!(matches!(here.delete(&owner, &model.id).await, Err(ModelError::NotFound)));
    assert_eq!(left(&here, &owner).await, Vec::<String>::new());

    // Concurrently, with the steps in any order.
    for _ in 0..5 {
        let model = new(ModelCode::Base);
        here.keep(&owner, model.clone(), bundle()).await.unwrap();
        let (kept, deleted) =
            tokio::join!(there.keep(&owner, model.clone(), bundle()), here.delete(&owner, &model.id));
        deleted.unwrap();
        assert!(matches!(kept, Ok(_) | Err(ModelError::Deleted)), "{kept:?}");
        assert!(matches!(there.record(&owner, &model.id).await, Err(ModelError::NotFound)));
    }
    assert_eq!(left(&here, &owner).await, Vec::<String>::new());
}

/// A child stored before the deletion stays. One that is stored during the deletion would contain the parent's frames.
async fn no_child_of_a_deleted_model_is_kept(store: &JobStore) {
    let [here, there] = two(store);
    let owner = Owner(format!("owner {}", JobId::random()));
    let parent = new(ModelCode::Base);
    here.keep(&owner, parent.clone(), bundle()).await.unwrap();
    let before = new(ModelCode::Of(parent.id.clone()));
    here.keep(&owner, before.clone(), bundle()).await.unwrap();
    here.delete(&owner, &parent.id).await.unwrap();
    let after = new(ModelCode::Of(parent.id.clone()));
    assert!(matches!(there.keep(&owner, after.clone(), bundle()).await, Err(ModelError::ParentDeleted)));
    assert!(matches!(there.record(&owner, &after.id).await, Err(ModelError::NotFound)));
    let records = there.list(&owner, None, 10).await.unwrap();
    assert_eq!(records.into_iter().map(|record| record.id).collect::<Vec<_>>(), [before.id]);
}

/// Another server, which may round differently, stores its base model while this one is training its own.
async fn servers_share_the_base_model_that_was_first(store: &JobStore) {
    let [here, there] = two(store);
    let folder = folder_of("base", BASE_CODE);
    let path = format!("{}/{MODEL_FILE}", env!("CARGO_PKG_VERSION"));
    let making = tokio::spawn(async move { here.base().await });
    let other = bundle();
    // The first one stored is used by all.
    let area = store.area("gestures").unwrap();
    let other_is_first = area.put_new(&folder, &path, other.to_bytes().into()).await.unwrap();
    let made = making.await.unwrap().unwrap();
    assert_eq!(made.id() == other.id(), other_is_first);
    assert_eq!(there.base().await.unwrap().id(), made.id());
}

async fn all(store: &JobStore) {
    what_was_deleted_does_not_come_back(store).await;
    no_child_of_a_deleted_model_is_kept(store).await;
    servers_share_the_base_model_that_was_first(store).await;
}

#[tokio::test]
async fn a_folder_shared_by_servers() {
    let dir = tempfile::tempdir().unwrap();
    let store = JobStore::open(&StoreConfig::local(dir.path())).unwrap();
    all(&store).await;

    // Markers are removed once no job can be running any more.
    let [models, _] = two(&store);
    let owner = Owner("somebody".to_owned());
    let mark = |id: &JobId| format!("{id}/{DELETED}");
    let (old, young) = (new(ModelCode::Base), new(ModelCode::Base));
    for model in [&old, &young] {
        models.keep(&owner, model.clone(), bundle()).await.unwrap();
    }
    models.delete(&owner, &old.id).await.unwrap();
    let place = models.models.local_dir(&of(&owner)).unwrap().join(mark(&old.id));
    let long_ago = SystemTime::now() - 2 * MARK_STAYS;
    std::fs::File::options().write(true).open(place).unwrap().set_modified(long_ago).unwrap();
    models.delete(&owner, &young.id).await.unwrap();
    let files = models.models.list(&of(&owner)).await.unwrap();
    assert_eq!(files.into_iter().map(|head| head.path).collect::<Vec<_>>(), [mark(&young.id)]);
}

#[needs(program = "target/tools/bin/moto_server")]
#[tokio::test]
async fn an_s3_bucket_shared_by_servers() {
    let emulator = Emulator::start(Service::S3);
    let dir = tempfile::tempdir().unwrap();
    all(&emulator.store(dir.path())).await;
}

#[needs(program = "target/tools/bin/moto_server")]
#[tokio::test]
async fn a_gcs_bucket_shared_by_servers() {
    let emulator = Emulator::start(Service::Gcs);
    let dir = tempfile::tempdir().unwrap();
    all(&emulator.store(dir.path())).await;
}
