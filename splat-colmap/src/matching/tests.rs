//! Databases of both schemas, in and out.

use std::path::Path;

use rusqlite::{Connection, params};
use splat_core::gpu::GpuDescriptors;

use super::*;

const OLD: &str = "CREATE TABLE images(image_id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE keypoints(image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);
    CREATE TABLE descriptors(image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);
    CREATE TABLE two_view_geometries(pair_id INTEGER PRIMARY KEY);
    CREATE TABLE matches(pair_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);";
/// 4.x says of which kind the features are.
const NEW: &str = "CREATE TABLE images(image_id INTEGER PRIMARY KEY, name TEXT, camera_id INTEGER);
    CREATE TABLE keypoints(image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);
    CREATE TABLE descriptors(image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB, type INTEGER DEFAULT 0);
    CREATE TABLE matches(pair_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);";

/// Sparse directions of length 512, different for each `seed`: eight places of 128 by a linear congruential generator.
fn descriptor(seed: usize) -> [u8; 128] {
    let mut state = (seed as u32).wrapping_mul(2_654_435_761);
    let mut descriptor = [0; 128];
    let mut filled = 0;
    while filled < 8 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Eight of 181 make a length of 512.
        let place = &mut descriptor[(state >> 25) as usize];
        filled += usize::from(*place == 0);
        *place = 181;
    }
    descriptor
}

/// Photo `i` shows things `i * step ..`, in its own order.
fn write_database(path: &Path, schema: &str, photos: usize, features: usize, step: usize) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(schema).unwrap();
    for i in 0..photos {
        let things = (0..features).map(|k| i * step + (k * 7 + i) % features);
        let data: Vec<u8> = things.flat_map(descriptor).collect();
        connection
            .execute(
                "INSERT INTO images(image_id, name) VALUES(?1, ?2)",
                params![i as u32 + 1, format!("{i}.jpg")],
            )
            .unwrap();
        // Every third thing is a large one.
        let scale = |thing: usize| if thing.is_multiple_of(3) { 9.0_f32 } else { 1.0 };
        let things = (0..features).map(|k| i * step + (k * 7 + i) % features);
        let keypoints: Vec<u8> =
            things.flat_map(|thing| [0.0, 0.0, scale(thing), 0.0]).flat_map(f32::to_le_bytes).collect();
        connection
            .execute(
                "INSERT INTO keypoints(image_id, rows, cols, data) VALUES(?1, ?2, 4, ?3)",
                params![i as u32 + 1, features as u32, keypoints],
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO descriptors(image_id, rows, cols, data) VALUES(?1, ?2, 128, ?3)",
                params![i as u32 + 1, features as u32, data],
            )
            .unwrap();
    }
}

fn all_pairs(photos: usize) -> Vec<[usize; 2]> {
    (0..photos).flat_map(|a| (a + 1..photos).map(move |b| [a, b])).collect()
}

fn rows(path: &Path) -> Vec<(i64, u32, Vec<u8>)> {
    let connection = Connection::open(path).unwrap();
    let mut query = connection.prepare("SELECT pair_id, rows, data FROM matches ORDER BY pair_id").unwrap();
    query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn run(path: &Path, cancel: &CancelToken, limit: Option<Duration>) -> (crate::Result<()>, u64) {
    let mut database = Database::open(path).unwrap();
    let images = database.images().unwrap();
    let compared = AtomicU64::new(0);
    let progress = |done: u64, total: u64| {
        assert!(done <= total);
        compared.fetch_max(done, Ordering::Relaxed);
    };
    let pairs = all_pairs(images.len());
    let result = match_pairs(
        &mut database,
        &images,
        &pairs,
        Comparer::Processor,
        Watch { cancel, limit, progress: &progress },
    );
    (result, compared.into_inner())
}

#[test]
fn any_number_of_threads_and_both_schemas_give_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for (schema, threads) in [(OLD, 1), (OLD, 4), (NEW, 3)] {
        let path = dir.path().join(format!("{threads}.db"));
        // More than a block of photos.
        write_database(&path, schema, 35, 20, 5);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (result, compared) = pool.install(|| run(&path, &CancelToken::new(), None));
        result.unwrap();
        assert_eq!(compared, 35 * 34 / 2);
        seen.push(rows(&path));
    }
    assert!(seen[0] == seen[1] && seen[0] == seen[2]);
    // Photos 1 and 2 share things 5 to 19; each row names the same thing twice.
    let (id, count, data) = &seen[0][0];
    assert_eq!(*id, 2_147_483_647 + 2);
    assert!(*count > 0 && data.len() == 8 * *count as usize);
    for pair in data.as_chunks::<8>().0 {
        let [a, b] =
            [&pair[..4], &pair[4..]].map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()) as usize);
        assert_eq!(descriptor((a * 7) % 20), descriptor(5 + (b * 7 + 1) % 20));
    }
}

