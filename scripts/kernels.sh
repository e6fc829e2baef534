#!/usr/bin/env bash
# Boots kernels in emulated machines, tries everything of weir on each, and prints one table of what works.
#   scripts/kernels.sh               every kernel below, and this machine's own
#   scripts/kernels.sh 5.10 here     these; `here` is this machine's own
#   scripts/kernels.sh --only doctor 5.10   one step of what is tried, or several with commas between them
#   scripts/kernels.sh --run COMMAND 5.10   what a shell there says to that, below results/VERSION/run; the tests are
#                                    $TESTS/hooks, $TESTS/hooks_on_the_wire, $TESTS/end_to_end and $TESTS/guard_object there
#   scripts/kernels.sh --table       the table again, of what was kept
# Kernels are Debian's for cloud machines. apt downloads and checks them, with lists of its own for these calls alone. Needs what
# `scripts/setup.sh --kernels` installs; KVM is used where /dev/kvm is. The machines have no network. Kept in target/kernels: the
# kernels, and of each step what was said last, below results/VERSION, as long as it is of the same weir. Status 1 where a kernel
# refuses a program, a test fails, or a machine doesn't end.
set -euo pipefail
cd "$(dirname "$0")/.."

# What a kernel is called here, its suite, and the packages that are meant; of several the newest.
readonly KERNELS='
5.10  bullseye            linux-image-5\.10\.[0-9.-]+-cloud-amd64
6.1   bookworm            linux-image-6\.1\.[0-9.-]+-cloud-amd64
6.12  bookworm-backports  linux-image-6\.12\.[0-9+a-z.]+-cloud-amd64
6.17  trixie-backports    linux-image-6\.17\.[0-9+a-z.]+-cloud-amd64
new   trixie-backports    linux-image-[0-9+a-z.]+-cloud-amd64
'
readonly KEPT=$PWD/target/kernels
# So long one emulated machine may take, and one of its steps, s.
readonly PATIENCE=5400 STEP=2700
# So many machines run beside each other.
AT_ONCE=$(nproc)
# What is tried: the commit, and what differs from it.
WEIR=$(git rev-parse HEAD)-$(git diff HEAD | sha256sum | cut -c1-16)
readonly AT_ONCE WEIR
# What is tried there, in this order; scripts/kernels-steps says what each is.
STEPS=doctor,serve,verify,hooks,hooks_on_the_wire,end_to_end,guard_object

