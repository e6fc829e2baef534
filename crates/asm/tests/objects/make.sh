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
for object in *.o; do show "$object"; done
