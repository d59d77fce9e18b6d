#!/usr/bin/env bash
# Builds the Windows program on Linux and tries it under Wine: it must find the Vulkan driver, train, render and convert, and write byte for
# byte what the Linux program writes.
#
#   scripts/check-windows.sh          for Debian and Ubuntu; downloads what is missing: Rust's library for Windows, MinGW-w64, Wine, Xvfb
#
# Takes some fifteen minutes on two cores, most of it for compiling. Both programs stay in target/, and what they wrote in
# target/check-windows.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'check-windows: %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

scripts/setup.sh --windows
triple=x86_64-pc-windows-gnu
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
make --no-print-directory web
cargo build --release --locked -p splat-cli
cargo build --release --locked -p splat-cli --target $triple
linux=$target/release/splat
windows=$target/$triple/release/splat.exe

out=$target/check-windows
rm -rf "$out"
mkdir -p "$out"
say "photographing the demo's scene"
"$linux" demo --small -o "$out/demo" -q

# A Windows of its own. Wine hands Vulkan through to the system's driver, but only with a display. No .NET and no HTML: Wine would
# ask whether to download them.
export WINEPREFIX=$out/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree=;mshtml=" XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}" NODEVICE_SELECT=1
on_windows() { xvfb-run -a wine "$out/program/splat.exe" "$@"; }
mkdir "$out/program"
cp "$windows" "$out/program"
# Rust's library takes random numbers from a DLL that Windows has and Wine 8 lacks. This one does the same.
if ! on_windows --version >/dev/null 2>&1; then
    cat >"$out/program/bcryptprimitives.c" <<'C'
#include <stddef.h>
__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *buffer, unsigned long length);
__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *buffer, size_t length) {
    return SystemFunction036(buffer, (unsigned long)length);
}
C
    x86_64-w64-mingw32-gcc -shared -o "$out/program/bcryptprimitives.dll" "$out/program/bcryptprimitives.c" -ladvapi32
    on_windows --version || fail "the Windows program does not start under $(wine --version 2>/dev/null)"
fi

cd "$out"
say "doctor"
# COLMAP and ffmpeg are missing there: only what it says of the GPU counts.
on_windows doctor --json >doctor.json 2>doctor.log || true
grep -q '"name":"kernels","verdict":"ok"' doctor.json || fail "the Windows program finds no GPU that computes correctly: $(cat doctor.json doctor.log)"

say "training, 100 steps with each renderer"
train=(--steps 100 --max-image-size 480 --seed 1 -q)
for renderer in ewa 3dgut; do
    "$linux" train demo/colmap_data -o "linux-$renderer" --renderer $renderer "${train[@]}"
    on_windows train demo/colmap_data -o "windows-$renderer" --renderer $renderer "${train[@]}"
done
say "rendering and converting"
view=$(basename "$(find demo/colmap_data/images -name '*.jpg' -o -name '*.png' | sort | head -n 1)")
"$linux" render linux-ewa --view "$view" -o linux-ewa/view.png -q
on_windows render windows-ewa --view "$view" -o windows-ewa/view.png -q
"$linux" convert linux-ewa linux-ewa/scene.spz -q
on_windows convert windows-ewa windows-ewa/scene.spz -q

# Times and paths differ; scenes, cameras, pictures and conversions must not.
compared=0
for renderer in ewa 3dgut; do
    while read -r file; do
        cmp "linux-$renderer/$file" "windows-$renderer/$file" || fail "$file of $renderer differs between Linux and Windows"
        compared=$((compared + 1))
    done < <(cd "linux-$renderer" && find . -name '*.ply' -o -name '*.png' -o -name '*.spz' -o -name cameras.json | sort)
done
[ $compared -ge 6 ] || fail "only $compared files were compared"
say "passed: $compared files of the two programs are the same, byte for byte"
