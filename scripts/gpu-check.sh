#!/usr/bin/env bash
# Tries a GPU: is it found, does it compute right, how fast is it. For machines without a network or a compiler.
#
#   scripts/gpu-check.sh --pack DIR      in a checkout: builds the programs and puts all that the check needs into DIR
#                                        (at most 55 MB, for the same processor and a glibc as new as this one's)
#   DIR/gpu-check.sh [--out DIR] [--quick]
#                                        on the machine with the GPU: some five minutes, at most eight; --quick takes two
#
# Writes OUT/gpu-check.json (every part with its outcome and figures), OUT/row.md (a row for docs/benchmarks.md) and one
# log per part. A part that fails does not stop the others; the exit code is 1 if any did. With software Vulkan the sizes
# are those that a processor manages, as with --quick. SPLAT_ADAPTER and SPLAT_BACKEND choose the adapter as everywhere.
set -uo pipefail

say() { printf 'gpu-check: %s\n' "$*"; }
fail() { printf 'error: %s\n' "$1" >&2; exit 2; }

if [ "${1:-}" = "--pack" ]; then
    [ -n "${2:-}" ] || fail "--pack needs a folder"
    mkdir -p "$2" && pack=$(cd "$2" && pwd) || exit 2
    cd "$(dirname "$0")/.." || exit 2
    set -e
    target=${CARGO_TARGET_DIR:-target}
    cargo build --release --locked -p splat-cli
    # The names of test programs contain a hash; cargo prints them.
    programs=$(cargo test --locked --workspace --test tests --lib --no-run 2>&1 | tee /dev/stderr | sed -n 's/.*(\(.*\))$/\1/p')
    programs_dir=$target/gpu-check
    mkdir -p "$programs_dir"
    install -m 755 "$target/release/splat" "$programs_dir/splat"
    install -m 755 "$(grep '/tests-[0-9a-f]*$' <<<"$programs")" "$programs_dir/tests"
    install -m 755 "$(grep '/splat_core-[0-9a-f]*$' <<<"$programs")" "$programs_dir/core-tests"
    strip "$programs_dir"/*
    tar -C "$programs_dir" -czf "$pack/programs.tar.gz" splat tests core-tests
    rm -rf "$pack/benchmark"
    if [ -d ../shared/data/bench/snowmiku_480 ]; then
        cp -r ../shared/data/bench/snowmiku_480 "$pack/benchmark"
    else
        "$programs_dir/splat" demo --small -o "$target/gpu-check-demo"
        cp -r "$target/gpu-check-demo/colmap_data" "$pack/benchmark"
    fi
    install -m 755 scripts/gpu-check.sh "$pack/gpu-check.sh"
    git describe --always --dirty >"$pack/version" 2>/dev/null || echo unknown >"$pack/version"
    size=$(du -sm "$pack" | cut -f1)
    [ "$size" -le 55 ] || fail "$pack takes $size MB, which is more than 55"
    say "packed $size MB into $pack"
    exit 0
fi

here=$(cd "$(dirname "$0")" && pwd)
out=gpu-check
quick=false
while [ $# -gt 0 ]; do
    case $1 in
    --out) out=${2:-}; shift ;;
    --quick) quick=true ;;
    *) fail "unknown option \`$1\`; see the head of this file" ;;
    esac
    shift
done
[ -f "$here/programs.tar.gz" ] || fail "$here holds no packed programs: run scripts/gpu-check.sh --pack DIR in a checkout, and DIR/gpu-check.sh here"
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
programs=$(mktemp -d) && trap 'rm -rf "$programs"' EXIT
tar -C "$programs" -xzf "$here/programs.tar.gz" || fail "the programs could not be unpacked"
export NODEVICE_SELECT=1 XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
parts=()
failed=()

# part NAME LIMIT_SECONDS COMMAND...: its output goes to OUT/NAME.log; what it writes to OUT/NAME.json becomes its figures.
part() {
    local name=$1 limit=$2 started code seconds figures=null
    shift 2
    say "$name ..."
    started=$(date +%s.%N)
    timeout "$limit" "$@" >"$out/$name.out" 2>"$out/$name.log" </dev/null
    code=$?
    seconds=$(awk -v a="$started" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
    case $(head -c 1 "$out/$name.out") in "{" | "[") mv "$out/$name.out" "$out/$name.json" && figures=$(cat "$out/$name.json") ;;
    *) cat "$out/$name.out" >>"$out/$name.log" && rm "$out/$name.out" ;; esac
    if [ $code -ne 0 ]; then
        failed+=("$name")
        [ $code -ne 124 ] || echo "stopped after $limit s" >>"$out/$name.log"
        say "$name FAILED (exit $code after $seconds s): $(tail -n 3 "$out/$name.log" | tr '\n' ' ')"
    else
        say "$name passed in $seconds s"
    fi
    parts+=("{\"part\":\"$name\",\"exit\":$code,\"seconds\":$seconds,\"figures\":$figures}")
}

# COLMAP or ffmpeg may be missing: only what it says of the GPU counts.
part doctor 120 bash -c '"$1" doctor --json; code=$?; [ $code -le 2 ] || exit $code' doctor "$programs/splat"
if ! grep -q '"name":"kernels","verdict":"ok"' "$out/doctor.json" 2>/dev/null; then
    failed+=(kernels)
    say "no GPU that computes right: $(tail -n 2 "$out/doctor.log" | tr '\n' ' ')"
fi
software=false
grep -q 'computes on the CPU' "$out/doctor.json" 2>/dev/null && software=true
if $software || $quick; then
    counts=10000,100000 sizes=480x360 short=100 long=
    bench_limit=200
else
    counts=10000,100000,1000000,4000000 sizes=480x360,832x600,1632x1224 short=2000 long=30000
    bench_limit=180
fi

# What compares pictures, gradients and trained bits, with the driver's checks in the kernels and without.
for checks in 0 1; do
    part "kernels-checks-$checks" 150 env SPLAT_SHADER_CHECKS=$checks "$programs/core-tests" gpu:: render:: self_test:: train::
    part "tests-checks-$checks" 150 env SPLAT_SHADER_CHECKS=$checks "$programs/tests" differences:: gradients:: gut:: parity:: \
        trainer:: lenses::distorted_and_rolling_runs_repeat_to_the_bit
done
part bench "$bench_limit" "$programs/splat" bench --gaussians $counts --size $sizes --steps 20 --seconds 3 --json
part "train-$short" 240 "$programs/splat" train "$here/benchmark" -o "$out/run-$short" --seed 1 --steps $short --max-image-size 480 -q
[ -z "$long" ] || part "train-$long" 240 "$programs/splat" train "$here/benchmark" -o "$out/run-$long" --seed 1 --steps $long --max-image-size 480 -q
for steps in $short $long; do
    [ -f "$out/run-$steps/metrics.json" ] && mv "$out/run-$steps/metrics.json" "$out/metrics-$steps.json"
    rm -rf "$out/run-$steps"
done

# One figure from a file of JSON: the first number after the key.
figure() { grep -o "\"$2\":[ ]*[-0-9.e+]*" "$1" 2>/dev/null | head -n 1 | sed 's/.*:[ ]*//'; }
text() { grep -o "\"$2\":[ ]*\"[^\"]*\"" "$1" 2>/dev/null | head -n 1 | sed 's/.*:[ ]*"//; s/"$//'; }
# Milliseconds per step of a number of Gaussians at a width.
step_ms() { grep -o "\"width\":$2,\"height\":[0-9]*,\"gaussians\":$1,\"start_s\":[^}]*" "$out/bench.json" 2>/dev/null | head -n 1 | grep -o '"step_ms":[0-9.]*' | sed 's/.*://' | xargs -r printf '%.2f'; }
# What a run reached, or how far it came.
trained() {
    local metrics="$out/metrics-$1.json" psnr
    psnr=$(figure "$metrics" psnr)
    if [ -n "$psnr" ]; then
        printf '%.2f dB, %.0f s' "$psnr" "$(figure "$metrics" elapsed_s)"
    elif [ -f "$metrics" ]; then
        printf 'step %s after %.0f s' "$(figure "$metrics" steps_done)" "$(figure "$metrics" elapsed_s)"
    else
        printf -- '-'
    fi
}
tests=passed
[ ${#failed[@]} -eq 0 ] || tests="failed: ${failed[*]}"
{
    printf '| %s, %s | %s |' "$(text "$out/bench.json" adapter)" "$(text "$out/bench.json" driver)" "$(uname -sm)"
    for width in 480 832 1632; do
        for count in 10000 100000 1000000 4000000; do printf ' %s' "$(step_ms $count $width | grep . || echo -)"; done
        printf ' |'
    done
    printf ' %s | %s | %s |\n' "$(trained "$short")" "$([ -n "$long" ] && trained "$long" || echo -)" "$tests"
} >"$out/row.md"
{
    printf '{"version":"%s","parts":[' "$(cat "$here/version" 2>/dev/null)"
    (IFS=, && printf '%s' "${parts[*]}")
    printf '],"metrics":['
    first=true
    for steps in $short $long; do
        [ -f "$out/metrics-$steps.json" ] || continue
        $first || printf ','
        first=false
        cat "$out/metrics-$steps.json"
    done
    printf ']}\n'
} >"$out/gpu-check.json"
cat "$out/row.md"
say "written to $out/gpu-check.json"
[ ${#failed[@]} -eq 0 ] || { say "failed: ${failed[*]}"; exit 1; }
