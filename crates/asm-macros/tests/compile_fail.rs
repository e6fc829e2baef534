//! What is wrong in `ebpf!` is an error of the compiler at the token that is wrong.

#[test]
fn what_is_wrong_is_pointed_at() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
