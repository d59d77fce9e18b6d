//! One SQLite file: a thread that writes, connections that read.
//!
//! Writes of one process go through one thread. What waits there is done in one transaction, each piece under a savepoint of
//! its own, and answered after the commit: many small writes share the cost of one flush to disk. `synchronous = FULL`, so
//! what was answered survives a power cut too, not only `kill -9`. Other processes take turns by SQLite's lock.
//!
//! Reads use connections of their own. In WAL mode they see the last commit and wait for no writer.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Semaphore, oneshot};

use super::schema;
use crate::queue::{QueueError, Result};

/// How long a write waits for other processes' writes.
const BUSY: Duration = Duration::from_secs(10);
/// Pieces of one transaction at most: bounds how long other processes wait.
const BATCH: usize = 64;
/// Readers at once. A read takes tens of microseconds; more connections than cores bring nothing but memory.
const READERS: usize = 4;
/// Statements kept prepared, above the number used.
const STATEMENTS: usize = 64;
/// Commits after which the log is emptied by force: readers that follow each other closely keep SQLite's own checkpoints from
/// ever starting it anew.
const COMMITS_PER_TRUNCATION: u32 = 2000;
/// How long such a checkpoint may wait for readers.
const TRUNCATION_WAIT: Duration = Duration::from_millis(200);

/// An error of SQLite as an error of the queue.
pub(crate) fn unavailable(error: rusqlite::Error) -> QueueError {
    let why = error.to_string();
    match error.sqlite_error_code() {
        // Without a code of SQLite it is a value of a wrong type.
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) | None => QueueError::Malformed { why },
        _ => QueueError::Unavailable { why },
    }
}

/// An open file. Shared by the queue and the API keys.
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
    /// Opens the file, or makes it, and brings its schema up to date. Blocks for some milliseconds.
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

    /// Runs `work` in a transaction; what it wrote is undone when it gives an error. It runs to its end even if the caller
    /// stops waiting.
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

    /// Runs `work` on a connection that only reads.
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
    /// Waits for the writes that were ordered.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(writer) = self.writer.take() {
            // A panic there has been printed already.
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
        connection.pragma_update(None, "query_only", true).map_err(unavailable)?;
        Ok(connection)
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path).map_err(unavailable)?;
    connection.busy_timeout(BUSY).map_err(unavailable)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // These pragmas answer with a row, which `pragma_update_and_check` reads.
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(unavailable)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(QueueError::Unavailable {
            why: format!(
                "`{}` cannot have a write-ahead log (mode `{mode}`); put it on a local disk",
                path.display()
            ),
        });
    }
    connection.pragma_update(None, "synchronous", "full").map_err(unavailable)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(unavailable)?;
    Ok(connection)
}

/// One write that somebody waits for.
trait Order: Send {
    /// Does it; returns whether to commit.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells the caller; `failed` when the transaction around it came to nothing.
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
            // What was refused stays refused.
            (Some(_), Some(Err(error))) => Err(error),
            (Some(why), _) => unavailable(why),
            (None, None) => unavailable("it was not tried"),
        };
        // Whoever asked may have gone.
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

/// All of the batch in one transaction.
fn write_batch(connection: &Connection, batch: &mut [Box<dyn Order>]) -> rusqlite::Result<()> {
    let written = (|| {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for order in batch {
            connection.prepare_cached("SAVEPOINT piece")?.execute([])?;
            if !order.run(connection) {
                // Fails when SQLite has given up the whole transaction (a full disk): then all of the batch has failed.
                connection.prepare_cached("ROLLBACK TO piece")?.execute([])?;
            }
            connection.prepare_cached("RELEASE piece")?.execute([])?;
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    })();
    if written.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    written
}

/// Moves the log into the file and empties it. It may fail when a reader stays long or another process writes; the next one will do.
fn truncate_log(connection: &Connection) {
    let truncated = connection
        .busy_timeout(TRUNCATION_WAIT)
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    let restored = connection.busy_timeout(BUSY);
    if let Err(error) = truncated.and(restored) {
        tracing::debug!(%error, "the job store's log was not emptied");
    }
}
