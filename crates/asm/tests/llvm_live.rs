//! Every form of instruction, as llvm-objdump shows it where there is one.

mod forms;
use proptest::prelude::*;
use std::process::Command;
use weir_asm::{show::llvm::Llvm, *};

#[test]
fn t() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strat = prop::collection::vec(forms::insn(), 3000);
    use proptest::strategy::ValueTree;
    for endian in [Endian::Little, Endian::Big] {
        let insns = strat.new_tree(&mut runner).unwrap().current();
        let mut code: Code = insns
            .iter()
            .copied()
            .filter(|i| !matches!(i, Insn::Call(Call::Local(_)) | Insn::LoadImm { imm: Imm64::Func(_), .. }))
            .collect();
        code.push(Insn::Exit);
        let object = Object {
            programs: vec![Program { name: "main".into(), section: "socket".into(), code, source: None }],
            ..Object::default()
        };
        let path = format!("/tmp/random-{endian:?}.o");
        std::fs::write(&path, object.to_elf(endian).unwrap()).unwrap();
        let out = Command::new("/usr/lib/llvm-22/bin/llvm-objdump")
            .args(["-d", "--no-show-raw-insn", &path])
            .output()
            .unwrap();
        let out = String::from_utf8(out.stdout).unwrap();
        let theirs: Vec<_> = out.lines().skip_while(|l| !l.contains("<main>:")).skip(1).collect();
        let code = &object.programs[0].code;
        let ours = Llvm::new(code).symbols([(0, "main")]).to_string();
        let ours: Vec<_> = ours.lines().skip(1).collect();
        let mut bad = 0;
        for ((o, t), i) in ours.iter().zip(&theirs).zip(code.insns()) {
            if o != t {
                bad += 1;
                if bad < 40 {
                    println!("{o}\n{t}\n   {i:?}");
                }
            }
        }
        println!("{bad} of {} {}", ours.len(), theirs.len());
    }
}
