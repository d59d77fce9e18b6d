# Two entry points: `make demo` shows what splat does, `make test` proves it.
#
#   make demo               photographs a built-in scene and reconstructs it
#   make demo PHOTOS=dir    the same on your own photos
#   make serve              the service with its page on http://127.0.0.1:5000
#   make test               sets up and runs every check that CI runs

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PHOTOS ?=
PRESET ?= preview
OUT ?= out/$(if $(PHOTOS),$(notdir $(patsubst %/,%,$(PHOTOS))),demo)
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(CURDIR)/target/tools/bin

# Without a desktop session Mesa's device-selection layer prints a harmless line on XDG_RUNTIME_DIR; this keeps it quiet.
export NODEVICE_SELECT := 1

.PHONY: help setup web build demo serve test fmt clippy doc test-checked test-trusted test-demo test-api test-readers test-web test-browser package deny clean

help:
	@sed -n '3,6s/^# \{0,3\}//p' Makefile

setup:
	scripts/setup.sh

# The 3-D viewer and the hand tracking that the page embeds. Without npm the server builds all the same, and its page says
# what is missing.
WEB := splat-server/web
web: $(if $(shell command -v npm),$(WEB)/dist/viewer/index.js)
	@$(if $(shell command -v npm),,echo "npm is missing: the server is built without its 3-D viewer and hand tracking")

$(WEB)/dist/viewer/index.js: $(WEB)/package-lock.json $(WEB)/copy-dist.mjs
	cd $(WEB) && npm ci --loglevel=error && npm run --silent dist

build: web
	cargo build --release --locked -p splat-cli

demo: setup build
ifeq ($(PHOTOS),)
	$(TARGET_DIR)/release/splat demo -o "$(OUT)"
else
	$(TARGET_DIR)/release/splat run "$(PHOTOS)" -o "$(OUT)" --preset $(PRESET)
endif

serve: setup build
	$(TARGET_DIR)/release/splat serve

# In order of cost, so that mistakes show early.
test:
	scripts/setup.sh --test
	$(MAKE) --no-print-directory web fmt deny clippy doc test-web test-checked test-trusted test-demo test-api test-readers test-browser package

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# The whole suite with the driver's bounds and loop checks in the kernels ...
test-checked:
	SPLAT_SHADER_CHECKS=1 cargo test --locked --workspace

# ... and what compares pictures, gradients and trained bits once more as users run it, without them. Modules are chosen by name:
# choosing packages instead would compile half of the tree again. Last, the kernels for GPUs whose subgroups vary in size.
test-trusted: export SPLAT_SHADER_CHECKS := 0
test-trusted:
	cargo test --locked --workspace --test tests -- backdrop:: differences:: garden:: gradients:: gut:: parity:: reference:: trainer:: floor:: checkpoints:: \
		lenses::distorted_and_rolling_runs_repeat_to_the_bit
	cargo test --locked --workspace --lib -- gpu:: render:: self_test:: train::
	SPLAT_VARYING_SUBGROUPS=1 cargo test --locked --workspace --test tests -- gradients:: gut:: parity:: trainer::a_seed

# Built as for the tests, which is done by then: another choice of packages would compile half of the tree again.
# The whole path from photos to PLY, small: the same command as `make demo`, then its photos through the service.
test-demo:
	rm -rf "$(TARGET_DIR)/test-demo"
	cargo test --locked --workspace --no-run
	$(TARGET_DIR)/debug/splat demo --small -o "$(TARGET_DIR)/test-demo"
	SPLAT_BIN="$(TARGET_DIR)/debug/splat" "$(TOOLS)/python" tests/service/real.py "$(TARGET_DIR)/test-demo/photos"

# The page's modules without a browser: texts, parsers, geometry.
test-web:
	node --test splat-server/web/tests/

# The service from outside: a fuzzer over its OpenAPI document, the clients that people use, a little load, silent connections and an endless
# header, and kills of everything while files come and go slowly.
test-api:
	cargo test --locked --workspace --no-run
	cd tests/service && npm ci --loglevel=error
	for part in schema clients generated "load --small" "hostile --small" "kills --jobs 6 --kills 3"; do \
		set -- $$part; script=$$1; shift; \
		SPLAT_BIN="$(TARGET_DIR)/debug/splat" "$(TOOLS)/python" "tests/service/$$script.py" "$$@"; \
	done

# What `splat convert` writes, read by other people's programs.
test-readers:
	cargo test --locked --workspace --no-run
	cd tests/readers && npm ci --loglevel=error
	SPLAT_BIN="$(TARGET_DIR)/debug/splat" "$(TOOLS)/python" tests/readers/readers.py

# The page in headless Chromium, against a double of the service and against the service itself.
test-browser: web
	cargo test --locked --workspace --no-run
	cd tests/browser && npm ci --loglevel=error
	SPLAT_BIN="$(TARGET_DIR)/debug/splat" node --test --test-concurrency=1 tests/browser/

# Licences, sources and doubled crates. Security advisories need a download: `make deny DENY=advisories` where there is a network.
DENY ?= bans licenses sources
deny:
	PATH="$(TOOLS):$$PATH" cargo deny --locked check $(DENY)

# Every published crate carries its shaders, readme and licences.
package:
	scripts/check-package.sh

clean:
	rm -rf out
	cargo clean
