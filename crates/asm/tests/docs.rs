//! The examples of `docs/asm.md` do what the page says.

use weir_asm::text::{assemble, assemble_fragment};

const PAGE: &str = include_str!("../../../docs/asm.md");

/// The blocks of one kind: what stands between its fence and the next.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn examples_assemble() {
    let examples = blocks("asm");
    assert!(examples.len() >= 5, "only {} examples were found", examples.len());
    for example in examples {
        if let Err(errors) = assemble("example", example.as_bytes()) {
            panic!("{}\n{example}", errors.display("example", example.as_bytes()));
        }
    }
}

#[test]
fn fragments_assemble_as_such_alone() {
    let examples = blocks("asm-fragment");
    assert!(!examples.is_empty());
    for example in examples {
        assert!(assemble_fragment(example.as_bytes()).is_ok(), "{example}");
        assert!(assemble("example", example.as_bytes()).is_err(), "{example}");
    }
}

#[test]
fn examples_of_errors_have_the_errors_that_their_comments_name() {
    let examples = blocks("asm-error");
    assert!(examples.len() >= 4, "only {} examples were found", examples.len());
    for example in examples {
        let wanted: Vec<_> = example
            .lines()
            .enumerate()
            .filter_map(|(line, text)| Some((line + 1, text.split_once("; error: ")?.1)))
            .collect();
        let errors = assemble("example", example.as_bytes()).expect_err(example);
        let found: Vec<_> = errors
            .iter()
            .map(|error| {
                let line = weir_asm::LineColumn::of(example.as_bytes(), error.span.start).line;
                (line, error.message.as_str())
            })
            .collect();
        assert_eq!(found, wanted, "{example}");
    }
}
