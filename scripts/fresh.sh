#!/usr/bin/env bash
# Runs the README's commands on a fresh Debian: an empty root that holds what the README asks for and nothing else, and an
# ordinary user who has sudo.
#   scripts/fresh.sh                         make experiment and make test, on Debian 12
#   scripts/fresh.sh make test               one command
#   scripts/fresh.sh --debian 13 make test   on Debian 13
#   scripts/fresh.sh --cold make test        nothing that earlier calls kept is used
#   scripts/fresh.sh --root                  the empty root alone, kept; prints where it is
# Needs root, mmdebstrap (installed where it is missing) and a network. The project is cloned as it is committed. Everything is
# mounted in a namespace of its own, which goes with the script. Kept in $WEIR_FRESH, /var/cache/weir-fresh by default: the empty
# root, what scripts/setup.sh put into it (by the hash of that script), and downloads of crates. A test that fails or is skipped
# ends it with status 1.
set -euo pipefail

self=$(readlink -f "$0")
readonly self
readonly USAGE='usage: scripts/fresh.sh [--debian 12|13] [--cold] [--root | COMMAND…]'
readonly PACKAGES=ca-certificates,git,make,sudo
declare -rA SUITES=([12]=bookworm [13]=trixie)

say() { printf 'fresh: %s\n' "$*" >&2; }
fail() { printf 'fresh: error: %s\n' "$*" >&2; exit 1; }

# Inside the namespace: mounts the layers, and runs the command as the user in a clone of the project.
inside() {
  local layers=$1 changes=$2 kept=$3 command=$4
  local root=$changes/root host=stable-$(uname -m)-unknown-linux-gnu tool file
  mkdir -p "$root" "$changes/upper" "$changes/work"
  mount -t overlay overlay -o "lowerdir=$layers,upperdir=$changes/upper,workdir=$changes/work" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  hostname -I >/dev/null 2>&1 || true
  printf '127.0.0.1 localhost %s\n::1 localhost\n' "$(hostname)" >"$root/etc/hosts"

  # The user, and Rust as rustup lays it: the stable toolchain alone, under its own name.
  chroot "$root" sh -c 'id user >/dev/null 2>&1 || useradd --create-home --shell /bin/bash user'
  echo 'user ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/user"
  local home=$root/home/user
  mkdir -p "$home/.rustup/toolchains/$host" "$home/.cargo/bin" "$home/.cargo/registry"
  mount --bind "$(rustc --print sysroot)" "$home/.rustup/toolchains/$host"
  mount -o remount,bind,ro "$home/.rustup/toolchains/$host"
  mount --bind "$kept/registry" "$home/.cargo/registry"
  file=$home/.rustup/settings.toml
  [ -e "$file" ] || printf 'version = "12"\ndefault_toolchain = "%s"\nprofile = "default"\n' "$host" >"$file"
  if [ ! -e "$home/.cargo/bin/rustup" ]; then
    cp -L "$(command -v rustup)" "$home/.cargo/bin/rustup"
    for tool in cargo cargo-clippy cargo-fmt clippy-driver rustc rustdoc rustfmt; do
      ln "$home/.cargo/bin/rustup" "$home/.cargo/bin/$tool"
    done
  fi
  for file in .rustup .rustup/toolchains .rustup/settings.toml .cargo .cargo/bin .cargo/registry; do
    chroot "$root" chown user:user "/home/user/$file"
  done

  mkdir "$root/run/weir"
  cp "$changes/project.bundle" "$root/run/weir/project.bundle"
  printf '%s\n' 'set -eu' 'export PATH=$HOME/.cargo/bin:$PATH' 'cd' 'rm -rf weir' \
    'git -c advice.detachedHead=false clone --quiet /run/weir/project.bundle weir' 'cd weir' "$command" >"$root/run/weir/command"
  # Not chroot: in one the kernel makes no user namespace (user_namespaces(7)), and a machine's root is none.
  mkdir "$root/run/host"
  cd "$root"
  pivot_root . run/host
  umount --lazy /run/host
  exec su --login user --command 'sh /run/weir/command' </dev/null
}

