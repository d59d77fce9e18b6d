#!/usr/bin/env bash
# What a scene is worth after so much time: trains every scene with `--budget` and writes a table and a chart.
#
#   scripts/benchmark.sh [--out DIR] [--budgets "15 30 60 240"] [--seeds "1 2 3"] [SCENE...]
#
# A SCENE is a posed dataset, or a folder of photos, which is posed first (`splat colmap --quality low`; not counted). Without any: the public
# benchmark and the photo sets of ../shared/data, where they are there, and the demo's photos. On a quiet machine only: time is what is
# measured. DIR (default target/benchmark) gets results.json (every run), table.md and chart.svg (mean PSNR of held-out photos by time).
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/benchmark budgets="15 30 60 240" seeds="1 2 3" scenes=()
while [ $# -gt 0 ]; do
    case $1 in
        --out) out=$2; shift ;;
        --budgets) budgets=$2; shift ;;
        --seeds) seeds=$2; shift ;;
        -*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
        *) scenes+=("$1") ;;
    esac
    shift
done

splat=${SPLAT_BIN:-${CARGO_TARGET_DIR:-target}/release/splat}
[ -n "${SPLAT_BIN:-}" ] || cargo build --release --locked -p splat-cli
mkdir -p "$out/datasets" "$out/runs"
if [ ${#scenes[@]} -eq 0 ]; then
    data=../shared/data
    for scene in "$data/bench/snowmiku_480" "$data"/photos/{lund_door,banana,brighton_beach}/images; do
        if [ -d "$scene" ]; then scenes+=("$scene"); fi
    done
    "$splat" demo --photos-only --quiet -o "$out/demo"
    scenes+=("$out/demo/photos")
fi

for scene in "${scenes[@]}"; do
    name=$(basename "$scene")
    case $name in images | photos) name=$(basename "$(dirname "$scene")") ;; esac
    dataset=$scene
    if [ ! -d "$scene/sparse" ] && [ ! -e "$scene/transforms.json" ]; then
        dataset=$out/datasets/$name
        "$splat" colmap "$scene" -o "$dataset" --quality low --quiet
    fi
    # The driver's own first compilation of the kernels is not what is compared.
    "$splat" train "$dataset" -o "$out/runs/warm-up" --preset preview --steps 20 --quiet
    for budget in $budgets; do
        for seed in $seeds; do
            run=$out/runs/$name-$budget-$seed
            began=$(date +%s.%N)
            "$splat" train "$dataset" -o "$run" --preset preview --budget "${budget}s" --seed "$seed" --quiet
            ended=$(date +%s.%N)
            printf '%s\n' "$name" "$budget" "$seed" "$began" "$ended" >"$run/benchmark.txt"
        done
    done
done

python3 - "$out" <<'PYTHON'
import json, pathlib, sys

out = pathlib.Path(sys.argv[1])
runs = []
for note in sorted(out.glob("runs/*/benchmark.txt")):
    name, budget, seed, began, ended = note.read_text().split("\n")[:5]
    metrics = json.loads((note.parent / "metrics.json").read_text())
    kept = ("psnr", "cc_psnr", "ssim", "gaussians", "steps_done", "peak_memory_bytes", "adapter")
    worst = min((view["psnr"] for view in metrics["views"]), default=None)
    runs.append({"scene": name, "budget_s": int(budget), "seed": int(seed), "took_s": float(ended) - float(began),
                 "worst_view": worst, **{key: metrics[key] for key in kept}})
(out / "results.json").write_text(json.dumps(runs, indent=1))

def mean(rows, key):
    values = [row[key] for row in rows if row[key] is not None]
    return sum(values) / len(values) if values else float("nan")

scenes = list(dict.fromkeys(run["scene"] for run in runs))
budgets = sorted({run["budget_s"] for run in runs})
lines = ["| scene | budget | took | steps | PSNR | colour-corrected | worst view | SSIM | Gaussians | memory |",
         "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
series = {}
for scene in scenes:
    for budget in budgets:
        rows = [run for run in runs if (run["scene"], run["budget_s"]) == (scene, budget)]
        if not rows:
            continue
        series.setdefault(scene, []).append((budget, mean(rows, "psnr")))
        lines.append(f"| {scene} | {budget} s | {mean(rows, 'took_s'):.1f} s | {mean(rows, 'steps_done'):,.0f} "
                     f"| {mean(rows, 'psnr'):.2f} | {mean(rows, 'cc_psnr'):.2f} | {mean(rows, 'worst_view'):.1f} "
                     f"| {mean(rows, 'ssim'):.4f} | {mean(rows, 'gaussians'):,.0f} | {mean(rows, 'peak_memory_bytes') / 2**20:,.0f} MiB |")
(out / "table.md").write_text("\n".join(lines) + "\n")

# One line per scene over the logarithm of time; colours that colour-blind readers tell apart (Okabe and Ito 2008).
import math
colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
values = [psnr for points in series.values() for _, psnr in points]
low, high = math.floor(min(values)), math.ceil(max(values))
width, height, left, top = 640, 360, 48, 16
def x(budget):
    span = math.log(budgets[-1] / budgets[0]) or 1.0
    return left + math.log(budget / budgets[0]) / span * (width - left - 150)
def y(psnr):
    return top + (high - psnr) / max(high - low, 1) * (height - top - 40)
svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
       f'<rect width="{width}" height="{height}" fill="#fff"/>']
for level in range(low, high + 1):
    svg.append(f'<path d="M{left} {y(level):.1f}H{x(budgets[-1]):.1f}" stroke="#ddd"/><text x="{left - 8}" y="{y(level) + 4:.1f}" text-anchor="end">{level} dB</text>')
for budget in budgets:
    svg.append(f'<text x="{x(budget):.1f}" y="{height - 18}" text-anchor="middle">{budget} s</text>')
labels = sorted((y(points[-1][1]), scene) for scene, points in series.items())
at, placed = -20.0, {}
for place, scene in labels:
    at = max(place, at + 14)
    placed[scene] = at
for index, (scene, points) in enumerate(series.items()):
    colour = colours[index % len(colours)]
    path = " ".join(f"{x(budget):.1f},{y(psnr):.1f}" for budget, psnr in points)
    svg.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    svg.extend(f'<circle cx="{x(budget):.1f}" cy="{y(psnr):.1f}" r="3" fill="{colour}"/>' for budget, psnr in points)
    svg.append(f'<text x="{x(points[-1][0]) + 8:.1f}" y="{placed[scene] + 4:.1f}" fill="{colour}">{scene}</text>')
svg.append("</svg>")
(out / "chart.svg").write_text("\n".join(svg) + "\n")
print((out / "table.md").read_text())
PYTHON
