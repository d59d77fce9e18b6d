//! The SQLite database: one writer thread, several reader connections.
//!
//! All writes of a process go through one thread. Pending writes are batched into one transaction, each under its own savepoint,
//! and acknowledged after the commit, so that many small writes share one flush to disk. `synchronous = FULL`, so acknowledged
//! writes survive a power failure, not only `kill -9`. Several processes are serialized by SQLite's lock.
//!
//! Reads use connections of their own. In WAL mode they see the last commit and never wait for writers.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};
use tokio::sync::{Semaphore, oneshot};

use super::schema;
use crate::queue::{QueueError, Result};

/// How long a write waits for writes of other processes.
const BUSY: Duration = Duration::from_secs(10);
/// Maximum writes per transaction: bounds how long other processes wait.
const BATCH: usize = 64;
/// Number of readers. A read takes tens of microseconds; more connections than cores would only use memory.
const READERS: usize = 4;
/// Size of the prepared statement cache, larger than the number of statements.
const STATEMENTS: usize = 64;
/// Commits after which the write-ahead log is truncated explicitly: overlapping readers can keep SQLite's automatic checkpoints
/// from ever resetting it.
const COMMITS_PER_TRUNCATION: u32 = 2000;
/// How long such a checkpoint waits for readers.
const TRUNCATION_WAIT: Duration = Duration::from_millis(200);

impl From<rusqlite::Error> for QueueError {
    fn from(error: rusqlite::Error) -> Self {
        let why = error.to_string();
        match error.sqlite_error_code() {
            // An error without an SQLite code is a value of the wrong type.
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) | None => Self::Malformed { why },
            _ => Self::Unavailable { why },
        }
    }
}

/// Statements that are prepared once per connection, each in one call.
pub(crate) trait Sql {
    /// Runs a statement; returns the number of rows it changed.
    fn run(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize>;
    /// The first value of the first row, which exists.
    fn value<T: FromSql>(&self, sql: &str, values: impl Params) -> rusqlite::Result<T>;
    /// The first row, if there is any.
    fn first<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>>;
    /// Converts every row of a query.
    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>>;
}

impl Sql for Connection {
    fn run(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
        self.prepare_cached(sql)?.execute(values)
    }

    fn value<T: FromSql>(&self, sql: &str, values: impl Params) -> rusqlite::Result<T> {
        self.prepare_cached(sql)?.query_row(values, |row| row.get(0))
    }

    fn first<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.prepare_cached(sql)?.query_row(values, read).optional()
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.prepare_cached(sql)?.query_map(values, read)?.collect()
    }
}

/// An open database, shared by the queue and the API keys.
pub(crate) struct Database {
    path: PathBuf,
    /// `None` only while being dropped.
    orders: Option<Sender<Box<dyn Order>>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Database {
    /// Opens or creates the file, and migrates its schema. Blocks for some milliseconds.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = connect(path)?;
        schema::migrate(&connection)?;
        let (orders, waiting) = channel();
        let writer = std::thread::Builder::new()
            .name("splat-queue-writer".into())
            .spawn(move || write_all(&connection, &waiting))
            .map_err(|error| QueueError::Unavailable { why: format!("cannot start its thread: {error}") })?;
        let readers = Readers {
            path: path.to_owned(),
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(READERS)),
        };
        Ok(Self {
            path: path.to_owned(),
            orders: Some(orders),
            writer: Some(writer),
            readers: Arc::new(readers),
        })
    }

    /// Runs `work` in a transaction, which is rolled back if it returns an error. It runs to its end even if the caller is
    /// dropped.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let gone = || QueueError::Unavailable { why: "its thread has ended".into() };
        let (reply, answer) = oneshot::channel();
        let order = Box::new(Piece { work: Some(work), outcome: None, reply });
        self.orders.as_ref().ok_or_else(gone)?.send(order).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Runs `work` on a read-only connection.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let gone = |_| QueueError::Unavailable { why: "the service is stopping".into() };
        let permit = Arc::clone(&readers.permits).acquire_owned().await.map_err(gone)?;
        let outcome = tokio::task::spawn_blocking(move || {
            let connection = readers.take()?;
            let outcome = work(&connection);
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            outcome
        });
        outcome
            .await
            .map_err(|error| QueueError::Unavailable { why: format!("a read was broken off: {error}") })?
    }
}

impl Drop for Database {
    /// Waits for pending writes.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(writer) = self.writer.take() {
            // The panic was already printed.
            let _ = writer.join();
        }
    }
}

impl Readers {
    fn take(&self) -> Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let connection = connect(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // These pragmas return a row, which `pragma_update_and_check` reads.
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(QueueError::Unavailable {
            why: format!(
                "`{}` cannot have a write-ahead log (mode `{mode}`); put it on a local disk",
                path.display()
            ),
        });
    }
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// A pending write.
trait Order: Send {
    /// Runs it; returns whether to commit.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Responds to the caller; `failed` is set if the surrounding transaction failed.
    fn answer(self: Box<Self>, failed: Option<&str>);
}

struct Piece<T, F> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Order for Piece<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.outcome = self.work.take().map(|work| work(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, failed: Option<&str>) {
        let unavailable = |why: &str| Err(QueueError::Unavailable { why: why.to_owned() });
        let outcome = match (failed, self.outcome) {
            (None, Some(outcome)) => outcome,
            // An error of the operation itself is kept.
            (Some(_), Some(Err(error))) => Err(error),
            (Some(why), _) => unavailable(why),
            (None, None) => unavailable("it was not tried"),
        };
        // The caller may have been dropped.
        let _ = self.reply.send(outcome);
    }
}

fn write_all(connection: &Connection, waiting: &Receiver<Box<dyn Order>>) {
    let mut commits = 0;
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(BATCH - 1));
        let failed = write_batch(connection, &mut batch).err().map(|error| error.to_string());
        for order in batch {
            order.answer(failed.as_deref());
        }
        commits += 1;
        if commits == COMMITS_PER_TRUNCATION {
            commits = 0;
            truncate_log(connection);
        }
    }
}

/// Runs the whole batch in one transaction.
fn write_batch(connection: &Connection, batch: &mut [Box<dyn Order>]) -> rusqlite::Result<()> {
    let written = (|| {
        connection.run("BEGIN IMMEDIATE", [])?;
        for order in batch {
            connection.run("SAVEPOINT piece", [])?;
            if !order.run(connection) {
                // Fails if SQLite has rolled back the whole transaction (a full disk): then the whole batch has failed.
                connection.run("ROLLBACK TO piece", [])?;
            }
            connection.run("RELEASE piece", [])?;
        }
        connection.run("COMMIT", []).map(drop)
    })();
    if written.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    written
}

/// Checkpoints and truncates the write-ahead log. May fail if a reader stays long or another process is writing; the next attempt
/// will succeed.
fn truncate_log(connection: &Connection) {
    let truncated = connection
        .busy_timeout(TRUNCATION_WAIT)
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    let restored = connection.busy_timeout(BUSY);
    if let Err(error) = truncated.and(restored) {
        tracing::debug!(%error, "the job store's log was not emptied");
    }
}
