//! What the compiler refuses: mistakes in modules, each with the message that its author reads.

/// The row's cases: `tests/compile_fail/<row>_*.rs`, with the expected messages beside them.
fn do_not_compile(row: &str) {
    trybuild::TestCases::new().compile_fail(format!("tests/compile_fail/{row}_*.rs"));
}

#[test]
fn r047_only_the_owner_writes() {
    do_not_compile("r047");
}

#[test]
fn r048_a_path_takes_only_its_keys() {
    do_not_compile("r048");
}

#[test]
fn r049_a_record_has_only_its_fields() {
    do_not_compile("r049");
}

#[test]
fn r097_a_transform_needs_a_term() {
    do_not_compile("r097");
}

#[test]
fn r118_wrong_types_names_and_arities() {
    do_not_compile("r118");
}
