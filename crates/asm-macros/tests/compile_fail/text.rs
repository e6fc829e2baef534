//! Everything that the text can have wrong.

use weir_asm_macros::ebpf;

fn main() {
    // Instructions.
    ebpf! { lxdw r0, [r1] };
    ebpf! { frobnicate r0 };
    ebpf! { lock ad [r10 - 8], r1 };
    ebpf! { .mpa a hash };
    ebpf! { + r0 };
    ebpf! {
        mov r0, 1
        mvo r0, 1
        exit r0
    };

    // Operands.
    ebpf! { add r0 };
    ebpf! { jeq r0, 1 };
    ebpf! { mov 1, r0 };
    ebpf! { mov r0, [r1] };
    ebpf! { ldxw r0, r1 };
    ebpf! { ldxw r0, [r1 + r2] };
    ebpf! { ldxw r0, [4] };
    ebpf! { stb [r1], r2 };
    ebpf! { stxb [r1], 2 };
    ebpf! { ja r1 };
    ebpf! { neg 5 };
    ebpf! { mov r0, 1 2 };
    ebpf! { lmap r1, 7 };
    ebpf! { lddw r1, map_vall(counts) };
    ebpf! { lddw r1, map_val(var_addr(1)) };
    ebpf! { mov r0, "text" };

    // Registers.
    ebpf! { mov r11, 1 };
    ebpf! { mov %r11, 1 };
    ebpf! { mov %x, 1 };
    ebpf! { r1: exit };

    // Numbers.
    ebpf! { mov r0, 4294967295 };
    ebpf! { mov r0, -0x80000001 };
    ebpf! { lddw r0, 0x1ffffffffffffffff };
    ebpf! { lddw r0, -9223372036854775809 };
    ebpf! { lddw r0, var_addr(-1) };
    ebpf! { ldxw r0, [r1 + 32768] };
    ebpf! { ja +32768 };
    ebpf! { gotol 2147483648 };
    ebpf! { mov r0, 1u32 };
    ebpf! { mov r0, 1.5 };

    // Names.
    ebpf! { .equ LIMIT, 5; mov r0, LIMT };
    ebpf! { done: ja doen };
    ebpf! { ja exit };
    ebpf! { call map_lokup_elem };
    ebpf! { call helper map_lokup_elem };
    ebpf! { a: mov r0, 0; a: exit };
    ebpf! { .equ A, 1; .equ A, 2 };

    // Stack slots.
    ebpf! { .slot s u33 };
    ebpf! { .slot a u64[64]; .slot b u8 };
    ebpf! { .slot a 0 };
    ebpf! { .slot a u8[0] };
    ebpf! { .slot a u32 align=3 };
    ebpf! { .slot a u32 size=4 };
    ebpf! { .slot s u32; mov r0, s.field };
    ebpf! { .slot r1 u32 };
    ebpf! { .slot a.b u32 };

    // Distances.
    ebpf! { ja +5; exit };
    ebpf! { ja -2; exit };
    ebpf! { ja +1; lddw r0, 1; exit };
}
