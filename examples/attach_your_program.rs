//! Your own program at a tracepoint of the kernel: `cargo run --example attach_your_program`, as root.

use std::{error::Error, os::unix::process::parent_id};

use weir_asm::{
    Object, Program,
    maps::{Array, MapSpec},
};
use weir_asm_macros::ebpf;
use weir_hooks::{AnyProgram, AttachPoint, ObjectFile};

const CALLS: MapSpec<Array<u64>> = MapSpec::new("calls", 1);

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let code = ebpf! {
        stw [r10 + -4], 0
        lmap r1, calls
        mov r2, r10
        add r2, -4
        call map_lookup_elem
        jeq r0, 0, done
        mov r1, 1
        lock add [r0], r1
    done:
        mov r0, 0
        exit
    };
    let program = Program { name: "count".into(), section: "tracepoint".into(), code, ..Program::default() };
    let object = Object { license: None, maps: vec![CALLS.definition()], programs: vec![program] };
    let object = ObjectFile::assembled("count", &object)?;

    let mut program = AnyProgram::load_to_attach(&object, None)?;
    let calls = program.map(CALLS)?;
    let point = AttachPoint::TracePoint { category: "syscalls", name: "sys_enter_getppid" };
    let attached = program.attach(point)?; // detaches when dropped
    let parents = [(); 3].map(|()| parent_id());
    drop(attached);

    let counted = calls.get(0)?.unwrap_or(0);
    println!("getppid(2) was called {counted} times, by all processes; it gave us {parents:?}");
    if counted < 3 { Err("three calls were ours".into()) } else { Ok(()) }
}
