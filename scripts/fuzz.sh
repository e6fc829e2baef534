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

# The guards and protocols of the pages, a file each.
pages=$(mktemp -d)
trap 'rm -r "$pages"' EXIT
awk -v to="$pages" '/^```toml$/ { file = to "/" ++number; next } /^```/ { file = "" } file { print > file }' docs/guard.md docs/guard-language.md

for target in $(cargo +nightly fuzz list); do
    mkdir -p "fuzz/corpus/$target"
    # The tests' own inputs, and what is shipped, are seeds too; what is new goes into the first folder.
    case $target in
    asm_parser) seeds=crates/asm/tests/conformance ;;
    elf_reader) seeds=crates/asm/tests/objects ;;
    guard) seeds="protocols fuzz/seeds/guard $pages" ;;
    *) seeds= ;;
    esac
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" $seeds -- -max_total_time="$seconds" -timeout=10 -print_final_stats=1
    # What reaches nothing that a smaller input doesn't is dropped again.
    cargo +nightly fuzz cmin "$target"
done
