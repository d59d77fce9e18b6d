//! Keys in the queue's SQLite file.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Row;

use super::{ApiKey, KeyStore, Role, SecretHash};
use crate::job::UnixMs;
use crate::queue::{Database, QueueError, Sql, SqliteQueue, stored_by_name};

stored_by_name! { Role, "role"; }

#[derive(Debug)]
pub(super) struct SqliteKeys {
    database: Arc<Database>,
}

impl SqliteKeys {
    pub(super) fn new(queue: &SqliteQueue) -> Self {
        Self { database: Arc::clone(queue.database()) }
    }

    /// Runs a statement; returns whether it changed anything.
    async fn run(
        &self,
        sql: &'static str,
        values: impl rusqlite::Params + Send + 'static,
    ) -> Result<bool, QueueError> {
        self.database.write(move |connection| Ok(connection.run(sql, values)? > 0)).await
    }
}

/// Reads a row of the table `api_keys`.
fn key(row: &Row<'_>) -> rusqlite::Result<(ApiKey, SecretHash)> {
    let key = ApiKey {
        id: row.get("id")?,
        name: row.get("name")?,
        role: row.get("role")?,
        created_ms: row.get("created_ms")?,
        last_used_ms: row.get("last_used_ms")?,
        revoked_ms: row.get("revoked_ms")?,
    };
    Ok((key, SecretHash(row.get("secret_hash")?)))
}

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn insert(&self, key: &ApiKey, hash: SecretHash) -> Result<(), QueueError> {
        let sql =
            "INSERT INTO api_keys (id, name, role, created_ms, secret_hash) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = (key.id.clone(), key.name.clone(), key.role, key.created_ms, hash.0);
        self.run(sql, values).await.map(drop)
    }

    async fn find(&self, id: &str) -> Result<Option<(ApiKey, SecretHash)>, QueueError> {
        let id = id.to_owned();
        self.database
            .read(move |connection| {
                Ok(connection.first("SELECT * FROM api_keys WHERE id = ?1", [id], key)?)
            })
            .await
    }

    async fn list(&self) -> Result<Vec<ApiKey>, QueueError> {
        let sql = "SELECT * FROM api_keys ORDER BY created_ms, id";
        self.database.read(|connection| Ok(connection.all(sql, [], |row| Ok(key(row)?.0))?)).await
    }

    async fn replace(&self, id: &str, hash: SecretHash) -> Result<bool, QueueError> {
        let sql = "UPDATE api_keys SET secret_hash = ?1 WHERE id = ?2 AND revoked_ms IS NULL";
        self.run(sql, (hash.0, id.to_owned())).await
    }

    async fn revoke(&self, id: &str, now: UnixMs) -> Result<bool, QueueError> {
        let sql = "UPDATE api_keys SET revoked_ms = ?1 WHERE id = ?2 AND revoked_ms IS NULL";
        self.run(sql, (now, id.to_owned())).await
    }

    async fn touch(&self, id: &str, now: UnixMs) -> Result<(), QueueError> {
        let sql = "UPDATE api_keys SET last_used_ms = ?1 WHERE id = ?2";
        self.run(sql, (now, id.to_owned())).await.map(drop)
    }
}
