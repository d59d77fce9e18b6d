//! API keys: who may use the service.
//!
//! A key is the text `splat_<id>_<secret>`. The id is not secret: it identifies the key in lists and logs, and owns the jobs
//! submitted with it ([`ApiKey::owner`]). Of the secret, 260 random bits, only the SHA-256 is stored: with that much entropy a
//! slow password hash would add nothing. Keys are stored with the jobs, in the same SQLite file or Redis.

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

/// 60 bits: no accidental collisions, and short enough for lists.
const ID_LENGTH: usize = 12;
/// 260 bits: cannot be guessed.
const SECRET_LENGTH: usize = 52;
const PREFIX: &str = "splat_";
/// Maximum length of a key's name.
const NAME_LENGTH: usize = 80;
/// Minimum interval between updates of the time of last use.
const USE_NOTED_EVERY_MS: u64 = 60_000;

/// Why a key could not be made or looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, too long or contains control characters.
    #[error("a key's name has 1 to {NAME_LENGTH} printable characters; say who or what will use it")]
    BadName,
    /// The key store failed.
    #[error(transparent)]
    Store(#[from] QueueError),
}

splat_core::words! {
    /// Permissions of a key.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Role {
        User = "user", "Jobs of its own";
        Admin = "admin", "Also the figures of the whole service";
    }
}

/// Metadata of a key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ApiKey {
    /// Id of the key; not secret.
    pub id: String,
    /// Name of the key, for display.
    pub name: String,
    /// Its permissions.
    pub role: Role,
    /// When it was made.
    pub created_ms: UnixMs,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<UnixMs>,
    /// When it was revoked; a revoked key is rejected.
    pub revoked_ms: Option<UnixMs>,
}

impl ApiKey {
    /// Owner of the jobs submitted with this key.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner(self.id.clone())
    }
}

/// A complete key, shown once when it is made. Its `Debug` output hides it.
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

/// SHA-256 of a secret. Hidden from `Debug`: it is of no use in a log.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    fn hex(&self) -> String {
        hex::encode(self.0)
    }

    fn of_hex(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok()?;
        Some(Self(hash))
    }

    /// Compares in constant time.
    fn matches(&self, other: &Self) -> bool {
        bool::from(self.0.ct_eq(&other.0))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(hidden)")
    }
}

/// Storage of keys.
#[async_trait]
pub trait KeyStore: Send + Sync + fmt::Debug {
    /// Stores a new key.
    async fn insert(&self, key: &ApiKey, hash: SecretHash) -> Result<(), QueueError>;
    /// The key with this id, revoked or not.
    async fn find(&self, id: &str) -> Result<Option<(ApiKey, SecretHash)>, QueueError>;
    /// All keys, oldest first.
    async fn list(&self) -> Result<Vec<ApiKey>, QueueError>;
    /// Replaces a key's secret; false if there is no valid key with this id.
    async fn replace(&self, id: &str, hash: SecretHash) -> Result<bool, QueueError>;
    /// Marks a key as revoked; false if there is no such key or it was already revoked.
    async fn revoke(&self, id: &str, now: UnixMs) -> Result<bool, QueueError>;
    /// Records when a key was used.
    async fn touch(&self, id: &str, now: UnixMs) -> Result<(), QueueError>;
}

/// The service's keys.
#[derive(Clone, Debug)]
pub struct Keys {
    store: Arc<dyn KeyStore>,
    /// When the use of each key was last recorded, so that not every request writes.
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

    /// Creates a key. Its text is returned only here and cannot be recovered.
    ///
    /// # Errors
    /// [`KeyError::BadName`], and those of the store.
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

    /// All keys, oldest first, including revoked ones.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self) -> Result<Vec<ApiKey>, KeyError> {
        Ok(self.store.list().await?)
    }

    /// All possible owners of jobs, with a name for display: the keys, including revoked ones, and clients without a key.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn owners(&self) -> Result<Vec<(Owner, String)>, KeyError> {
        let keys = self.store.list().await?.into_iter().map(|key| (key.owner(), key.name));
        let without =
            [(Owner::local(), "without a key"), (Owner::legacy(), "Ghostouch clients without a key")];
        Ok(without.into_iter().map(|(owner, name)| (owner, name.to_owned())).chain(keys).collect())
    }

    /// Whether a key was ever made, revoked or not. From then on the service requires a key.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn any_created(&self) -> Result<bool, KeyError> {
        Ok(!self.store.list().await?.is_empty())
    }

    /// Replaces the key's secret: the old one is rejected from now on, and the key keeps its jobs. `None` if there is no valid
    /// key with this id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rotate(&self, id: &str) -> Result<Option<Secret>, KeyError> {
        let secret = random_text(SECRET_LENGTH);
        let replaced = self.store.replace(id, SecretHash::of(&secret)).await?;
        Ok(replaced.then(|| Secret(format!("{PREFIX}{id}_{secret}"))))
    }

    /// Revokes the key; its jobs stay. False if there is no valid key with this id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn revoke(&self, id: &str) -> Result<bool, KeyError> {
        Ok(self.store.revoke(id, now_ms()).await?)
    }

    /// The valid key with this text, if there is one. A malformed text is rejected without a query.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify(&self, presented: &str) -> Result<Option<ApiKey>, KeyError> {
        let Some((id, secret)) = parts(presented) else { return Ok(None) };
        let Some((key, hash)) = self.store.find(id).await? else { return Ok(None) };
        if !hash.matches(&SecretHash::of(secret)) || key.revoked_ms.is_some() {
            return Ok(None);
        }
        let now = now_ms();
        if self.should_record_use(&key, now) {
            self.store.touch(id, now).await?;
        }
        Ok(Some(key))
    }

    fn should_record_use(&self, key: &ApiKey, now: UnixMs) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.get(&key.id).copied().or(key.last_used_ms);
        let worth = last.is_none_or(|last| now.saturating_sub(last) >= USE_NOTED_EVERY_MS);
        if worth {
            noted.insert(key.id.clone(), now);
        }
        worth
    }
}

/// Splits the text of a key into id and secret.
fn parts(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let looks = id.len() == ID_LENGTH && secret.len() == SECRET_LENGTH && plain(id) && plain(secret);
    looks.then_some((id, secret))
}

#[cfg(test)]
mod tests;
