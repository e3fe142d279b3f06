//! What does not compile, and what the compiler then says.

#[test]
fn wrong_records_are_refused_with_a_reason() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
