//! Labelled buffers, and reading them back to the host.

use std::sync::atomic::Ordering;

use bytemuck::Pod;

use super::Gpu;
use super::pool::Pool;
use crate::{Error, Result};

/// Minimum buffer size: a binding must contain at least one element of its array, the largest of which is a splat of 3DGUT.
const MIN_BUFFER_BYTES: u64 = super::layout::SPLAT_BYTES_GUT;

impl Gpu {
    /// A storage buffer of at least `bytes`, zeroed.
    ///
    /// # Errors
    /// [`Error::BindingTooLarge`] beyond the device's limit for one binding.
    pub fn storage(&self, label: &'static str, bytes: u64) -> Result<wgpu::Buffer> {
        let limit = self.report().max_binding_bytes.min(self.report().max_buffer_bytes);
        if bytes > limit {
            return Err(Error::BindingTooLarge { what: label, bytes, limit });
        }
        self.storage_in_parts(label, bytes)
    }

    /// As [`Gpu::storage`], for a buffer that is bound in parts.
    ///
    /// # Errors
    /// [`Error::BindingTooLarge`] beyond the device's limit for one buffer.
    pub(crate) fn storage_in_parts(&self, label: &'static str, bytes: u64) -> Result<wgpu::Buffer> {
        let limit = self.report().max_buffer_bytes;
        if bytes > limit {
            return Err(Error::BindingTooLarge { what: label, bytes, limit });
        }
        if let Some(buffer) = self.pool.as_ref().and_then(|pool| pool.take(label, bytes)) {
            return Ok(buffer);
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = self.buffer(label, bytes, usage);
        if let Some(pool) = &self.pool {
            pool.add(label, &buffer);
        }
        Ok(buffer)
    }

    /// The same device, whose storage buffers come from `pool` as far as it has fitting ones. Those are not zeroed.
    pub(crate) fn with_pool(&self, pool: &Pool) -> Self {
        Self { pool: Some(pool.clone()), ..self.clone() }
    }

    /// A storage buffer with the content `data`.
    ///
    /// # Errors
    /// As [`Gpu::storage`].
    pub fn storage_from<T: Pod>(&self, label: &'static str, data: &[T]) -> Result<wgpu::Buffer> {
        let buffer = self.storage(label, size_of_val(data) as u64)?;
        self.queue().write_buffer(&buffer, 0, bytemuck::cast_slice(data));
        Ok(buffer)
    }

    /// As [`Gpu::storage_from`], for a buffer that is bound in parts.
    pub(crate) fn storage_in_parts_from<T: Pod>(
        &self,
        label: &'static str,
        data: &[T],
    ) -> Result<wgpu::Buffer> {
        let buffer = self.storage_in_parts(label, size_of_val(data) as u64)?;
        self.queue().write_buffer(&buffer, 0, bytemuck::cast_slice(data));
        Ok(buffer)
    }

    /// The same device with bindings limited to `bytes`, to test division into chunks and slices with small scenes.
    #[cfg(test)]
    pub(crate) fn with_bindings_of(mut self, bytes: u64) -> Self {
        self.report.max_binding_bytes = bytes;
        self
    }

    /// A uniform buffer for one `T`.
    pub(crate) fn uniform<T: Pod>(&self, label: &'static str) -> wgpu::Buffer {
        self.buffer(label, size_of::<T>() as u64, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)
    }

    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.max(MIN_BUFFER_BYTES).next_multiple_of(4),
            usage,
            mapped_at_creation: false,
        });
        self.usage.buffers.fetch_add(1, Ordering::Relaxed);
        if let Some(peak) = self.peak_bytes.get() {
            peak.fetch_max(self.allocated_bytes(), Ordering::Relaxed);
        }
        buffer
    }

    /// Bytes currently allocated on the device; 0 if the backend does not report it.
    #[doc(hidden)]
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        self.device().generate_allocator_report().map_or(0, |report| report.total_allocated_bytes)
    }

    /// Starts to record the device's allocated memory at every buffer creation, for [`Gpu::peak_bytes`]. Memory only grows when
    /// a buffer is created, so the peak is exact.
    #[cfg(feature = "testing")]
    pub fn watch_memory(&self) {
        let _ = self.peak_bytes.set(std::sync::atomic::AtomicU64::new(self.allocated_bytes()));
    }

    /// Peak of allocated bytes since [`Gpu::watch_memory`]; 0 without it, or if the backend does not report it.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.get().map_or(0, |peak| peak.load(Ordering::Relaxed))
    }

    /// Copies the first `count` elements of a buffer to the host, after all work submitted so far.
    ///
    /// # Errors
    /// Errors of the device; see [`Gpu::wait`].
    pub fn read<T: Pod>(&self, buffer: &wgpu::Buffer, count: usize) -> Result<Vec<T>> {
        let bytes = (count * size_of::<T>()) as u64;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.buffer("splat.read_back", bytes, usage);
        let mut encoder = self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, bytes);
        self.queue().submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone if the wait failed.
            let _ = sender.send(result);
        });
        self.wait()?;
        let lost = |why: String| Error::DeviceLost { why };
        receiver.recv().map_err(|e| lost(e.to_string()))?.map_err(|e| lost(e.to_string()))?;
        let view = staging.get_mapped_range(..bytes).map_err(|e| lost(e.to_string()))?;
        let mut data = vec![T::zeroed(); count];
        bytemuck::cast_slice_mut::<T, u8>(&mut data).copy_from_slice(&view);
        Ok(data)
    }
}
