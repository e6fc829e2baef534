#!/usr/bin/env bash
# Makes weir's Debian package, and holds it to Debian's policy with lintian; or tries one on a fresh Debian.
#   scripts/package.sh                    target/debian/weir_VERSION_ARCH.deb
#   scripts/package.sh --profile dev      of another profile of Cargo, to try it
#   scripts/package.sh --test [FILE.deb]  as root: the package, or that one, is installed in an empty Debian 12 (scripts/fresh.sh),
#                                         its guard stands before a service under systemd, and nothing is left once it is purged
# Needs what `scripts/setup.sh --packages` installs.
set -euo pipefail

self=$(readlink -f "$0")
readonly self
readonly USAGE='usage: scripts/package.sh [--profile PROFILE] [--test [FILE.deb]]'

say() { printf 'package: %s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# --- The package ------------------------------------------------------------------------------------------------------

# Makes it, and prints where it is.
make() { # PROFILE
  local profile=$1 folder target=${CARGO_TARGET_DIR:-$PWD/target} weir out version shell
  folder=$target/$profile
  [ "$profile" != dev ] || folder=$target/debug
  scripts/as-user cargo build --quiet --package weir --profile "$profile"
  weir=$folder/weir out=$folder/package
  version=$("$weir" --version | cut -d' ' -f2)
  scripts/as-user rm -rf "$out"
  scripts/as-user mkdir "$out"
  scripts/as-user "$weir" man "$out/man" >&2
  scripts/as-user gzip --best --no-name "$out"/man/*.1
  for shell in bash zsh fish; do scripts/as-user "$weir" completions $shell >"$out/weir.$shell"; done
  "$weir" guard export unit --template /usr/bin/weir >"$out/weir-guard@.service"
  printf 'weir (%s-1) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' crates/weir/Cargo.toml)" "$(git log -1 --format=%cD)" \
    | gzip --best --no-name >"$out/changelog.Debian.gz"
  scripts/as-user cargo deb --quiet --no-build --strip --profile "$profile" --package weir
}

# --- On a fresh Debian ------------------------------------------------------------------------------------------------

# Mounts the layers, in a namespace that goes with it.
mount_root() { # LAYERS CHANGES
  mkdir -p "$2"/{merged,upper,work}
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
}

# What systemd takes besides an empty Debian.
add_systemd() { # LAYERS CHANGES
  mount_root "$1" "$2"
  cp -L /etc/resolv.conf "$2/merged/etc/resolv.conf"
  mount -t proc proc "$2/merged/proc"
  chroot "$2/merged" sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    systemd systemd-sysv dbus bash-completion man-db >/dev/null && apt-get clean'
}

# Installs, tries, removes and purges it, where systemd is process 1.
try_package() { # LAYERS CHANGES FILE.deb
  local root=$2/merged
  mount_root "$1" "$2"
  cp "$3" "$root/opt/weir.deb"
  install -m 755 packaging/try "$root/opt/try"
  printf '[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nExecStart=-/opt/try\nExecStopPost=systemctl poweroff --no-block\nStandardOutput=file:/opt/said\nStandardError=inherit\n' \
    >"$root/etc/systemd/system/try.service"
  ln -s /etc/systemd/system/try.service "$root/etc/systemd/system/multi-user.target.wants/try.service"
  timeout 300 systemd-nspawn --quiet --boot --directory "$root" --private-network --register=no --keep-unit --console=pipe \
    --capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN,CAP_SYS_PTRACE --system-call-filter='bpf pidfd_getfd' </dev/null >"$2/console" 2>&1 \
    || say "systemd-nspawn ended with status $?"
  cat "$root/opt/said" 2>/dev/null || { tail -n 40 "$2/console" >&2; fail "systemd didn't begin there"; }
  grep -qx 'tried: all of it' "$root/opt/said" || fail "the package isn't what it should be"
}

try_out() { # FILE.deb
  local kept=${WEIR_FRESH:-/var/cache/weir-fresh} base layer
  [ "$(id -u)" = 0 ] || fail "needs root: it boots a root"
  command -v systemd-nspawn >/dev/null || fail "needs systemd-nspawn: scripts/setup.sh --packages"
  base=$(scripts/fresh.sh --root)
  layer=$base.systemd
  changes=$(mktemp -d "$kept/run.XXXXXX")
  trap 'rm -rf "$changes"' EXIT
  if [ ! -d "$layer" ]; then
    say "adding systemd to it once, to be kept"
    unshare --mount --propagation private "$self" --inside add_systemd "$base" "$changes/systemd"
    mv "$changes/systemd/upper" "$layer"
  fi
  unshare --mount --propagation private "$self" --inside try_package "$layer:$base" "$changes/try" "$1"
}

cd "$(dirname "$self")/.."
if [ "${1:-}" = --inside ]; then
  shift
  "$@"
  exit
fi
profile=deb
test=no
package=
while [ $# -gt 0 ]; do
  case $1 in
    --profile) profile=${2:?$USAGE}; shift 2 ;;
    --test) test=yes; shift ;;
    -h | --help) sed -n "2,/^set/s/^# \{0,1\}//p" "$self"; exit 0 ;;
    *.deb) package=$1; shift ;;
    *) fail "unknown argument '$1'; $USAGE" ;;
  esac
done
if [ -z "$package" ]; then
  scripts/as-user cargo deb --version >/dev/null 2>&1 || fail "needs cargo-deb: scripts/setup.sh --packages"
  package=$(make "$profile")
  say "made $package"
  lintian --allow-root --fail-on error --profile debian "$package"
fi
[ $test = no ] || try_out "$package"
