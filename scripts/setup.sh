#!/usr/bin/env bash
# Installs what building weir needs and this machine lacks. Says what it will do first; safe to run again.
#   scripts/setup.sh                  look, say, install
#   scripts/setup.sh --tests          the same, and what the tests need besides: a browser, bpftool, xdp-loader, LLVM's tools, nftables,
#                                     systemd, servers and clients of protocols that guards know, none of which serves this machine
#   scripts/setup.sh --kernels        the same, and what scripts/kernels.sh needs: qemu and what makes a machine's first files
#   scripts/setup.sh --packages       the same, and what scripts/package.sh needs: cargo-deb, lintian, systemd-nspawn
#   scripts/setup.sh --check          only look: exit status 0 when nothing is missing, 1 otherwise; with --tests it looks
#                                     for what the tests need too
set -euo pipefail
here=$(dirname "$0")

readonly LLVM=22
readonly BPF_LINKER=0.13.0
readonly CARGO_DEB=3.8.0
readonly DEBIAN_RUSTC=(rustc-web libstd-rust-web-dev-bpf)
readonly DEBIAN_LLVM="llvm-$LLVM-dev"
readonly LINKED_TOOLCHAIN=debian-bpf
# With every clang that Debian 12 has: on each kernel the filters in C are tried as each compiles them.
readonly DEBIAN_KERNELS=(busybox-static cpio jq kmod qemu-system-x86 clang-14 clang-15 clang-16 clang-19 "clang-$LLVM")
readonly DEBIAN_PACKAGING=(dpkg-dev lintian mmdebstrap systemd-container)
# What the tests need besides, as packages. clang and llvm-objdump of the newest LLVM are held against ours, and every clang that is
# there compiles the filters in C.
readonly DEBIAN_TESTS=(bpftool "clang-$LLVM" "llvm-$LLVM" iproute2 nftables procps systemd tshark xdp-tools)
# Who speaks to whom in crates/weir/tests/guard_real, and who asks a running guard.
readonly DEBIAN_SPEAKERS=(atftp atftpd bind9-dnsutils bind9-host collectd-core coturn curl dnsmasq-base freeradius freeradius-utils
  kamailio knot knot-dnsutils libbsd0 libcoap3-bin libedit2 libmemcached-tools libnet-statsd-perl libseccomp2 memcached
  ngtcp2-client ngtcp2-server ntpsec-ntpdig openssl openvpn prometheus qstat rsyslog sip-tester sipsak snmp snmpd snmptrapd tcpdump unbound
  wireguard-go wireguard-tools)
# These take the place of the program that sets this machine's clock: they are unpacked to where that test looks, not installed.
readonly UNPACKED=(chrony ntpsec)
readonly UNPACKED_TO=/usr/local/lib/weir-tests
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
# As crates/weir/tests/asm_cli looks for one.
has_llvm() {
  local place
  for place in "$1-$LLVM" "/usr/lib/llvm-$LLVM/bin/$1" "$1"; do
    "$place" --version 2>/dev/null | grep -q "version $LLVM\." && return 0
  done
  return 1
}
has_unpacked() { [ -x "$UNPACKED_TO/usr/sbin/chronyd" ] && [ -x "$UNPACKED_TO/usr/sbin/ntpd" ]; }
# Elsewhere one program stands for each server.
has_speakers() {
  local program
  for program in atftpd chronyd collectd curl coap-server-notls dnsmasq freeradius gtlsserver kamailio knotd memcached ntpd openvpn \
    prometheus quakestat rsyslogd sipp snmpd snmptrapd tcpdump tshark turnserver unbound wireguard-go; do
    PATH="$PATH:/usr/sbin:/sbin:$UNPACKED_TO/usr/sbin" command -v "$program" >/dev/null || return 1
  done
}
is_debian_12() { [ -r /etc/os-release ] && (. /etc/os-release && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]); }

# Installs packages, of which those that speak for the tests start nothing, now or with the machine.
install_unserved() {
  local policy=/usr/sbin/policy-rc.d package unit
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    trap "'$here/as-root' rm -f $policy" EXIT
    as_root chmod 755 $policy
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  for package in "$@"; do
    case " ${DEBIAN_SPEAKERS[*]} " in *" $package "*) ;; *) continue ;; esac
    for unit in $(dpkg -L "$package" | sed -nE 's#^(/usr)?/lib/systemd/system/([^/@]+\.(service|socket|timer))$#\2#p'); do
      as_root env DPKG_MAINTSCRIPT_PACKAGE="$package" deb-systemd-helper disable "$unit" >/dev/null
    done
    for unit in $(dpkg -L "$package" | sed -n 's#^/etc/init.d/##p'); do
      as_root update-rc.d "$unit" disable
    done
  done
}