# What apt of this machine has for a suite: the archive's address.
archive() {
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' | awk -v suite="$1" '$1 == suite { print $2; exit }'
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
fi

cd "$(dirname "$0")/.."
debian=12
cold=no
root_alone=no
while [ $# -gt 0 ]; do
  case $1 in
    --debian) debian=${2:?$USAGE}; shift 2 ;;
    --cold) cold=yes; shift ;;
    --root) root_alone=yes; shift ;;
    -h | --help) sed -n "2,/^set/s/^# \{0,1\}//p" "$self"; exit 0 ;;
    --*) fail "unknown argument '$1'; $USAGE" ;;
    *) break ;;
  esac
done
readonly SUITE=${SUITES[$debian]:-}
[ -n "$SUITE" ] || fail "no suite is known for Debian '$debian'; $USAGE"
commands=("$@")
[ ${#commands[@]} -gt 0 ] || commands=('make experiment && make test')
[ "$(id -u)" = 0 ] || fail "needs root: it makes a root and mounts it"
if ! command -v mmdebstrap >/dev/null; then
  say "installing mmdebstrap"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi

readonly KEPT=${WEIR_FRESH:-/var/cache/weir-fresh}
mkdir -p "$KEPT/registry"
[ $cold = no ] || rm -rf "$KEPT/$SUITE" "$KEPT/$SUITE".*
changes=$(mktemp -d "$KEPT/run.XXXXXX")
trap 'rm -rf "$changes"' EXIT
git bundle create --quiet "$changes/project.bundle" HEAD

run() { # LAYERS CHANGES COMMAND
  unshare --mount --propagation private "$self" --inside "$1" "$2" "$KEPT" "$3"
}

base=$KEPT/$SUITE
if [ ! -d "$base" ]; then
  here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  main=$(archive "$here")
  security=$(archive "$here-security")
  [ -n "$main" ] || fail "apt has no list of an archive for $here; run apt-get update"
  say "making an empty Debian $debian"
  mmdebstrap --quiet --variant=minbase --include="$PACKAGES" --aptopt='Acquire::Check-Valid-Until "false"' \
    "$SUITE" "$base.new" "deb $main $SUITE main" "deb $main $SUITE-updates main" \
    ${security:+"deb $security $SUITE-security main"}
  mv "$base.new" "$base"
  say "that took $SECONDS s; it holds $(du -sm "$base" | cut -f1) MB"
fi
if [ $root_alone = yes ]; then
  echo "$base"
  exit 0
fi

# What setup.sh installs depends on that script and on the Rust that is there.
setup=$base.$( (cat scripts/setup.sh; rustc --version) | sha256sum | cut -c1-16)
if [ ! -d "$setup" ] && [ $cold = no ]; then
  say "running scripts/setup.sh --tests once, to be kept"
  rm -rf "$base".*
  mkdir "$setup.new"
  cp "$changes/project.bundle" "$setup.new/"
  started=$SECONDS
  run "$base" "$setup.new" 'scripts/setup.sh --tests; cd; rm -rf weir'
  rm -rf "$setup.new/project.bundle" "$setup.new/root" "$setup.new/work"
  mv "$setup.new/upper" "$setup"
  rm -rf "$setup.new"
  say "that took $((SECONDS - started)) s; it adds $(du -sm "$setup" | cut -f1) MB"
fi
layers=$base
[ ! -d "$setup" ] || layers=$setup:$base

log=$changes/log
status=0
say "on Debian $debian, as a user who has sudo: ${commands[*]}"
started=$SECONDS
run "$layers" "$changes" "${commands[*]}" 2>&1 | tee "$log" || status=$?
say "that took $((SECONDS - started)) s"
[ $status = 0 ] || fail "'${commands[*]}' ended with status $status"
if counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped, [0-9]+ n/a$' "$log"); then
  grep -qvE ', 0 failed, 0 skipped,' <<<"$counts" && fail "a skipped test is none: $counts"
  echo "$counts"
fi
