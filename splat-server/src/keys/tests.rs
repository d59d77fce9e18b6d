#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

/// The same tests for every store.
async fn keys_are_made_verified_and_revoked(keys: &Keys) {
    assert!(!keys.any_created().await.unwrap());
    let (key, text) = keys.create("  phone app  ", Role::User).await.unwrap();
    assert_eq!((key.name.as_str(), key.role, key.last_used_ms), ("phone app", Role::User, None));
    assert!(text.expose().starts_with(&format!("splat_{}_", key.id)));
    assert!(keys.any_created().await.unwrap());

    let verified = keys.verify(text.expose()).await.unwrap().unwrap();
    assert_eq!((&verified.id, verified.owner()), (&key.id, Owner(key.id.clone())));
    let (admin, admin_text) = keys.create("operator", Role::Admin).await.unwrap();
    assert_eq!(keys.verify(admin_text.expose()).await.unwrap().unwrap().role, Role::Admin);

    let listed = keys.list().await.unwrap();
    let mut ids: Vec<&str> = listed.iter().map(|key| key.id.as_str()).collect();
    ids.sort_unstable();
    let mut made = [key.id.as_str(), admin.id.as_str()];
    made.sort_unstable();
    assert_eq!(ids, made);
    assert!(listed.iter().all(|key| key.last_used_ms >= Some(key.created_ms)), "{listed:?}");

    // Another key's secret with this id, and a wrong character at either end.
    let secret_of = |text: &Secret| text.expose().rsplit_once('_').unwrap().1.to_owned();
    let secret = secret_of(&text);
    let flipped = |at: usize| -> String {
        let other = if secret.as_bytes()[at] == b'0' { "1" } else { "0" };
        format!("{}{other}{}", &secret[..at], &secret[at + 1..])
    };
    for wrong in [secret_of(&admin_text), flipped(0), flipped(SECRET_LENGTH - 1)] {
        let wrong = format!("splat_{}_{wrong}", key.id);
        assert_eq!(keys.verify(&wrong).await.unwrap(), None, "{wrong}");
    }
    let texts = [
        "".into(),
        "splat_".into(),
        secret.clone(),
        text.expose().to_uppercase(),
        format!("{} ", text.expose()),
        format!("{}0", text.expose()),
        format!("splat_{}_{secret}", "0".repeat(ID_LENGTH)),
        format!("splat_{}_{}", "é".repeat(ID_LENGTH / 2), secret),
        format!("splat_{}_{secret}", "*".repeat(ID_LENGTH)),
        "splat_".repeat(10_000),
    ];
    for wrong in texts {
        assert_eq!(keys.verify(&wrong).await.unwrap(), None, "{wrong:?}");
    }

    let rotated = keys.rotate(&key.id).await.unwrap().unwrap();
    assert_eq!(keys.verify(text.expose()).await.unwrap(), None, "the old secret opens still");
    let verified = keys.verify(rotated.expose()).await.unwrap().unwrap();
    assert_eq!((&verified.id, &verified.name), (&key.id, &key.name));
    assert_eq!(keys.rotate("nobody").await.unwrap(), None);
    let text = rotated;

    assert!(keys.revoke(&key.id).await.unwrap());
    assert_eq!(keys.rotate(&key.id).await.unwrap(), None);
    assert!(!keys.revoke(&key.id).await.unwrap(), "it was before");
    assert!(!keys.revoke("nobody").await.unwrap());
    assert_eq!(keys.verify(text.expose()).await.unwrap(), None);
    assert!(keys.any_created().await.unwrap());
    assert!(keys.revoke(&admin.id).await.unwrap());
    assert!(keys.any_created().await.unwrap(), "without its last key the service opens to everybody");
    assert!(keys.list().await.unwrap().iter().all(|key| key.revoked_ms.is_some()));
}

fn sqlite() -> (tempfile::TempDir, Keys) {
    let folder = tempfile::TempDir::new().unwrap();
    let queue = SqliteQueue::open(&folder.path().join("jobs.sqlite")).unwrap();
    let keys = Keys::in_sqlite(&queue);
    (folder, keys)
}

#[tokio::test]
async fn sqlite_keys_are_made_verified_and_revoked() {
    let (_folder, keys) = sqlite();
    keys_are_made_verified_and_revoked(&keys).await;
}

#[cfg(unix)]
#[tokio::test]
async fn redis_keys_are_made_verified_and_revoked() {
    let server = crate::queue::RedisServer::start().await;
    let keys = Keys::in_redis(&server.connect().await);
    keys_are_made_verified_and_revoked(&keys).await;
}

#[test]
fn hashes_survive_being_text() {
    let hash = SecretHash::of("secret");
    assert!(hash.matches(&SecretHash::of_hex(&hash.hex()).unwrap()));
    for wrong in ["", "00", &"g".repeat(64), &"é".repeat(32), &"+1".repeat(32)[..63]] {
        assert!(SecretHash::of_hex(wrong).is_none(), "{wrong}");
    }
}

#[tokio::test]
async fn the_secret_is_neither_stored_nor_shown() {
    let (folder, keys) = sqlite();
    let (key, text) = keys.create("phone", Role::User).await.unwrap();
    keys.verify(text.expose()).await.unwrap().unwrap();
    let secret = text.expose().rsplit_once('_').unwrap().1;
    let shown = format!("{key:?} {text:?} {keys:?} {:?}", SecretHash::of(secret));
    assert!(!shown.contains(secret), "{shown}");
    let mut read = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        read += bytes.len();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    assert!(read > 1000, "the files were read");
}

#[tokio::test]
async fn names_are_for_people() {
    let (_folder, keys) = sqlite();
    for name in ["", "   ", "a\nb", &"x".repeat(81)] {
        assert!(matches!(keys.create(name, Role::User).await, Err(KeyError::BadName)), "{name:?}");
    }
    assert_eq!(keys.create(&"한".repeat(80), Role::User).await.unwrap().0.name, "한".repeat(80));
    assert_eq!((Role::from_name("admin"), Role::from_name("root")), (Some(Role::Admin), None));
}