by_hand() {
  cat <<ADVICE
setup: this script installs by itself on Debian 12 only. Install by hand:
  1. a C linker (gcc or clang)
  2. a nightly Rust with the sources of core:
       rustup toolchain install nightly --component rust-src
  3. the BPF linker:
       cargo install bpf-linker --locked
  4. for the tests, with --tests: one of ${BROWSERS[*]}; bpftool; xdp-loader (xdp-tools); nft; systemd-analyze; tshark; clang and llvm-objdump of LLVM $LLVM; servers and clients,
     as Debian calls them: ${DEBIAN_SPEAKERS[*]} ${UNPACKED[*]}
  then run scripts/setup.sh --check.
ADVICE
}

check=no
for_tests=no
for_kernels=no
for_packages=no
for argument in "$@"; do
  case $argument in
    --check) check=yes ;;
    --tests) for_tests=yes ;;
    --kernels) for_kernels=yes ;;
    --packages) for_packages=yes ;;
    *) fail "unknown argument '$argument'; usage: scripts/setup.sh [--check] [--tests] [--kernels] [--packages]" ;;
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
if [ $for_tests = yes ]; then
  if is_debian_12; then
    has_browser || want chromium
    for package in "${DEBIAN_TESTS[@]}" "${DEBIAN_SPEAKERS[@]}"; do want "$package"; done
    has_unpacked || steps+=(unpack)
  else
    has_browser || steps+=(browser)
    command -v bpftool >/dev/null || steps+=(bpftool)
    command -v xdp-loader >/dev/null || [ -x /usr/sbin/xdp-loader ] || steps+=(xdp-loader)
    # Not everybody's PATH has the folder.
    command -v nft >/dev/null || [ -x /usr/sbin/nft ] || steps+=(nft)
    command -v systemd-analyze >/dev/null || steps+=(systemd)
    { has_llvm clang && has_llvm llvm-objdump; } || steps+=(llvm)
    has_speakers || steps+=(speakers)
  fi
fi

if [ $for_kernels = yes ] && is_debian_12; then
  for package in "${DEBIAN_KERNELS[@]}"; do want "$package"; done
fi

if [ $for_packages = yes ]; then
  as_user cargo deb --version >/dev/null 2>&1 || steps+=(cargo-deb)
  if is_debian_12; then for package in "${DEBIAN_PACKAGING[@]}"; do want "$package"; done; fi
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
    cargo-deb) say "missing: cargo-deb $CARGO_DEB (cargo install, a minute or two)" ;;
    compiler) say "missing: a Rust compiler that has core for BPF" ;;
    browser) say "missing: a browser, one of ${BROWSERS[*]}" ;;
    bpftool) say "missing: bpftool" ;;
    xdp-loader) say "missing: xdp-loader (xdp-tools)" ;;
    nft) say "missing: nft (nftables)" ;;
    systemd) say "missing: systemd-analyze (systemd 250)" ;;
    llvm) say "missing: clang and llvm-objdump of LLVM $LLVM" ;;
    unpack) say "missing: ${UNPACKED[*]}, unpacked to $UNPACKED_TO" ;;
    speakers) say "missing: servers and clients of protocols" ;;
  esac
done
[ $check = no ] || exit 1
is_debian_12 || { by_hand >&2; exit 1; }

if [ ${#packages[@]} -gt 0 ]; then
  say "installing with apt-get: ${packages[*]}"
  as_root apt-get update -qq
  install_unserved "${packages[@]}"
fi
for step in "${steps[@]}"; do
  case $step in
    unpack)
      say "unpacking ${UNPACKED[*]} to $UNPACKED_TO"
      unpacked=$(mktemp -d)
      chmod 755 "$unpacked"
      as_root apt-get update -qq
      as_root env -C "$unpacked" apt-get download -qq -o APT::Sandbox::User=root "${UNPACKED[@]}"
      for package in "$unpacked"/*.deb; do as_root dpkg-deb --extract "$package" "$UNPACKED_TO"; done
      as_root rm -r "$unpacked"
      ;;
    cargo-deb)
      say "building cargo-deb $CARGO_DEB"
      as_user cargo install --quiet cargo-deb --version "$CARGO_DEB" --locked
      ;;
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
