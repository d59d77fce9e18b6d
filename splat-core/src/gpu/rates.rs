//! Peak arithmetic and memory rates of a device, to compare with those of the rasterizer.

use std::collections::BTreeMap;
use std::time::Instant;

use bytemuck::{Pod, Zeroable};

use super::Gpu;
use super::kernel::Kernel;
use super::profile::{Pass, Timer};
use super::shaders::{self, Switches};
use crate::Result;

/// Invocations of the multiply-add kernel: several times as many as the largest GPUs run concurrently.
const INVOCATIONS: u32 = 1 << 20;
/// Multiply-adds per invocation and round: 4 of each of 8 chains of `vec4f`.
const PER_ROUND: f64 = 128.0;
/// The number of rounds doubles until one dispatch takes this long.
const LONG_ENOUGH_S: f64 = 0.02;
const MAX_ROUNDS: u32 = 1 << 16;
/// Bytes copied: larger than any GPU cache; fewer on software drivers and devices with small bindings.
const COPY_BYTES: u64 = 512 << 20;
const COPY_BYTES_SOFTWARE: u64 = 64 << 20;
/// Number of repetitions, of which the fastest counts.
const REPEATS: u32 = 5;

/// Measured peak rates of a device.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct DeviceRates {
    /// 32-bit multiply-adds per second.
    pub multiply_adds: f64,
    /// Bytes per second of a copy, reads plus writes.
    pub copy_bytes: f64,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RateSettings {
    rounds: u32,
    factor: f32,
    term: f32,
    padding: u32,
}

/// Measures the device's multiply-add and copy rates, by GPU timestamps if available.
///
/// # Errors
/// Errors of the device.
pub fn device_rates(gpu: &Gpu) -> Result<DeviceRates> {
    Ok(DeviceRates { multiply_adds: multiply_adds(gpu)?, copy_bytes: copy_bytes(gpu)? })
}

fn multiply_adds(gpu: &Gpu) -> Result<f64> {
    let kernel = Kernel::new(gpu, shaders::MULTIPLY_ADD, Switches::default(), &[]);
    let settings = gpu.uniform::<RateSettings>("splat.rates.rate");
    let sink = gpu.storage("splat.rates.sink", u64::from(INVOCATIONS) * 16)?;
    let bindings = kernel.bind(gpu, &[&settings, &sink]);
    let mut rounds = 8;
    loop {
        let values = RateSettings { rounds, factor: 1.0, term: 0.0, padding: 0 };
        gpu.queue().write_buffer(&settings, 0, bytemuck::bytes_of(&values));
        let seconds = fastest(gpu, |pass| kernel.dispatch_items(pass, &bindings, INVOCATIONS))?;
        if seconds >= LONG_ENOUGH_S || rounds >= MAX_ROUNDS {
            return Ok(f64::from(INVOCATIONS) * f64::from(rounds) * PER_ROUND / seconds);
        }
        rounds *= 2;
    }
}

fn copy_bytes(gpu: &Gpu) -> Result<f64> {
    let kernel = Kernel::new(gpu, shaders::COPY, Switches::default(), &[]);
    let report = gpu.report();
    let wanted = if report.is_software() { COPY_BYTES_SOFTWARE } else { COPY_BYTES };
    let bytes = wanted.min(report.max_binding_bytes).min(report.max_buffer_bytes) / 16 * 16;
    let from = gpu.storage("splat.rates.from", bytes)?;
    let to = gpu.storage("splat.rates.to", bytes)?;
    let bindings = kernel.bind(gpu, &[&from, &to]);
    let seconds = fastest(gpu, |pass| kernel.dispatch_items(pass, &bindings, (bytes / 16) as u32))?;
    Ok(2.0 * bytes as f64 / seconds)
}

/// Seconds of the fastest of several repetitions.
fn fastest(gpu: &Gpu, mut record: impl FnMut(&mut Pass<'_>)) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let mut timer = Timer::new(gpu);
        let started = Instant::now();
        gpu.submit("splat.rates", |encoder| {
            {
                let mut pass = Pass::begin(encoder, timer.as_mut());
                record(&mut pass);
            }
            if let Some(timer) = &timer {
                timer.resolve(encoder);
            }
        });
        gpu.wait()?;
        let mut seconds = started.elapsed().as_secs_f64();
        if let Some(timer) = &mut timer {
            let mut totals = BTreeMap::new();
            timer.collect(gpu, &mut totals)?;
            seconds = totals.values().sum::<f64>() * 1e-3;
        }
        best = best.min(seconds.max(1e-9));
    }
    Ok(best)
}