#[test]
fn an_interrupted_comparison_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    write_database(&path, OLD, 6, 10, 3);
    let cancelled = CancelToken::new();
    cancelled.cancel();
    let (result, _) = run(&path, &cancelled, None);
    assert!(matches!(result, Err(ColmapError::Core(splat_core::Error::Cancelled))), "{result:?}");
    let (result, _) = run(&path, &CancelToken::new(), Some(Duration::ZERO));
    let message = result.unwrap_err().to_string();
    assert!(message.contains("limit for a stage"), "{message}");
    assert!(rows(&path).is_empty());
    run(&path, &CancelToken::new(), None).0.unwrap();
    let all = rows(&path);
    Connection::open(&path).unwrap().execute("DELETE FROM matches WHERE pair_id % 2 = 0", []).unwrap();
    let kept = rows(&path).len();
    let (result, compared) = run(&path, &CancelToken::new(), None);
    result.unwrap();
    assert_eq!(compared as usize, all.len() - kept);
    assert_eq!(rows(&path), all);
}

#[test]
fn photos_without_features_match_nothing_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    write_database(&path, OLD, 3, 10, 0);
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE descriptors SET rows = 0, data = x'' WHERE image_id = 2", []).unwrap();
    connection.execute("DELETE FROM descriptors WHERE image_id = 3", []).unwrap();
    run(&path, &CancelToken::new(), None).0.unwrap();
    assert!(rows(&path).iter().all(|(_, count, data)| *count == 0 && data.is_empty()));
    connection
        .execute_batch("DELETE FROM matches; UPDATE descriptors SET rows = 11 WHERE image_id = 1")
        .unwrap();
    let message = run(&path, &CancelToken::new(), None).0.unwrap_err().to_string();
    assert!(message.contains("`0.jpg` should have 11 descriptors"), "{message}");
    connection.execute("UPDATE descriptors SET cols = 512 WHERE image_id = 1", []).unwrap();
    let message = Database::open(&path).unwrap().images().unwrap_err().to_string();
    assert!(message.contains("have 512 bytes"), "{message}");
    std::fs::write(&path, "no database").unwrap();
    let message = Database::open(&path).and_then(|database| database.images()).unwrap_err().to_string();
    assert!(message.contains("a.db` cannot be used"), "{message}");
}

#[test]
fn features_are_taken_out_with_their_matches() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("database.db");
    write_database(&path, OLD, 4, 20, 3);
    let mut database = Database::open(&path).unwrap();
    let images = database.images().unwrap();
    let watch = Watch { cancel: &CancelToken::new(), limit: None, progress: &|_, _| () };
    match_pairs(&mut database, &images, &all_pairs(4), Comparer::Processor, watch).unwrap();
    database.remove_features(&[2]).unwrap();
    let left: Vec<i64> = rows(&path).into_iter().map(|(pair, ..)| pair).collect();
    assert_eq!(left, [[1, 3], [1, 4], [3, 4]].map(pair_id));
    let features: Vec<u64> = database.images().unwrap().iter().map(|image| image.features).collect();
    assert_eq!(features, [20, 0, 20, 20]);
    database.remove_matches().unwrap();
    assert!(rows(&path).is_empty());
}

