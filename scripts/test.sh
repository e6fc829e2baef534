#!/usr/bin/env bash
# Everything that CI runs. Ends with one line that counts all tests; a test that can't run here is counted as
# skipped, or as n/a where this kernel lacks what it is about, with its reason above that line.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }
cargo() { scripts/as-user cargo "$@"; }

step "format"
cargo fmt --all --check
step "clippy"
cargo clippy --quiet --all-targets -- -D warnings
# Not a default member: it builds for BPF alone, but its library can be linted as if it were for this machine.
cargo clippy --quiet -p weir-bpf --lib -- -D warnings
step "documentation"
scripts/as-user env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items

step "tests"
# Tests that touch the kernel need root; cargo builds as the user and has its test binaries run as root.
host=$(scripts/as-user rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
scripts/as-user env "CARGO_TARGET_${host}_RUNNER=$PWD/scripts/run-test" cargo test --no-fail-fast 2>&1 | tee "$log" || status=$?

step "skipped tests"
grep -E '^test .*\.\.\. ignored' "$log" || echo "none"
echo
awk '/^test \[n\/a: .* ignored$/ { na++ }
     /^test result:/ { passed += $4; failed += $6; skipped += $8 }
     END { printf "%d passed, %d failed, %d skipped, %d n/a\n", passed, failed, skipped - na, na }' "$log"
exit "$status"
