//! A cache of decoded images with a memory budget, and the threads that prefetch into it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::geometry::PhotoGeometry;
use super::load::{BlindSpots, Remaps, training_image};
use crate::Result;
use crate::images::PackedImage;

/// Number of prefetching threads: one may be blocked by a slow disk.
pub(super) const WORKERS: usize = 2;
/// Maximum number of queued requests; further hints are dropped.
const MAX_QUEUE: usize = 64;

/// View and factor.
pub(super) type Key = (usize, u32);

/// The cache; see the module's documentation.
pub(super) struct ImageCache {
    shared: Arc<Shared>,
    /// Started by the first hint.
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    photos: Vec<PhotoGeometry>,
    remaps: Remaps,
    blind: BlindSpots,
    budget: u64,
    state: Mutex<State>,
    /// Notified when an image is done, a request arrives, or the cache closes.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    images: BTreeMap<Key, Entry>,
    bytes: u64,
    /// Counts uses, for [`Entry::last_use`].
    uses: u64,
    /// Images that some thread is decoding.
    in_work: BTreeSet<Key>,
    queue: VecDeque<Key>,
    closed: bool,
}

struct Entry {
    image: Arc<PackedImage>,
    last_use: u64,
}

impl ImageCache {
    pub(super) fn new(photos: Vec<PhotoGeometry>, budget: u64) -> Self {
        let shared = Shared {
            photos,
            remaps: Remaps::default(),
            blind: BlindSpots::default(),
            budget,
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        Self { shared: Arc::new(shared), workers: Mutex::default() }
    }

    /// The image, from the cache or decoded now.
    pub(super) fn get(&self, key: Key) -> Result<Arc<PackedImage>> {
        let mut state = self.shared.lock();
        loop {
            if let Some(image) = state.find(key) {
                return Ok(image);
            }
            if !state.in_work.contains(&key) {
                break;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.queue.retain(|queued| *queued != key);
        state.in_work.insert(key);
        drop(state);
        self.shared.make(key)
    }

    pub(super) fn prefetch(&self, key: Key) {
        let mut state = self.shared.lock();
        let known =
            state.images.contains_key(&key) || state.in_work.contains(&key) || state.queue.contains(&key);
        if known || state.queue.len() >= MAX_QUEUE {
            return;
        }
        state.queue.push_back(key);
        drop(state);
        self.shared.changed.notify_all();
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        while workers.len() < WORKERS {
            let shared = Arc::clone(&self.shared);
            let name = format!("splat-images-{}", workers.len());
            // Without a thread the image is decoded when it is requested.
            let Ok(worker) = thread::Builder::new().name(name).spawn(move || shared.work()) else { break };
            workers.push(worker);
        }
    }

    /// Drops all images and queued requests.
    pub(super) fn clear(&self) {
        let mut state = self.shared.lock();
        state.queue.clear();
        state.images.clear();
        state.bytes = 0;
    }

    pub(super) fn photos(&self) -> &[PhotoGeometry] {
        &self.shared.photos
    }

    pub(super) fn budget(&self) -> u64 {
        self.shared.budget
    }

    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> u64 {
        self.shared.lock().bytes
    }
}

impl Drop for ImageCache {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        let workers = self.workers.get_mut().unwrap_or_else(PoisonError::into_inner);
        for worker in workers.drain(..) {
            // A worker that panicked needs no cleanup.
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for ImageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("ImageCache")
            .field("views", &self.shared.photos.len())
            .field("images", &state.images.len())
            .field("bytes", &state.bytes)
            .field("budget", &self.shared.budget)
            .finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loop of a worker thread.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            let key = loop {
                if state.closed {
                    return;
                }
                match state.queue.pop_front() {
                    Some(key) if state.images.contains_key(&key) || state.in_work.contains(&key) => {}
                    Some(key) => break key,
                    None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            state.in_work.insert(key);
            drop(state);
            // The error occurs again when the image is requested, and is returned then.
            let _ = self.make(key);
        }
    }

    /// Decodes and caches an image that was added to `in_work`.
    fn make(&self, key: Key) -> Result<Arc<PackedImage>> {
        let _finish = Finish { shared: self, key };
        let (view, factor) = key;
        let full_key = (view, 1);
        let full = self.lock().find(full_key);
        let full = match full {
            Some(full) => full,
            None => Arc::new(training_image(&self.photos[view], &self.remaps, &self.blind)?),
        };
        // Always from the 8-bit full-size image, so that the pixels do not depend on the cache.
        let image = if factor == 1 { Arc::clone(&full) } else { Arc::new(full.shrunk_by(factor)) };
        let mut state = self.lock();
        state.keep(key, &image, self.budget);
        // The full size is useful for the next factor, but must not evict images in use.
        if factor != 1 && state.bytes.saturating_add(full.byte_len()) <= self.budget {
            state.keep(full_key, &full, self.budget);
        }
        Ok(image)
    }
}

impl State {
    fn find(&mut self, key: Key) -> Option<Arc<PackedImage>> {
        self.uses += 1;
        let entry = self.images.get_mut(&key)?;
        entry.last_use = self.uses;
        Some(Arc::clone(&entry.image))
    }

    /// Caches an image if it fits the budget, evicting the least recently used.
    fn keep(&mut self, key: Key, image: &Arc<PackedImage>, budget: u64) {
        let bytes = image.byte_len();
        if bytes > budget || self.images.contains_key(&key) {
            return;
        }
        while self.bytes + bytes > budget {
            let Some((&oldest, _)) = self.images.iter().min_by_key(|(_, entry)| entry.last_use) else {
                break;
            };
            if let Some(entry) = self.images.remove(&oldest) {
                self.bytes -= entry.image.byte_len();
            }
        }
        self.uses += 1;
        self.bytes += bytes;
        self.images.insert(key, Entry { image: Arc::clone(image), last_use: self.uses });
    }
}

/// Removes a key from `in_work` however the work ends, so that no thread waits forever.
struct Finish<'a> {
    shared: &'a Shared,
    key: Key,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.shared.lock().in_work.remove(&self.key);
        self.shared.changed.notify_all();
    }
}