/// Photos of a walk, each with half of what the one before shows, and few enough features that all of them are large.
#[test]
fn photos_that_share_things_are_preselected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("database.db");
    write_database(&path, OLD, 12, 40, 20);
    let mut database = Database::open(&path).unwrap();
    let images = database.images().unwrap();
    let compared = AtomicU64::new(0);
    let progress = |_, total| compared.store(total, Ordering::Relaxed);
    let watch = Watch { cancel: &CancelToken::new(), limit: None, progress: &progress };
    let pairs = preselect(&database, &images, Comparer::Processor, watch).unwrap();
    match_pairs(&mut database, &images, &all_pairs(12), Comparer::Processor, watch).unwrap();
    let few = database.pairs_below(MIN_MATCHES).unwrap();
    let shares = |&[a, b]: &[usize; 2]| !few.contains(&[images[a].id, images[b].id]);
    let expected: Vec<[usize; 2]> = all_pairs(12).into_iter().filter(shares).collect();
    assert!(expected.len() >= 11, "{expected:?}");
    assert!(expected.iter().all(|pair| pairs.contains(pair)), "{pairs:?}");
    assert!(pairs.len() < all_pairs(12).len() / 2, "{pairs:?}");
    assert_eq!(compared.into_inner(), 66);
    assert_eq!(products_of_all_pairs(&images), 66 * 40 * 40);
    // Pairs of no interest are written as compared.
    database.remove_matches().unwrap();
    database.write_unmatched(&images, &pairs).unwrap();
    assert_eq!(rows(&path).len(), 66 - pairs.len());
}

/// A GPU gives the rows that the processor gives: features in common, features of one photo that are alike, photos without any, and more
/// than fit into a group or a tile.
#[test]
fn a_gpu_gives_the_same_matches() {
    let dir = tempfile::tempdir().unwrap();
    let gpu = splat_core::Gpu::new(&splat_core::GpuOptions::default()).unwrap();
    let device = GpuDescriptors::new(&gpu);
    for (photos, features, step) in [(5, 150, 40), (35, 20, 5), (3, 65, 0), (2, 33, 1000), (2, 0, 0)] {
        let path = dir.path().join(format!("{photos}_{features}.db"));
        write_database(&path, OLD, photos, features, step);
        if photos == 5 {
            let connection = Connection::open(&path).unwrap();
            let twice: Vec<u8> = (0..features).flat_map(|k| descriptor(k / 2)).collect();
            connection.execute("UPDATE descriptors SET data = ?1 WHERE image_id = 2", [twice]).unwrap();
            connection.execute("UPDATE descriptors SET rows = 0, data = x'' WHERE image_id = 4", []).unwrap();
        }
        let mut seen = Vec::new();
        for comparer in [Comparer::Processor, Comparer::Gpu(&device)] {
            let mut database = Database::open(&path).unwrap();
            database.remove_matches().unwrap();
            let images = database.images().unwrap();
            let compared = AtomicU64::new(0);
            let progress = |done, _| {
                compared.fetch_max(done, Ordering::Relaxed);
            };
            let watch = Watch { cancel: &CancelToken::new(), limit: None, progress: &progress };
            let chosen = preselect(&database, &images, comparer, watch).unwrap();
            match_pairs(&mut database, &images, &all_pairs(photos), comparer, watch).unwrap();
            assert_eq!(compared.into_inner(), (photos * (photos - 1) / 2) as u64);
            seen.push((chosen, rows(&path)));
        }
        assert_eq!(seen[0], seen[1], "{photos} photos of {features} features");
        assert!(step == 1000 || features == 0 || seen[0].1.iter().any(|(_, count, _)| *count > 0));
    }
}

#[test]
fn comparing_on_a_gpu_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    write_database(&path, OLD, 6, 10, 3);
    let gpu = splat_core::Gpu::new(&splat_core::GpuOptions::default()).unwrap();
    let device = GpuDescriptors::new(&gpu);
    let mut database = Database::open(&path).unwrap();
    let images = database.images().unwrap();
    let cancel = CancelToken::new();
    let progress = |done, _| {
        if done == 2 {
            cancel.cancel();
        }
    };
    let watch = Watch { cancel: &cancel, limit: None, progress: &progress };
    let result = match_pairs(&mut database, &images, &all_pairs(6), Comparer::Gpu(&device), watch);
    assert!(matches!(result, Err(ColmapError::Core(splat_core::Error::Cancelled))), "{result:?}");
    assert!(rows(&path).is_empty());
}
