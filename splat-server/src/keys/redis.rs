//! Keys in Redis: a hash per key, and all ids in order of creation. Keys are never deleted, only revoked.

use ::redis::{cmd, pipe};
use async_trait::async_trait;

use super::{ApiKey, KeyStore, SecretHash};
use crate::job::UnixMs;
use crate::queue::{Fields, QueueError, RedisQueue, RedisStore};

#[derive(Debug)]
pub(super) struct RedisKeys {
    store: RedisStore,
}

impl RedisKeys {
    pub(super) fn new(queue: &RedisQueue) -> Self {
        Self { store: queue.store().clone() }
    }

    fn key(&self, id: &str) -> String {
        self.store.key(&format!("api_key:{id}"))
    }

    fn all(&self) -> String {
        self.store.key("api_keys")
    }
}

fn key(fields: &Fields) -> Result<(ApiKey, SecretHash), QueueError> {
    let key = ApiKey {
        id: fields.text("id")?.to_owned(),
        name: fields.text("name")?.to_owned(),
        role: fields.word("role", super::Role::from_name)?,
        created_ms: fields.maybe_number("created_ms")?.unwrap_or(0),
        last_used_ms: fields.maybe_number("last_used_ms")?,
        revoked_ms: fields.maybe_number("revoked_ms")?,
    };
    Ok((key, fields.word("secret_hash", SecretHash::of_hex)?))
}

#[async_trait]
impl KeyStore for RedisKeys {
    async fn insert(&self, key: &ApiKey, hash: SecretHash) -> Result<(), QueueError> {
        let mut both = pipe();
        both.atomic().cmd("HSET").arg(self.key(&key.id));
        both.arg("id").arg(&key.id).arg("name").arg(&key.name).arg("role").arg(key.role.name());
        both.arg("created_ms").arg(key.created_ms).arg("secret_hash").arg(hash.hex());
        both.cmd("ZADD").arg(self.all()).arg(key.created_ms).arg(&key.id);
        self.store.run_all::<(u32, u32)>(&both).await.map(drop)
    }

    async fn find(&self, id: &str) -> Result<Option<(ApiKey, SecretHash)>, QueueError> {
        let fields: Fields = self.store.run(cmd("HGETALL").arg(self.key(id))).await?;
        if fields.is_empty() { Ok(None) } else { key(&fields).map(Some) }
    }

    async fn list(&self) -> Result<Vec<ApiKey>, QueueError> {
        let ids: Vec<String> = self.store.run(cmd("ZRANGE").arg(self.all()).arg(0).arg(-1)).await?;
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            keys.extend(self.find(&id).await?.map(|(key, _)| key));
        }
        Ok(keys)
    }

    async fn replace(&self, id: &str, hash: SecretHash) -> Result<bool, QueueError> {
        // A concurrent revocation is kept, since it is another field.
        if self.find(id).await?.is_none_or(|(key, _)| key.revoked_ms.is_some()) {
            return Ok(false);
        }
        self.store.run::<()>(cmd("HSET").arg(self.key(id)).arg("secret_hash").arg(hash.hex())).await?;
        Ok(true)
    }

    async fn revoke(&self, id: &str, now: UnixMs) -> Result<bool, QueueError> {
        if self.find(id).await?.is_none() {
            return Ok(false);
        }
        self.store.run(cmd("HSETNX").arg(self.key(id)).arg("revoked_ms").arg(now)).await
    }

    async fn touch(&self, id: &str, now: UnixMs) -> Result<(), QueueError> {
        self.store.run(cmd("HSET").arg(self.key(id)).arg("last_used_ms").arg(now)).await
    }
}
