//! Instructions per second: text to bytes, builder to bytes, bytes to instructions and text.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_asm::{Code, Endian, Reg::*, check, decode, op::*, show::fun, text::assemble_code};

const INSTRUCTIONS: usize = 100_000;

/// A filter as one would write it, over and over under other labels.
fn text() -> String {
    let mut text = String::from(".slot key u32\n.slot value u64\n");
    for piece in 0..INSTRUCTIONS / 20 {
        text += &format!(
            "start{piece}:               ; the payload begins behind the UDP header\n\
             \x20   ldxw r2, [r1 + 8]\n    and r2, 0xffffff\n    jeq r2, 0x545550, accept{piece}\n\
             \x20   ldxh r3, [r1 + 4]\n    be16 r3\n    jlt r3, 12, drop{piece}\n    lddw r4, 0x1122334455667788\n\
             \x20   xor r4, r2\n    stw [key], 1\n    stxdw [r10 + value], r4\n    mov r2, r10\n    add r2, key\n\
             \x20   mov r1, r9\n    call map_lookup_elem\n    jeq r0, 0, drop{piece}\n    mov r1, 1\n\
             \x20   lock add [r0], r1\naccept{piece}:\n    mov32 r0, -1\ndrop{piece}:\n    mov r0, 0\n    exit\n"
        );
    }
    text
}

fn builder(code: &mut Code) {
    for _ in 0..INSTRUCTIONS / 20 {
        let (accept, drop) = (code.fresh_label(), code.fresh_label());
        *code += ldxw(R2, R1 + 8);
        *code += and(R2, 0xff_ffff);
        *code += jeq(R2, 0x54_5550, accept);
        *code += ldxh(R3, R1 + 4);
        *code += be(weir_asm::Bits::B16, R3);
        *code += jlt(R3, 12, drop);
        *code += lddw(R4, 0x1122_3344_5566_7788);
        *code += xor(R4, R2);
        *code += stw(R10 - 4, 1);
        *code += stxdw(R10 - 16, R4);
        *code += mov(R2, R10);
        *code += add(R2, -4);
        *code += mov(R1, R9);
        *code += call(1);
        *code += jeq(R0, 0, drop);
        *code += mov(R1, 1);
        *code += atomic(weir_asm::AtomicOp::Add { fetch: false }, R0, R1);
        code.place(accept).expect("it has no place yet");
        *code += mov32(R0, -1);
        code.place(drop).expect("it has no place yet");
        *code += mov(R0, 0);
        *code += exit();
    }
}

fn speed(criterion: &mut Criterion) {
    let text = text();
    let code = assemble_code(text.as_bytes()).expect("it is right");
    assert_eq!(code.len(), INSTRUCTIONS);
    let bytes = code.encode(Endian::Little).expect("it encodes");
    let mut built = Code::new();
    builder(&mut built);
    assert_eq!(built.encode(Endian::Little).expect("it encodes"), bytes);

    let mut group = criterion.benchmark_group("instructions");
    group.throughput(Throughput::Elements(INSTRUCTIONS as u64));
    group.bench_function("text to bytes", |bencher| {
        bencher.iter(|| assemble_code(black_box(text.as_bytes())).map(|code| code.encode(Endian::Little)));
    });
    group.bench_function("builder to bytes", |bencher| {
        bencher.iter(|| {
            let mut code = Code::new();
            builder(black_box(&mut code));
            code.encode(Endian::Little)
        });
    });
    group.bench_function("bytes to instructions", |bencher| {
        bencher.iter(|| decode(black_box(&bytes), Endian::Little));
    });
    let decoded = decode(&bytes, Endian::Little).expect("it decodes");
    group.bench_function("instructions to text", |bencher| {
        bencher.iter(|| fun::code(black_box(&decoded)).to_string());
    });
    group.bench_function("check", |bencher| bencher.iter(|| check(black_box(&code))));
    group.finish();
}

criterion_group!(benches, speed);
criterion_main!(benches);
