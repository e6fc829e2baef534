#!/bin/sh
# Makes the compiled objects beside it, and what llvm-objdump says of them. Needs clang and LLVM 22.
set -eu
cd "$(dirname "$0")"
llvm=${LLVM:-/usr/lib/llvm-22/bin}

compile() { # name, source, flags
    name=$1 source=$2
    shift 2
    "$llvm/clang" -target bpfel -O2 -fno-ident -Wall -Wno-misleading-indentation "$@" -c "$source" -o "$name.o"
}
show() { "$llvm/llvm-objdump" -d --no-show-raw-insn "$1" | sed -e '/file format/d' >"${1%.o}.txt"; }

compile forms-v2 forms.c -mcpu=v2
compile forms-v3 forms.c -mcpu=v3 -DATOMICS
compile forms-v4 forms.c -mcpu=v4 -DATOMICS -DSIGNED_DIVISION
compile forms-be forms.c -target bpfeb -mcpu=v4 -DATOMICS -DSIGNED_DIVISION
compile lines lines.c -mcpu=v3 -g -fdebug-prefix-map="$PWD"=. -ffile-prefix-map="$PWD"=.
compile legacy legacy.c -mcpu=v3
"$llvm/llvm-mc" -triple bpfel -mcpu=v4 -filetype=obj encodings.s -o encodings.o
# Of the objects that the build of crates/hooks makes with rustc and bpf-linker.
for object in count-filter robust-valid-command; do
    newest=$(ls -t ../../../../target/debug/build/weir-hooks-*/out/$object 2>/dev/null | head -n 1)
    [ -z "$newest" ] || "$llvm/llvm-objcopy" --strip-debug "$newest" "$object.o"
    # Paths of the machine that built it, in place: the strings' offsets are referred to.
    perl -pi -e 's{(?:/[\w.-]+)+(?=/(?:aya-ebpf|bpf/src))}{"_" x length $&}ge' "$object.o"
done
"$llvm/llvm-objcopy" --strip-debug lines.o
for object in *.o; do show "$object"; done
