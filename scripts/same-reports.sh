#!/usr/bin/env bash
# Compares the reports of docs/results as two commits make them: what changes there is changed on purpose, or is a fault.
#   scripts/same-reports.sh [COMMIT]        this tree against that commit; by default against its parent
#   scripts/same-reports.sh --with BINARY   against what that weir makes
# Every file below each folder is compared byte for byte, but summary.json by what it says, without the figures that MASK names.
# Status 1 where anything differs. Needs jq. Builds go to target/same-reports.
set -euo pipefail
cd "$(dirname "$0")/.."

# Said twice by a commit before, and once since.
readonly MASK='del(.. | .server_cpu_us_per_packet?, .client_cpu_us_per_packet?, .loss_percent?, .wall_s?, .server_cpu?, .client_cpu?, .wall?)'
readonly KEPT=$PWD/target/same-reports

build() { (cd "$1" && CARGO_TARGET_DIR=$KEPT/target cargo build --quiet --package weir --bin weir) && cp "$KEPT/target/debug/weir" "$2"; }

mkdir -p "$KEPT"
if [ "${1:-}" = --with ]; then
  cp "$2" "$KEPT/before"
else
  tree=$(mktemp -d "$KEPT/tree.XXXXXX")
  git worktree add --quiet --detach "$tree" "${1:-HEAD^}"
  trap 'git worktree remove --force "$tree"' EXIT
  build "$tree" "$KEPT/before"
fi
build . "$KEPT/after"

for each in before after; do
  rm -rf "$KEPT/$each.results"
  cp -r docs/results "$KEPT/$each.results"
  for folder in "$KEPT/$each.results"/*/; do
    # A report names its folder.
    (cd "$folder/.." && "$KEPT/$each" report "$(basename "$folder")") >"$folder/report.txt"
    if [ -e "$folder/summary.json" ]; then
      jq --sort-keys "$MASK" "$folder/summary.json" >"$folder/summary" && mv "$folder/summary" "$folder/summary.json"
    fi
  done
done
if diff --recursive --brief "$KEPT/before.results" "$KEPT/after.results"; then
  echo "the reports of $(ls docs/results | wc -l) folders are the same, $(find "$KEPT/after.results" -type f | wc -l) files"
else
  exit 1
fi
