//! Buffers that are used again when a set of working buffers is replaced by a similar one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Storage buffers by label, for a [`Gpu`](super::Gpu) that [`Gpu::with_pool`](super::Gpu::with_pool) returned. Clones share them.
///
/// Buffers taken from it keep their content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Buffers>>);

#[derive(Debug, Default)]
struct Buffers {
    used: Vec<(&'static str, wgpu::Buffer)>,
    unused: Vec<(&'static str, wgpu::Buffer)>,
}

impl Pool {
    /// Makes all its buffers available again. What was bound to them must not be used any more.
    pub(crate) fn reclaim(&self) {
        let buffers = &mut *self.buffers();
        buffers.unused.append(&mut buffers.used);
    }

    /// Frees the buffers that nobody has taken since [`Pool::reclaim`].
    pub(crate) fn destroy_unused(&self) {
        self.buffers().unused.drain(..).for_each(|(_, buffer)| buffer.destroy());
    }

    /// An available buffer with this label and at least `bytes` bytes. If there are only smaller ones, one of them is freed, before
    /// the caller allocates its replacement.
    pub(super) fn take(&self, label: &'static str, bytes: u64) -> Option<wgpu::Buffer> {
        let buffers = &mut *self.buffers();
        let labelled = buffers.unused.iter().enumerate().filter(|(_, (of, _))| *of == label);
        let (at, size) =
            labelled.map(|(at, (_, buffer))| (at, buffer.size())).max_by_key(|(_, size)| *size)?;
        let (_, buffer) = buffers.unused.swap_remove(at);
        if size < bytes {
            buffer.destroy();
            return None;
        }
        buffers.used.push((label, buffer.clone()));
        Some(buffer)
    }

    /// Adds a buffer that is in use.
    pub(super) fn add(&self, label: &'static str, buffer: &wgpu::Buffer) {
        self.buffers().used.push((label, buffer.clone()));
    }

    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::gpu::{Gpu, GpuOptions};

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn a_buffer_is_used_again_if_it_is_large_enough() {
        let pool = Pool::default();
        let gpu = Gpu::new(&GpuOptions::default()).unwrap().with_pool(&pool);
        let [first, second] = [4096, 8192].map(|bytes| gpu.storage("splat.test", bytes).unwrap());
        assert_ne!(first, second, "both are in use");
        pool.reclaim();
        assert_ne!(gpu.storage("splat.other", 16).unwrap(), first);
        assert_eq!(gpu.storage("splat.test", 5000).unwrap(), second);
        assert_ne!(gpu.storage("splat.test", 5000).unwrap(), first, "too small");
        pool.reclaim();
        pool.destroy_unused();
        assert_ne!(gpu.storage("splat.test", 16).unwrap(), second);
    }
}