say() { printf 'kernels: %s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# --- Kernels ----------------------------------------------------------------------------------------------------------

# The archive that this machine's apt has for its own release.
archive() {
  local here
  here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' \
    | awk -v release="$here" '$1 == release { print $2; exit }'
}

# An apt command with one suite for a list, and folders of its own. An archived suite's lists have run out.
apt_of() { # SUITE COMMAND ARGUMENT…
  local folder=$KEPT/apt/$1 suite=$1 command=$2
  shift 2
  mkdir -p "$folder"/{lists/partial,cache/archives/partial,parts}
  echo "deb $(archive) $suite main" >"$folder/sources.list"
  "$command" -qq -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts="$folder/parts" \
    -o Dir::State::lists="$folder/lists" -o Dir::Cache="$folder/cache" -o Acquire::Check-Valid-Until=false \
    -o APT::Sandbox::User=root "$@"
}

# Unpacks that kernel below target/kernels/NAME.
fetch() { # NAME
  local name=$1 folder=$KEPT/$1 suite pattern package parts
  read -r _ suite pattern <<<"$(awk -v name="$name" '$1 == name' <<<"$KERNELS")"
  [ -n "$suite" ] || fail "no kernel is known as '$name'"
  apt_of "$suite" apt-get update
  package=$(apt_of "$suite" apt-cache search --names-only "^$pattern\$" | cut -d' ' -f1 | sort -V | tail -n 1)
  [ -n "$package" ] || fail "$suite has no package $pattern"
  [ "$(cat "$folder/package" 2>/dev/null)" != "$package" ] || return 0
  say "$name: $package of $suite"
  # In newer releases the image and its modules are packages by themselves.
  parts=$(apt_of "$suite" apt-cache depends --no-recommends --no-suggests "$package" \
    | sed -nE 's/^ *(Pre)?Depends: (linux-(binary|modules|image)-.*)/\2/p')
  rm -rf "$folder"
  mkdir -p "$folder/debs" "$folder/root"
  # shellcheck disable=SC2086
  (cd "$folder/debs" && apt_of "$suite" apt-get download "$package" $parts)
  for deb in "$folder"/debs/*.deb; do dpkg-deb --extract "$deb" "$folder/root"; done
  rm -rf "$folder/debs"
  echo "$package" >"$folder/package"
}

# --- What is tried ----------------------------------------------------------------------------------------------------

is_step() { [[ ,$STEPS, = *,$1,* ]]; }

# The test binaries of a target, as cargo calls them.
test_binary() { # PACKAGE TARGET
  scripts/as-user cargo test --quiet --no-run --package "$1" --test "$2" --message-format json \
    | jq -r --arg target "$2" 'select(.reason == "compiler-artifact" and .target.name == $target) | .executable // empty'
}

# A program and the libraries that it asks for, where they are here.
copy_program() { # ROOT FILE TO
  local library
  install -D -m 755 "$2" "$1$3"
  strip --strip-debug "$1$3" 2>/dev/null || true
  { ldd "$2" 2>/dev/null || true; } | { grep -oE '/[^ ]+' || true; } | while read -r library; do
    [ -e "$1$library" ] || install -D -m 755 "$(readlink -f "$library")" "$1$library"
  done
}

# What every machine gets: weir, its tests, the files that they read, and a shell.
pack() { # ROOT
  local root=$1 tests binary folder file tool
  rm -rf "$root"
  mkdir -p "$root"/{bin,sbin,dev,proc,sys,run,tmp,etc,weir,root}
  say "building weir and its tests"
  scripts/as-user cargo build --quiet --package weir
  copy_program "$root" "$(command -v busybox)" /bin/busybox
  copy_program "$root" "$(command -v kmod)" /sbin/modprobe
  # What the tests run, where busybox has none or another of that name.
  for tool in ip make nsenter setpriv tc unshare; do copy_program "$root" "$(command -v "$tool")" "/bin/$tool"; done
  # busybox's shell prefers its own tools to those.
  copy_program "$root" "$(readlink -f "$(command -v sh)")" /bin/sh
  # Tests find the binary, and files of the project, where they are here.
  copy_program "$root" target/debug/weir "$PWD/target/debug/weir"
  ln -s "$PWD/target/debug/weir" "$root/bin/weir"
  if is_step hooks || is_step run; then
    binary=$(test_binary weir-hooks kernel)
    copy_program "$root" "$binary" /weir/hooks
    # What the build made, and the filters in C by every clang that is here: there is none in the machine.
    folder=$(dirname "$(dirname "$binary")")/build
    find "$folder" -path '*/weir-hooks-*/out/simple-socket-filter' -print0 | while IFS= read -r -d '' file; do
      install -D "$file" "$root$file"
    done
    WEIR_COMPILED=$root/weir/compiled "$binary" --exact what_every_clang_compiles_decides_as_the_reference >/dev/null \
      || fail "no clang here compiles the filters in C, or the kernel here refuses them"
  fi
  for tests in end_to_end hooks_on_the_wire guard_object; do
    if is_step $tests || is_step run; then copy_program "$root" "$(test_binary weir $tests)" /weir/$tests; fi
  done
  if is_step guard_object || is_step run; then
    for tool in bpftool xdp-loader; do copy_program "$root" "$(command -v $tool)" "/bin/$tool"; done
    # The program that calls the others, which this kernel may refuse and another takes.
    file=$(find /usr/lib -path '*/bpf/xdp-dispatcher.o' -print -quit)
    install -D -m 644 "$file" "$root$file"
  fi
  git ls-files -z | grep -zv '^docs/results/' | tar --create --null --files-from - | tar --extract --directory "$root$PWD"
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
  install -m 755 scripts/kernels-init "$root/init"
  install -m 644 scripts/kernels-steps "$root/weir/steps"
  printf '%s\n' "$COMMAND" >"$root/weir/run"
}

# --- The machines -----------------------------------------------------------------------------------------------------

# Without cmpxchg16b: what qemu 7.2 translates it to now and then overwrites the flags, and kernels from 6.12 on allocate with it.
readonly MACHINE=(qemu-system-x86_64 -machine q35 -cpu max,-cx16 -smp 2 -nodefaults -no-reboot -display none -nic none)

# What runs the machines: KVM, where a kernel with nothing but a shell boots and ends by it, which /dev/kvm alone doesn't promise
# inside a virtual machine; qemu's own translation otherwise, with all processors of a machine on one thread: on several, one of
# them now and then runs what the kernel has just patched away, and 5.10 dies of that where XDP programs change.
accelerator() { # IMAGE
  local root
  if [ -w /dev/kvm ]; then
    root=$(mktemp -d)
    mkdir "$root/dev"
    cp "$(command -v busybox)" "$root/busybox"
    printf '#!/busybox sh\n/busybox poweroff -f\n' >"$root/init"
    chmod +x "$root/init"
    (cd "$root" && find . -print0 | cpio --quiet --null --create --format newc) >"$root.cpio"
    if timeout 20 "${MACHINE[@]}" -accel kvm -m 512 -kernel "$1" -initrd "$root.cpio" -append panic=-1 </dev/null >/dev/null 2>&1; then
      echo kvm
    else
      echo tcg,thread=single
    fi
    rm -rf "$root" "$root.cpio"
  else
    echo tcg,thread=single
  fi
}

image_of() { # NAME
  find "$KEPT/$1/root" -name 'vmlinuz*' -type f | head -n 1
}

# Makes room for what is found now on that kernel. What other calls found with the same weir there stays.
begin() { # RESULTS VERSION
  local results=$1 version=$2 step
  [ "$(cat "$results/version" "$results/weir" 2>/dev/null)" = "$(printf '%s\n%s' "$version" "$WEIR")" ] || rm -rf "$results"
  mkdir -p "$results"
  echo "$WEIR" >"$results/weir"
  for step in said console ${STEPS//,/ }; do rm -f "$results/$step"{,_said,_status}; done
}

# Keeps what was said, each step of which stands behind a line with its name.
keep() { # RESULTS VERSION
  (cd "$1" && tr -d '\r' <said | awk '/^=== [a-z_]+$/ { file = $2; next } file { print > file }')
  echo "$2" >"$1/version"
}

# Boots that kernel, and keeps what was said.
boot() { # NAME
  local name=$1 folder=$KEPT/$1 results=$KEPT/results/$1 version image root started=$SECONDS
  image=$(image_of "$name")
  version=$(find "$folder/root" -path '*/lib/modules/*' -maxdepth 4 -name '[0-9]*' -type d -printf '%f\n' | head -n 1)
  [ -n "$image" ] && [ -n "$version" ] || fail "$(cat "$folder/package") holds no image, or no modules"
  begin "$results" "$version"
  root=$(mktemp -d -p "$SCRATCH")
  # Its mode becomes that of the machine's `/`, where others than root are to come in, too.
  chmod 755 "$root"
  mkdir -p "$root/lib/modules"
  cp -r "$(find "$folder/root" -path "*/lib/modules/$version" -type d | head -n 1)" "$root/lib/modules/"
  (cd "$root/lib/modules/$version" && rm -rf build source vmlinuz kernel/drivers/{gpu,infiniband,media,scsi,ata,nvme,md} kernel/sound)
  # Some packages leave out lists without which it warns.
  depmod --basedir "$root" "$version" 2>"$results/depmod" || fail "$name: depmod can't list the modules of $version; $results/depmod"
  # A kernel takes several archives behind each other.
  { (cd "$KEPT/all" && find . -print0 | cpio --quiet --null --create --format newc)
    (cd "$root" && find . -print0 | cpio --quiet --null --create --format newc); } >"$results/initramfs"
  rm -rf "$root"
  say "$name: Linux $version ($accel)"
  # An emulated timer that is late is not a broken one (no_timer_check).
  timeout --foreground "$PATIENCE" nice -n 19 "${MACHINE[@]}" -accel "$accel" -m 4096 -kernel "$image" -initrd "$results/initramfs" \
    -append "console=ttyS0 panic=-1 no_timer_check quiet step=$STEP steps=$STEPS$([ "$accel" = kvm ] || echo ' WEIR_EMULATED=1')" \
    -serial "file:$results/console" -serial "file:$results/said" </dev/null \
    || say "$name: the machine didn't end by itself; its last words: $(tail -n 3 "$results/console")"
  rm -f "$results/initramfs"
  [ -s "$results/said" ] \
    || say "$name: nothing was tried there; the console: $(grep -m 1 panic "$results/console" || tail -n 3 "$results/console")"
  keep "$results" "$version"
  say "$name: $((SECONDS - started)) s; $(summary "$results")"
}

# Tries it on this machine's kernel, in a network namespace of its own.
here() {
  local results=$KEPT/results/here version started=$SECONDS
  version="$(uname -r) (here)"
  begin "$results" "$version"
  say "here: Linux $(uname -r)"
  timeout --foreground "$PATIENCE" scripts/as-root env PATH="$PWD/target/debug:$PATH" STEPS="$STEPS" PATIENCE=$STEP \
    TESTS="$KEPT/all/weir" SCRATCH="$SCRATCH" WEIR_REQUIRE_KERNEL=1 WEIR_COMPILED="$KEPT/all/weir/compiled" RUST_BACKTRACE=0 \
    unshare --net sh -c 'ip link set lo up && . scripts/kernels-steps' </dev/null >"$results/said" 2>"$results/console" \
    || say "here: the steps didn't end; the last words: $(tail -n 3 "$results/console")"
  keep "$results" "$version"
  say "here: $((SECONDS - started)) s; $(summary "$results")"
}

summary() { # RESULTS
  local results=$1 tests step
  ! is_step doctor || jq -r '[.programs[].outcome] | group_by(.) | map("\(length) \(.[0])") | join(", ")' "$results/doctor" 2>/dev/null \
    || echo "weir doctor said nothing"
  for tests in hooks hooks_on_the_wire end_to_end guard_object; do
    ! is_step $tests || grep -h '^test result' "$results/$tests" 2>/dev/null | sed "s/^test result/$tests/" || echo "$tests: no result"
  done
  for step in serve verify; do tail -n 1 "$results/$step" 2>/dev/null || true; done
}

# Whether everything was as it must be.
is_well() { # RESULTS
  local results=$1 step
  for step in ${STEPS//,/ }; do grep -qs '^status 0$' "$results/${step}_status" || return 1; done
}

# --- The table --------------------------------------------------------------------------------------------------------

# The folders of what is kept of this weir: what another one did says nothing of it.
kept() {
  local results
  for results in "$KEPT"/results/*/; do
    [ "$(cat "$results/weir" 2>/dev/null)" != "$WEIR" ] || echo "$results"
  done
}

table() {
  local results all
  mapfile -t all < <(kept)
  [ ${#all[@]} -gt 0 ] || fail "nothing is kept of this weir; run scripts/kernels.sh first"
  # Of each toolkit at each hook how many programs are loaded, of how many; those that weir refuses by itself are in brackets,
  # those that the kernel refuses have an exclamation mark.
  for results in "${all[@]}"; do
    [ ! -e "$results/doctor" ] || jq --arg kernel "$(cat "$results/version")" '.programs[] + {kernel: $kernel}' "$results/doctor"
  done | jq -rs '
    (map(.kernel) | unique) as $kernels
    | (["toolkit", "hook"] + $kernels | "| " + join(" | ") + " |"),
      (["---", "---"] + ($kernels | map("---")) | "| " + join(" | ") + " |"),
      (group_by([.toolkit, .hook])[] | . as $row
        | [$row[0].toolkit, $row[0].hook] + ($kernels | map(. as $kernel
            | ($row | map(select(.kernel == $kernel))) as $cell
            | ($cell | map(select(.outcome == "loaded")) | length) as $loaded
            | ($cell | map(select(.outcome == "unavailable")) | length) as $unavailable
            | ($cell | map(select(.outcome == "refused")) | length) as $refused
            | "\($loaded) of \($cell | length)"
              + (if $unavailable > 0 then " (\($unavailable))" else "" end)
              + (if $refused > 0 then " **\($refused)!**" else "" end)))
        | "| " + join(" | ") + " |")'
  steps_table "${all[@]}"
}

# Of each other step what it came to on each kernel, where it was tried on one.
steps_table() { # RESULTS…
  local results step cells said rows=''
  for step in serve verify hooks hooks_on_the_wire end_to_end guard_object; do
    cells='' said=no
    for results in "$@"; do
      cells+=" $(outcome "$results" "$step") |"
      [ ! -e "$results/$step" ] || said=yes
    done
    [ $said = no ] || rows+="| $step |$cells"$'\n'
  done
  [ -n "$rows" ] || return 0
  printf '\n| step |'
  for results in "$@"; do printf ' %s |' "$(cat "$results/version")"; done
  printf '\n| --- |'
  for results in "$@"; do printf ' --- |'; done
  printf '\n%s' "$rows"
}

# The last word of a step; of tests how many there were.
outcome() { # RESULTS STEP
  [ -e "$1/$2" ] || return 0
  sed 's/\x1b\[[0-9;]*m//g' "$1/$2" | awk '
    /^test result: / { result = $4 " passed, " $6 " failed, " $8 " not applicable" }
    NF { last = $0 }
    END { print result ? result : last }'
}

if [ "${1:-}" = --table ]; then
  table
  exit
fi
for tool in qemu-system-x86_64 busybox cpio jq kmod depmod; do
  command -v "$tool" >/dev/null || fail "needs $tool; scripts/setup.sh --kernels installs it"
done
COMMAND=
if [ "${1:-}" = --run ]; then
  STEPS=run
  COMMAND=${2:?what is to be run}
  shift 2
elif [ "${1:-}" = --only ]; then
  STEPS=${2:?what is to be tried}
  shift 2
fi
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(awk 'NF { print $1 }' <<<"$KERNELS"; echo here)
mkdir -p "$KEPT"
booted=()
for name in "${names[@]}"; do [ "$name" = here ] || booted+=("$name"); done
for name in "${booted[@]}"; do fetch "$name"; done
pack "$KEPT/all"
SCRATCH=$(mktemp -d)
own_nice=$(awk '{ print $3 }' /proc/self/autogroup 2>/dev/null || echo 0)
# No machine and no file is left, and the terminal's group of processes is as before.
at_end() {
  local job
  for job in $(jobs -pr); do kill -- "-$job" 2>/dev/null || true; done
  { echo "$own_nice" >/proc/self/autogroup; } 2>/dev/null || true
  rm -rf "$SCRATCH"
}
trap at_end EXIT
trap 'exit 130' INT TERM
# Each job is in a process group of its own.
set -m
status=0
# By itself: what it finds it finds at its own speed.
if [ ${#booted[@]} -lt ${#names[@]} ]; then
  here &
  wait
fi
# Others than machines come first, in and across the scheduler's groups (sched(7), autogroup).
{ echo 19 >/proc/self/autogroup; } 2>/dev/null || true
accel=
[ ${#booted[@]} -eq 0 ] || accel=$(accelerator "$(image_of "${booted[0]}")")
for name in "${booted[@]}"; do
  while [ "$(jobs -pr | wc -l)" -ge "$AT_ONCE" ]; do wait -n || true; done
  boot "$name" &
done
wait
for name in "${names[@]}"; do
  [ $STEPS != run ] || cat "$KEPT/results/$name"/run{,_said} 2>/dev/null || true
  is_well "$KEPT/results/$name" || status=1
done
[ $STEPS = run ] || table
exit $status
