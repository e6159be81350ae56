# `just` lists every recipe. Each one calls a script that also works without just.

default:
    @just --list

# Fetch libtorch and whatever else is missing
setup:
    scripts/setup

# Fetch the official Python packages that the tests use as clients
clients:
    scripts/clients

# Install what the network lab needs: iproute2 and nftables
lab-setup:
    scripts/lab-setup

# A network lab by hand: docs/lab.md
lab *ARGS: lab-setup
    cargo run --release -p starling-testing --bin starling-lab -- {{ARGS}}

# Build the starling binary
build:
    scripts/build

# The whole loop on this machine
demo *ARGS:
    scripts/demo {{ARGS}}

# All tests
test *ARGS:
    scripts/test {{ARGS}}

# Format, lints, and the chain half without libtorch: what CI runs before the tests
check:
    scripts/check

# What CI runs
ci:
    .ci/run

# Benchmarks with their baselines (release build: slow the first time)
bench *ARGS:
    scripts/bench {{ARGS}}

# Does a card compute, is it right, deterministic, how fast? Builds for a machine without a compiler; `--device cpu` runs it here
gpu-check *ARGS:
    scripts/gpu-check {{ARGS}}

# Format the code
fmt:
    cargo fmt --all
