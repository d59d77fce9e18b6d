//! Keys in the queue's SQLite file.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row};

use super::{ApiKey, KeyStore, SecretHash};
use crate::job::UnixMs;
use crate::queue::{Database, QueueError, SqliteQueue, signed, unavailable, unknown, unsigned};

const COLUMNS: &str = "id, name, role, created_ms, last_used_ms, revoked_ms, secret_hash";

#[derive(Debug)]
pub(super) struct SqliteKeys {
    database: Arc<Database>,
}

impl SqliteKeys {
    pub(super) fn new(queue: &SqliteQueue) -> Self {
        Self { database: Arc::clone(queue.database()) }
    }
}

fn key(row: &Row<'_>) -> Result<(ApiKey, SecretHash), QueueError> {
    let role: String = row.get(2).map_err(unavailable)?;
    let read = || -> rusqlite::Result<(ApiKey, SecretHash)> {
        let key = ApiKey {
            id: row.get(0)?,
            name: row.get(1)?,
            role: super::Role::User,
            created_ms: unsigned(row.get(3)?),
            last_used_ms: row.get::<_, Option<i64>>(4)?.map(unsigned),
            revoked_ms: row.get::<_, Option<i64>>(5)?.map(unsigned),
        };
        Ok((key, SecretHash(row.get(6)?)))
    };
    let (mut key, hash) = read().map_err(unavailable)?;
    key.role = super::Role::from_name(&role).ok_or_else(|| unknown("role", &role))?;
    Ok((key, hash))
}

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn insert(&self, key: &ApiKey, hash: SecretHash) -> Result<(), QueueError> {
        let key = key.clone();
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO api_keys (id, name, role, created_ms, secret_hash) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )
                    .and_then(|mut statement| {
                        statement.execute((key.id, key.name, key.role.name(), signed(key.created_ms), hash.0))
                    })
                    .map_err(unavailable)?;
                Ok(())
            })
            .await
    }

    async fn find(&self, id: &str) -> Result<Option<(ApiKey, SecretHash)>, QueueError> {
        let id = id.to_owned();
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys WHERE id = ?1"))
                    .and_then(|mut statement| statement.query_row([id], |row| Ok(key(row))).optional())
                    .map_err(unavailable)?
                    .transpose()
            })
            .await
    }

    async fn list(&self) -> Result<Vec<ApiKey>, QueueError> {
        self.database
            .read(|connection| {
                let mut statement = connection
                    .prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys ORDER BY created_ms, id"))
                    .map_err(unavailable)?;
                let rows = statement.query_map([], |row| Ok(key(row))).map_err(unavailable)?;
                rows.map(|row| Ok(row.map_err(unavailable)??.0)).collect()
            })
            .await
    }

    async fn replace(&self, id: &str, hash: SecretHash) -> Result<bool, QueueError> {
        let id = id.to_owned();
        self.database
            .write(move |connection| {
                let changed = connection
                    .prepare_cached(
                        "UPDATE api_keys SET secret_hash = ?1 WHERE id = ?2 AND revoked_ms IS NULL",
                    )
                    .and_then(|mut statement| statement.execute((hash.0, id)))
                    .map_err(unavailable)?;
                Ok(changed > 0)
            })
            .await
    }

    async fn revoke(&self, id: &str, now: UnixMs) -> Result<bool, QueueError> {
        let id = id.to_owned();
        self.database
            .write(move |connection| {
                let changed = connection
                    .prepare_cached(
                        "UPDATE api_keys SET revoked_ms = ?1 WHERE id = ?2 AND revoked_ms IS NULL",
                    )
                    .and_then(|mut statement| statement.execute((signed(now), id)))
                    .map_err(unavailable)?;
                Ok(changed > 0)
            })
            .await
    }

    async fn touch(&self, id: &str, now: UnixMs) -> Result<(), QueueError> {
        let id = id.to_owned();
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached("UPDATE api_keys SET last_used_ms = ?1 WHERE id = ?2")
                    .and_then(|mut statement| statement.execute((signed(now), id)))
                    .map_err(unavailable)?;
                Ok(())
            })
            .await
    }
}
