#![expect(clippy::unwrap_used, reason = "tests")]

use tempfile::TempDir;

use super::*;
use crate::queue::QueueError;
use crate::queue::contract::{self, Site};

struct File(TempDir);

#[async_trait]
impl Site for File {
    async fn open(&self) -> Arc<dyn Queue> {
        Arc::new(
            SqliteQueue::open(&self.0.path().join("jobs.sqlite")).unwrap().with_backoff(contract::BACKOFF),
        )
    }
}

async fn file() -> File {
    File(TempDir::new().unwrap())
}

contract::contract!(file());

#[test]
fn a_file_of_a_newer_program_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    drop(SqliteQueue::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = SqliteQueue::open(&path);
    assert!(matches!(refused, Err(QueueError::Malformed { .. })), "{refused:?}");
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    std::fs::write(&path, "this is a text, and long enough to be no header ".repeat(50)).unwrap();
    let refused = SqliteQueue::open(&path);
    assert!(matches!(refused, Err(QueueError::Malformed { .. })), "{refused:?}");
    let refused = SqliteQueue::open(&folder.path().join("no such folder").join("jobs.sqlite"));
    assert!(matches!(refused, Err(QueueError::Unavailable { .. })), "{refused:?}");
}
