//! API keys: who may use the service.
//!
//! A key is the text `splat_<id>_<secret>`. The id is no secret: it names the key in lists and logs and owns the jobs that
//! come by it ([`ApiKey::owner`]). Of the secret, 260 random bits, only the SHA-256 is stored: with that much entropy a slow
//! password hash would protect nothing more. Keys lie beside the jobs, in the same SQLite file or Redis.

mod redis;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::job::{Owner, UnixMs, random_text};
use crate::queue::{QueueError, RedisQueue, SqliteQueue, now_ms};

/// 60 bits: beyond accidents, and short enough for a list.
const ID_LENGTH: usize = 12;
/// 260 bits: beyond guessing.
const SECRET_LENGTH: usize = 52;
const PREFIX: &str = "splat_";
/// Longest name of a key.
const NAME_LENGTH: usize = 80;
/// The time of last use is written down no more often than this.
const USE_NOTED_EVERY_MS: u64 = 60_000;

/// Why a key could not be made or looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, too long or unprintable.
    #[error("a key's name has 1 to {NAME_LENGTH} printable characters; say who or what will use it")]
    BadName,
    /// The store of the keys failed.
    #[error(transparent)]
    Store(#[from] QueueError),
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Jobs of its own.
    User,
    /// Also what concerns all: metrics.
    Admin,
}

splat_core::words! { Role:
    User = "user", "Jobs of its own";
    Admin = "admin", "Also the figures of the whole service";
}

/// What is known of a key; not its secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ApiKey {
    /// Names the key; no secret.
    pub id: String,
    /// Name of the key, for people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_ms: UnixMs,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<UnixMs>,
    /// When it was revoked; since then it opens nothing.
    pub revoked_ms: Option<UnixMs>,
}

impl ApiKey {
    /// Whom the jobs that come by this key belong to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner(self.id.clone())
    }
}

/// A whole key, shown once when it is made. Its `Debug` output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The key's text, to be shown to its user.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// SHA-256 of a secret. Hidden from `Debug` too: it is of no use in a log.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn of_hex(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// The same hash? Takes as long whatever differs.
    fn matches(&self, other: &Self) -> bool {
        bool::from(self.0.ct_eq(&other.0))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(hidden)")
    }
}

/// Where keys are kept.
#[async_trait]
pub trait KeyStore: Send + Sync + fmt::Debug {
    /// Keeps a new key.
    async fn insert(&self, key: &ApiKey, hash: SecretHash) -> Result<(), QueueError>;
    /// The key of that id, revoked or not.
    async fn find(&self, id: &str) -> Result<Option<(ApiKey, SecretHash)>, QueueError>;
    /// All keys, oldest first.
    async fn list(&self) -> Result<Vec<ApiKey>, QueueError>;
    /// Puts another secret in place of a key's; false when there is none of that id in force.
    async fn replace(&self, id: &str, hash: SecretHash) -> Result<bool, QueueError>;
    /// Marks a key as revoked; false when there is none of that id or it was revoked before.
    async fn revoke(&self, id: &str, now: UnixMs) -> Result<bool, QueueError>;
    /// Notes when a key was used.
    async fn touch(&self, id: &str, now: UnixMs) -> Result<(), QueueError>;
}

/// The service's keys.
#[derive(Clone, Debug)]
pub struct Keys {
    store: Arc<dyn KeyStore>,
    /// When the use of a key was last noted, so that not every request writes.
    noted: Arc<Mutex<BTreeMap<String, UnixMs>>>,
}

impl Keys {
    /// Keys in the queue's SQLite file.
    #[must_use]
    pub fn in_sqlite(queue: &SqliteQueue) -> Self {
        Self::new(Arc::new(sqlite::SqliteKeys::new(queue)))
    }

    /// Keys in the queue's Redis.
    #[must_use]
    pub fn in_redis(queue: &RedisQueue) -> Self {
        Self::new(Arc::new(redis::RedisKeys::new(queue)))
    }

