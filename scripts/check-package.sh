#!/usr/bin/env bash
# Packages every published crate and looks inside: shaders, readme and licences must be in the archives, and what is in
# the archives must build without the rest of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
cargo package --locked --allow-dirty --no-verify --quiet -p splat-core -p splat-colmap -p splat-demo -p splat-gesture -p splat-server -p splat-cli

unpacked=$target/package/unpacked
rm -rf "$unpacked"
mkdir -p "$unpacked"
for crate in splat-core splat-colmap splat-demo splat-gesture splat-server splat-cli; do
    archive=$(ls -t "$target/package/$crate"-[0-9]*.crate | head -n 1)
    mkdir "$unpacked/$crate"
    tar -xzf "$archive" -C "$unpacked/$crate" --strip-components 1
    for file in README.md LICENSE-MIT LICENSE-APACHE; do
        [ -s "$unpacked/$crate/$file" ] || fail "$crate's archive lacks $file"
        [ -L "$unpacked/$crate/$file" ] && fail "$crate's archive holds $file as a link"
    done
done

# Every kernel of the repository travels with the crate that embeds it.
(cd shaders && find . -name '*.wgsl' -type f | sort) >"$unpacked/expected"
(cd "$unpacked/splat-core/shaders" && find . -name '*.wgsl' -type f | sort) >"$unpacked/packaged"
[ -s "$unpacked/expected" ] || fail "no kernels found in shaders/"
diff "$unpacked/expected" "$unpacked/packaged" || fail "splat-core's archive lacks kernels"

# The archives build on their own, as one workspace outside the repository's folders.
cat >"$unpacked/Cargo.toml" <<'TOML'
[workspace]
resolver = "3"
members = ["splat-core", "splat-colmap", "splat-demo", "splat-gesture", "splat-server", "splat-cli"]
[patch.crates-io]
splat-core = { path = "splat-core" }
splat-colmap = { path = "splat-colmap" }
splat-demo = { path = "splat-demo" }
splat-gesture = { path = "splat-gesture" }
splat-server = { path = "splat-server" }
TOML
# With the repository's profiles, so that dependencies that are compiled already are not compiled again.
sed -n '/^\[profile/,$p' Cargo.toml >>"$unpacked/Cargo.toml"
cp Cargo.lock "$unpacked/Cargo.lock"
cargo check --manifest-path "$unpacked/Cargo.toml" --target-dir "$target" --quiet --offline
# In the shared target folder, Cargo identifies the unpacked crates with the repository's, so this check has overwritten the output of
# splat-server's build script with a page without the 3-D viewer. A newer build.rs makes the next build run that script again.
touch splat-server/build.rs
echo "packages complete: splat-core, splat-colmap, splat-demo, splat-gesture, splat-server, splat-cli"
