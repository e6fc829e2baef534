//! What stands in Rust's way, or belongs to files.

use weir_asm_macros::ebpf;

fn main() {
    let program = weir_asm::Code::new();
    let number = 1;

    // Tokens that the text has not.
    ebpf! { # comment };
    ebpf! { mov r0, 'x' };
    ebpf! { exit ? };
    ebpf! { mov r0, $ };

    // Statements without an end.
    ebpf! {
        mov r0, 1;
        mov r1, 2
        exit
    };

    // Directives of files.
    ebpf! { .license "GPL" };
    ebpf! { .map counts array key=u32 value=u64 entries=1 };
    ebpf! { .program p socket };
    ebpf! { .struct s { a: u32 } };

    // Splices where none can be.
    ebpf! { mov r0, (4 + $number) };
    ebpf! { ldxw r0, [r1 + 4 + $number] };
    ebpf! { .equ A, $number };
    ebpf! { .slot a $number };
    ebpf! { $program exit };
    ebpf! { ja +1; $program; exit };

    // Code to add to.
    ebpf! { in };
    ebpf! { in ; exit };
}
