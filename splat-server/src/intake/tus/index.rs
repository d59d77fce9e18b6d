//! Index of all uploads, and exclusive access to each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard};

use super::super::Limits;
use super::super::error::{IntakeError, Result};
use super::record::Record;
use crate::job::{JobId, Owner};
use crate::store::ids_in;

/// If a writer has received nothing for this long, another request may take over: the connection is probably dead.
const STALLED: Duration = Duration::from_secs(2);
/// Maximum time for a displaced writer to flush what it has.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Proof of exclusive access to an upload.
pub(super) type UploadLock = OwnedMutexGuard<()>;

/// All uploads of this data folder.
#[derive(Debug, Default)]
pub(in super::super) struct Index {
    slots: Mutex<BTreeMap<JobId, Arc<Slot>>>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) owner: Owner,
    pub(super) length: u64,
    lock: Arc<AsyncMutex<()>>,
    takeover: Notify,
    created: Instant,
    /// When the writer last received something, in milliseconds after `created`.
    active_ms: AtomicU64,
}

impl Slot {
    fn new(owner: Owner, length: u64) -> Self {
        Self {
            owner,
            length,
            lock: Arc::default(),
            takeover: Notify::new(),
            created: Instant::now(),
            active_ms: AtomicU64::new(0),
        }
    }

    /// Records that the writer received data.
    pub(super) fn touch(&self) {
        self.active_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notified when another request wants to take over from this writer.
    pub(super) fn takeover_requested(&self) -> tokio::sync::futures::Notified<'_> {
        self.takeover.notified()
    }

    /// Acquires exclusive access to the upload.
    pub(super) async fn lock(&self) -> Result<UploadLock> {
        if let Some(guard) = self.try_lock() {
            return Ok(guard);
        }
        let silent =
            Duration::from_millis(self.age_ms().saturating_sub(self.active_ms.load(Ordering::Relaxed)));
        if silent < STALLED {
            return Err(IntakeError::Locked);
        }
        self.takeover.notify_waiters();
        let guard = tokio::time::timeout(TAKEOVER_TIMEOUT, self.lock.clone().lock_owned()).await;
        guard.inspect(|_| self.touch()).map_err(|_| IntakeError::Locked)
    }

    pub(super) fn try_lock(&self) -> Option<UploadLock> {
        let guard = self.lock.clone().try_lock_owned().ok()?;
        self.touch();
        Some(guard)
    }
}

impl Index {
    /// Finds the uploads in a folder. Those with an unreadable record are left to the sweep.
    pub(in super::super) fn load(uploads: &Path) -> Result<Self> {
        let mut slots = BTreeMap::new();
        for id in ids_in(uploads, SystemTime::now() + Duration::from_secs(365 * 24 * 3600))? {
            if let Some(record) = Record::read(&uploads.join(id.as_str())) {
                let length = if record.refused.is_some() { 0 } else { record.length };
                slots.insert(id, Arc::new(Slot::new(record.owner, length)));
            }
        }
        Ok(Self { slots: Mutex::new(slots) })
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<Slot>>> {
        // The map is consistent after every change, so it is usable after a panic elsewhere.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves room for an upload, or returns why there is none.
    pub(super) fn add(&self, id: &JobId, owner: &Owner, length: u64, limits: &Limits) -> Result<Arc<Slot>> {
        let mut slots = self.slots();
        let own = || slots.values().filter(|slot| slot.owner == *owner);
        let count = own().count();
        if count >= limits.max_uploads {
            return Err(IntakeError::TooManyUploads { count });
        }
        let sum = own().fold(length, |sum, slot| sum.saturating_add(slot.length));
        if sum > limits.max_uploads_bytes {
            return Err(IntakeError::OwnerFull { max: limits.max_uploads_bytes });
        }
        let slot = Arc::new(Slot::new(owner.clone(), length));
        slots.insert(id.clone(), slot.clone());
        Ok(slot)
    }

    /// The owner's upload.
    pub(super) fn find(&self, owner: &Owner, id: &JobId) -> Result<Arc<Slot>> {
        self.slots().get(id).filter(|slot| slot.owner == *owner).cloned().ok_or(IntakeError::NoUpload)
    }

    pub(super) fn remove(&self, id: &JobId) {
        self.slots().remove(id);
    }

    /// Releases the room of a rejected upload; its reason stays.
    pub(super) fn refuse(&self, id: &JobId) {
        let mut slots = self.slots();
        if let Some(slot) = slots.get_mut(id) {
            let owner = slot.owner.clone();
            *slot = Arc::new(Slot::new(owner, 0));
        }
    }

    pub(super) fn ids(&self) -> Vec<(JobId, Arc<Slot>)> {
        self.slots().iter().map(|(id, slot)| (id.clone(), slot.clone())).collect()
    }
}
