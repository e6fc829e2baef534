#!/usr/bin/env bash
# Installs what building weir needs and this machine lacks. Says what it will do first; safe to run again.
#   scripts/setup.sh           look, say, install
#   scripts/setup.sh --check   only look: exit status 0 when nothing is missing, 1 otherwise
set -euo pipefail

readonly LLVM=22
readonly BPF_LINKER=0.13.0
readonly DEBIAN_PACKAGES=(rustc-web libstd-rust-web-dev-bpf "llvm-$LLVM-dev" gcc libc6-dev)
readonly LINKED_TOOLCHAIN=debian-bpf

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

has_package() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
has_debian_rustc() { has_package libstd-rust-web-dev-bpf && has_package rustc-web; }
has_linked_toolchain() { rustup toolchain list | grep -q "^$LINKED_TOOLCHAIN\b"; }
has_nightly_with_src() {
  rustup run nightly rustc --print sysroot 2>/dev/null \
    | { read -r sysroot && [ -f "$sysroot/lib/rustlib/src/rust/library/core/src/lib.rs" ]; }
}
has_linker() { command -v bpf-linker >/dev/null && bpf-linker --version >/dev/null 2>&1; }
is_debian_12() { [ -r /etc/os-release ] && (. /etc/os-release && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]); }

by_hand() {
  cat <<ADVICE
setup: this script installs by itself on Debian 12 only. Install by hand:
  1. a C linker (gcc or clang)
  2. a nightly Rust with the sources of core:
       rustup toolchain install nightly --component rust-src
  3. the BPF linker:
       cargo install bpf-linker --locked
  then run scripts/setup.sh --check.
ADVICE
}

[ $# -eq 0 ] || [ "$*" = --check ] || fail "unknown argument '$*'; usage: scripts/setup.sh [--check]"
check_only=${1:-}

command -v cargo >/dev/null && command -v rustup >/dev/null \
  || fail "cargo and rustup are not on PATH; install stable Rust from https://rustup.rs, then run this again"

packages=()
steps=()
if ! command -v cc >/dev/null; then packages+=(gcc libc6-dev); fi
if has_nightly_with_src; then
  say "BPF compiler: nightly Rust with rust-src (found)"
elif is_debian_12; then
  for package in "${DEBIAN_PACKAGES[@]}"; do
    has_package "$package" || packages+=("$package")
  done
  has_linked_toolchain || steps+=(link)
else
  steps+=(by-hand)
fi
has_linker || steps+=(linker)

if [ ${#packages[@]} -eq 0 ] && [ ${#steps[@]} -eq 0 ]; then
  say "nothing is missing"
  exit 0
fi

for package in "${packages[@]}"; do say "missing: Debian package $package"; done
for step in "${steps[@]}"; do
  case $step in
    link) say "missing: rustup toolchain '$LINKED_TOOLCHAIN' (a link to Debian's rustc in /usr)" ;;
    linker) say "missing: bpf-linker (cargo install, about 2 minutes)" ;;
    by-hand) say "missing: a Rust compiler that has core for BPF" ;;
  esac
done
[ "$check_only" != --check ] || exit 1
is_debian_12 || { by_hand >&2; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || fail "'$*' needs root, and there is no sudo; run this as root"
  sudo "$@"
}

if [ ${#packages[@]} -gt 0 ]; then
  say "installing with apt-get: ${packages[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
for step in "${steps[@]}"; do
  case $step in
    link)
      say "linking rustup toolchain $LINKED_TOOLCHAIN to /usr"
      rustup toolchain link "$LINKED_TOOLCHAIN" /usr
      ;;
    linker)
      if [ -d "/usr/lib/llvm-$LLVM/include" ]; then
        say "building bpf-linker $BPF_LINKER against Debian's LLVM $LLVM"
        LLVM_PREFIX="/usr/lib/llvm-$LLVM" cargo install --quiet bpf-linker --version "$BPF_LINKER" --locked \
          --no-default-features --features "llvm-$LLVM"
      else
        say "building bpf-linker $BPF_LINKER"
        cargo install --quiet bpf-linker --version "$BPF_LINKER" --locked
      fi
      ;;
  esac
done
say "done"
