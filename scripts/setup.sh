#!/usr/bin/env bash
# Installs what building weir needs and this machine lacks. Says what it will do first; safe to run again.
#   scripts/setup.sh                  look, say, install
#   scripts/setup.sh --with-browser   the same, and a Chromium, which drives the tests of the report's page
#   scripts/setup.sh --check          only look: exit status 0 when nothing is missing, 1 otherwise; with --with-browser
#                                     it looks for the browser too
set -euo pipefail
here=$(dirname "$0")

readonly LLVM=22
readonly BPF_LINKER=0.13.0
readonly DEBIAN_RUSTC=(rustc-web libstd-rust-web-dev-bpf)
readonly DEBIAN_LLVM="llvm-$LLVM-dev"
readonly LINKED_TOOLCHAIN=debian-bpf
# As crates/weir/tests/browser looks for one.
readonly BROWSERS=(chromium chromium-browser google-chrome)

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
as_user() { "$here/as-user" "$@"; }
as_root() { "$here/as-root" "$@"; }

has_package() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
has_linked_toolchain() { as_user rustup toolchain list | grep -q "^$LINKED_TOOLCHAIN\b"; }
has_linker() { as_user bpf-linker --version >/dev/null 2>&1; }
has_nightly_with_src() {
  local sysroot
  sysroot=$(as_user rustup run nightly rustc --print sysroot 2>/dev/null) \
    && [ -f "$sysroot/lib/rustlib/src/rust/library/core/src/lib.rs" ]
}
has_browser() {
  local browser
  for browser in "${BROWSERS[@]}"; do command -v "$browser" >/dev/null && return 0; done
  return 1
}
is_debian_12() { [ -r /etc/os-release ] && (. /etc/os-release && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]); }

by_hand() {
  cat <<ADVICE
setup: this script installs by itself on Debian 12 only. Install by hand:
  1. a C linker (gcc or clang)
  2. a nightly Rust with the sources of core:
       rustup toolchain install nightly --component rust-src
  3. the BPF linker:
       cargo install bpf-linker --locked
  4. for the tests of the report's page, with --with-browser: one of ${BROWSERS[*]}
  then run scripts/setup.sh --check.
ADVICE
}

check=no
with_browser=no
for argument in "$@"; do
  case $argument in
    --check) check=yes ;;
    --with-browser) with_browser=yes ;;
    *) fail "unknown argument '$argument'; usage: scripts/setup.sh [--check] [--with-browser]" ;;
  esac
done

as_user sh -c 'command -v cargo && command -v rustup' >/dev/null \
  || fail "cargo and rustup are not on PATH; install stable Rust from https://rustup.rs, then run this again"

packages=()
steps=()
want() { has_package "$1" || packages+=("$1"); }
command -v cc >/dev/null || packages+=(gcc libc6-dev)
# The filters in C; without these the build leaves them out.
if is_debian_12; then
  command -v clang >/dev/null || [ -n "$(compgen -c clang-)" ] || packages+=(clang)
  want libbpf-dev
fi
has_nightly=no
if has_nightly_with_src; then
  has_nightly=yes
elif is_debian_12; then
  for package in "${DEBIAN_RUSTC[@]}"; do want "$package"; done
  has_linked_toolchain || steps+=(link)
else
  steps+=(compiler)
fi
if ! has_linker; then
  steps+=(linker)
  if [ $has_nightly = no ] && is_debian_12; then want "$DEBIAN_LLVM"; fi
fi
if ! has_browser; then
  if [ $with_browser = no ]; then
    say "no browser: the tests of the report's page are skipped; scripts/setup.sh --with-browser installs one"
  elif is_debian_12; then
    want chromium
  else
    steps+=(browser)
  fi
fi

if [ ${#packages[@]} -eq 0 ] && [ ${#steps[@]} -eq 0 ]; then
  say "nothing is missing"
  exit 0
fi
for package in "${packages[@]}"; do say "missing: Debian package $package (apt-get, as root)"; done
for step in "${steps[@]}"; do
  case $step in
    link) say "missing: rustup toolchain '$LINKED_TOOLCHAIN' (a link to Debian's rustc in /usr)" ;;
    linker) say "missing: bpf-linker $BPF_LINKER (cargo install, a minute or two)" ;;
    compiler) say "missing: a Rust compiler that has core for BPF" ;;
    browser) say "missing: a browser, one of ${BROWSERS[*]}" ;;
  esac
done
[ $check = no ] || exit 1
is_debian_12 || { by_hand >&2; exit 1; }

if [ ${#packages[@]} -gt 0 ]; then
  say "installing with apt-get: ${packages[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
for step in "${steps[@]}"; do
  case $step in
    link)
      say "linking rustup toolchain $LINKED_TOOLCHAIN to /usr"
      as_user rustup toolchain link "$LINKED_TOOLCHAIN" /usr
      ;;
    linker)
      if [ -d "/usr/lib/llvm-$LLVM/include" ]; then
        say "building bpf-linker $BPF_LINKER against Debian's LLVM $LLVM"
        as_user env "LLVM_PREFIX=/usr/lib/llvm-$LLVM" cargo install --quiet bpf-linker --version "$BPF_LINKER" \
          --locked --no-default-features --features "llvm-$LLVM"
      else
        say "building bpf-linker $BPF_LINKER"
        as_user cargo install --quiet bpf-linker --version "$BPF_LINKER" --locked
      fi
      ;;
  esac
done
say "done"
