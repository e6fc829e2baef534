#!/bin/sh
# Runs each fuzz target for some seconds, 60 unless told otherwise, and keeps the inputs that reached something new in
# fuzz/corpus. Needs a nightly compiler (`rustup toolchain install nightly`) and `cargo install cargo-fuzz`.
set -eu
seconds=${1:-60}
cd "$(dirname "$0")/.."

if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzz.sh: 'cargo +nightly fuzz' does not run; install both: rustup toolchain install nightly && cargo install cargo-fuzz" >&2
    exit 1
fi

for target in $(cargo +nightly fuzz list); do
    mkdir -p "fuzz/corpus/$target"
    # The tests' own inputs are seeds too; what is new goes into the first folder.
    case $target in
    asm_parser) seeds=crates/asm/tests/conformance ;;
    elf_reader) seeds=crates/asm/tests/objects ;;
    *) seeds= ;;
    esac
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" $seeds -- -max_total_time="$seconds" -timeout=10 -print_final_stats=1
    # What reaches nothing that a smaller input doesn't is dropped again.
    cargo +nightly fuzz cmin "$target"
done