    fn new(store: Arc<dyn KeyStore>) -> Self {
        Self { store, noted: Arc::default() }
    }

    /// Makes a key. Its text is given this once and can never be shown again.
    ///
    /// # Errors
    /// [`KeyError::BadName`], or the store's.
    pub async fn create(&self, name: &str, role: Role) -> Result<(ApiKey, Secret), KeyError> {
        let name = name.trim();
        let printable = !name.is_empty() && !name.chars().any(char::is_control);
        if !printable || name.chars().count() > NAME_LENGTH {
            return Err(KeyError::BadName);
        }
        let key = ApiKey {
            id: random_text(ID_LENGTH),
            name: name.to_owned(),
            role,
            created_ms: now_ms(),
            last_used_ms: None,
            revoked_ms: None,
        };
        let secret = random_text(SECRET_LENGTH);
        self.store.insert(&key, SecretHash::of(&secret)).await?;
        let text = Secret(format!("{PREFIX}{}_{secret}", key.id));
        Ok((key, text))
    }

    /// All keys, oldest first, revoked ones among them.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<ApiKey>, KeyError> {
        Ok(self.store.list().await?)
    }

    /// Everybody who may own jobs, with a name for people: the keys, revoked ones among them, and those without one.
    ///
    /// # Errors
    /// The store's.
    pub async fn owners(&self) -> Result<Vec<(Owner, String)>, KeyError> {
        let keys = self.store.list().await?.into_iter().map(|key| (key.owner(), key.name));
        let without =
            [(Owner::local(), "without a key"), (Owner::legacy(), "Ghostouch clients without a key")];
        Ok(without.into_iter().map(|(owner, name)| (owner, name.to_owned())).chain(keys).collect())
    }

    /// Whether a key was ever made, revoked or not. From then on the service is closed to those without one.
    ///
    /// # Errors
    /// The store's.
    pub async fn ever(&self) -> Result<bool, KeyError> {
        Ok(!self.store.list().await?.is_empty())
    }

    /// Gives the key another secret: the old one opens nothing any more, and what came by the key stays its own. `None` when there is no such
    /// key in force.
    ///
    /// # Errors
    /// The store's.
    pub async fn rotate(&self, id: &str) -> Result<Option<Secret>, KeyError> {
        let secret = random_text(SECRET_LENGTH);
        let replaced = self.store.replace(id, SecretHash::of(&secret)).await?;
        Ok(replaced.then(|| Secret(format!("{PREFIX}{id}_{secret}"))))
    }

    /// From now on the key opens nothing; its jobs stay. False when there is no such key in force.
    ///
    /// # Errors
    /// The store's.
    pub async fn revoke(&self, id: &str) -> Result<bool, KeyError> {
        Ok(self.store.revoke(id, now_ms()).await?)
    }

    /// The key that this text is, if it is one in force. A text that is none costs nothing but its look.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify(&self, presented: &str) -> Result<Option<ApiKey>, KeyError> {
        let Some((id, secret)) = parts(presented) else { return Ok(None) };
        let Some((key, hash)) = self.store.find(id).await? else { return Ok(None) };
        if !hash.matches(&SecretHash::of(secret)) || key.revoked_ms.is_some() {
            return Ok(None);
        }
        let now = now_ms();
        if self.use_is_worth_noting(&key, now) {
            self.store.touch(id, now).await?;
        }
        Ok(Some(key))
    }

    fn use_is_worth_noting(&self, key: &ApiKey, now: UnixMs) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.get(&key.id).copied().or(key.last_used_ms);
        let worth = last.is_none_or(|last| now.saturating_sub(last) >= USE_NOTED_EVERY_MS);
        if worth {
            noted.insert(key.id.clone(), now);
        }
        worth
    }
}

/// Id and secret of a text that looks like a key.
fn parts(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let looks = id.len() == ID_LENGTH && secret.len() == SECRET_LENGTH && plain(id) && plain(secret);
    looks.then_some((id, secret))
}

#[cfg(test)]
mod tests;
