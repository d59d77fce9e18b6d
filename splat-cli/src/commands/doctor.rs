//! `splat doctor`: checks this machine, with advice on each problem.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use splat_colmap::Colmap;
use splat_core::gpu::LaneSums;
use splat_core::machine::{self, available_memory};
use splat_core::text::{bytes, duration, thousands};
use splat_core::train::memory::Workload;
use splat_core::{Gpu, RendererKind, self_test};

use super::Context;
use crate::failure::Failure;
use crate::ffmpeg;

/// Image sizes of the memory table: `--preset preview` and `--preset standard`.
const TYPICAL_SIZES: [(u32, u32); 2] = [(480, 360), (1600, 1200)];
const SH_DEGREE: u32 = 3;

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Something works less well, or an optional program is missing.
    Warn,
    /// Training is not possible.
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    finding: String,
    /// What to do about it; `None` if there is no problem.
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, finding: String) -> Self {
        Self { name, verdict: Verdict::Ok, finding, advice: None }
    }

    fn problem(name: &'static str, verdict: Verdict, finding: String, advice: &str) -> Self {
        Self { name, verdict, finding, advice: Some(advice.to_owned()) }
    }
}

pub(super) fn doctor(context: &Context) -> Result<(), Failure> {
    let mut checks = Vec::new();
    let mut passed_over = Vec::new();
    // If no adapter passes the self-test, the best one is shown with its failure.
    let gpu = self_test::open(&context.gpu_options(), &mut |text| passed_over.push(text))
        .or_else(|_| Gpu::new(&context.gpu_options()));
    checks.extend(passed_over.into_iter().map(|text| {
        Check::problem(
            "GPU",
            Verdict::Warn,
            text,
            "update its driver, or choose by `--adapter` and `--backend`",
        )
    }));
    match gpu {
        Ok(gpu) => checks.extend(gpu_checks(&gpu)),
        Err(error) => {
            checks.push(Check::problem("GPU", Verdict::Fail, error.to_string(), machine::INSTALL_GPU_DRIVER))
        }
    }
    checks.push(memory_check());
    checks.push(colmap_check());
    checks.push(match ffmpeg::version() {
        Some(version) => Check::ok("ffmpeg", version),
        None => Check::problem(
            "ffmpeg",
            Verdict::Warn,
            "not installed; `splat render` writes PNG frames, no mp4".into(),
            machine::INSTALL_FFMPEG,
        ),
    });
    context.reporter.result(&checks, &table(&checks));
    let failed: Vec<_> = checks.iter().filter(|c| c.verdict == Verdict::Fail).map(|c| c.name).collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::NotReady { what: format!("see {}", failed.join(", ")) })
    }
}

fn gpu_checks(gpu: &Gpu) -> Vec<Check> {
    let report = gpu.report();
    let software = report.is_software();
    let finding = format!("{} · {} · {} {}", report.name, report.backend, report.driver, report.driver_info);
    let mut checks = vec![if software {
        Check::problem(
            "GPU",
            Verdict::Warn,
            format!("{finding} · computes on the CPU"),
            "fine for `--preset preview`; 30,000 steps take hours. With a GPU in the machine, install its Vulkan driver",
        )
    } else {
        Check::ok("GPU", finding)
    }];
    let subgroups = match report.lane_sums {
        LaneSums::Subgroup => format!("subgroups of {}", report.subgroup_max),
        LaneSums::Varying => format!("subgroups of {} to {}", report.subgroup_min, report.subgroup_max),
        LaneSums::Shared => "no subgroups (slower kernels are used)".to_owned(),
    };
    let caps: Vec<_> = TYPICAL_SIZES
        .iter()
        .map(|&(width, height)| {
            let cap = workload(width, height).most_gaussians(report, available_memory());
            format!("{} Gaussians at {width}x{height}", thousands(u64::from(cap)))
        })
        .collect();
    checks.push(Check::ok(
        "limits",
        format!(
            "bindings of {}, buffers of {}, {subgroups}; at most {}",
            bytes(report.max_binding_bytes),
            bytes(report.max_buffer_bytes),
            caps.join(", ")
        ),
    ));
    let started = Instant::now();
    checks.push(match self_test::run(gpu) {
        Ok(()) => {
            Check::ok("kernels", format!("self-test passed in {}", duration(started.elapsed().as_secs_f64())))
        }
        Err(error) => Check::problem(
            "kernels",
            Verdict::Fail,
            error.to_string(),
            "update the driver, or choose another adapter with `--adapter NAME`",
        ),
    });
    let this = |name: &str, backend: &str| name == report.name && backend == report.backend;
    let others: Vec<_> = Gpu::adapters().into_iter().filter(|(name, backend)| !this(name, backend)).collect();
    if !others.is_empty() {
        let names: Vec<_> = others.iter().map(|(name, backend)| format!("{name} ({backend})")).collect();
        checks.push(Check::ok(
            "other GPUs",
            format!("{}; choose with `--adapter NAME` and `--backend NAME`", names.join(", ")),
        ));
    }
    checks
}

/// The workload of default training on photos of this size.
fn workload(width: u32, height: u32) -> Workload {
    Workload {
        width,
        height,
        sh_degree: SH_DEGREE,
        renderer: RendererKind::Ewa,
        rolling_shutter: false,
        useful_gaussians: u32::MAX,
    }
}

fn memory_check() -> Check {
    let available = available_memory();
    let needs: Vec<_> = [(100_000, TYPICAL_SIZES[0]), (1_000_000, TYPICAL_SIZES[1])]
        .iter()
        .map(|&(gaussians, (width, height))| {
            let need = workload(width, height).predict(gaussians).total_bytes;
            format!(
                "{} Gaussians at {width}x{height} train in {}",
                thousands(u64::from(gaussians)),
                bytes(need)
            )
        })
        .collect();
    let free =
        available.map_or_else(|| "free memory is unknown".to_owned(), |free| format!("{} free", bytes(free)));
    Check::ok("memory", format!("{free}; {}", needs.join(", ")))
}

fn colmap_check() -> Check {
    let binary = std::env::var_os("SPLAT_COLMAP").map(PathBuf::from);
    match Colmap::find(binary.as_deref()) {
        Ok(colmap) => Check::ok("COLMAP", colmap.to_string()),
        Err(error) => Check::problem(
            "COLMAP",
            Verdict::Fail,
            error.to_string(),
            &format!(
                "{}; or name the program in SPLAT_COLMAP. `splat train` on posed datasets works without",
                machine::INSTALL_COLMAP
            ),
        ),
    }
}

fn table(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        lines.push(format!("{verdict:4}  {:width$}  {}", check.name, check.finding));
        if let Some(advice) = &check.advice {
            lines.push(format!("{:4}  {:width$}  -> {advice}", "", ""));
        }
    }
    lines.join("\n")
}
