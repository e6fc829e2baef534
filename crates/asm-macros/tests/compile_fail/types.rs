//! Splices of a wrong type.

use weir_asm::{Code, MapDef, Reg};
use weir_asm_macros::ebpf;

fn main() {
    let (reg, number, wide, text) = (Reg::R1, 1_i32, 1_u64, "there");
    ebpf! { mov $number, 1 };
    ebpf! { mov r0, $text };
    ebpf! { mov r0, $wide };
    ebpf! { movsx832 r0, $number };
    ebpf! { stxw [r1], $number };
    ebpf! { stw [r1], $reg };
    ebpf! { ldxw r0, [$number] };
    ebpf! { ldxw r0, [$number + 4] };
    ebpf! { ldxw r0, [r1 + $number] };
    ebpf! { call $wide };
    ebpf! { ldabsw $wide };
    ebpf! { ja $reg };
    ebpf! { lddw r0, $number };
    ebpf! { lddw r0, var_addr($number) };
    ebpf! { .raw $number };
    ebpf! { lmap r1, $number };
    ebpf! { lmap r1, {None::<MapDef>} };
    ebpf! { $number: exit };
    ebpf! { $number };

    // A label belongs to the code that made it.
    let mut code = Code::new();
    let label = code.fresh_label();
    ebpf! { ja $label };
    ebpf! { $label: exit };
    ebpf! { in &code; exit };
    ebpf! { in $text; exit };
}
