#!/usr/bin/env bash
# Makes the results that the documents rest on again, and keeps them in docs/results: definition, manifest, packed
# samples and report of each experiment.
#   scripts/results.sh                              all experiments, profile standard
#   scripts/results.sh mix wake-ups                 those
#   scripts/results.sh --profile paper paper-loss   with another profile
# Kept are samples without the histograms of senders' lag, which no report reads and which are most of their bytes; the order
# statistics of them stay. What was interrupted goes on where it ended: runs are in results/PROFILE/NAME until all of them are made. Needs root.
# The machine should do nothing else meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly WEIR=target/release/weir
profile=standard
if [ "${1:-}" = --profile ]; then
  profile=$2
  shift 2
fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for definition in experiments/*.toml; do
    if grep -q "^\[profiles\.$profile\]" "$definition"; then names+=("$(basename "$definition" .toml)"); fi
  done
fi

without_lag_histograms() { sed -E 's/("lag":\{[^{}]*),"histogram":"[^"]*"\}/\1}/g'; }

for name in "${names[@]}"; do
  made=results/$profile/$name
  kept=docs/results/$name
  printf 'results: %s, profile %s\n' "$name" "$profile"
  started=$SECONDS
  if [ -d "$made" ]; then
    "$WEIR" experiment --resume "$made" >/dev/null
  else
    mkdir -p "results/$profile"
    "$WEIR" experiment "$name" --profile "$profile" --out "$made" >/dev/null
  fi
  printf 'results: %s took %d s\n' "$name" $((SECONDS - started))
  mkdir -p "$kept"
  cp "$made/definition.toml" "$made/manifest.json" "$made/report.md" "$kept/"
  without_lag_histograms <"$made/samples.jsonl" | gzip -9n >"$kept/samples.jsonl.gz"
done
