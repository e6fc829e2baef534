//! Expressions as protocols and guards write them: read by [`tree`], given a meaning by [`resolve`].

mod bounds;
mod resolve;
mod token;
mod tree;

pub(super) use resolve::{Conjuncts, Scope, WrittenField, condition, conjuncts, length};

/// Words of the language, which can't be names of fields or constants.
pub(super) const RESERVED: [&str; 13] = [
    "and",
    "or",
    "not",
    "in",
    "under",
    "true",
    "false",
    "len",
    "source_port",
    "start",
    "end",
    "rest",
    "lower",
];

/// Whether a text can be the name of a field or a constant.
pub(super) fn is_name(text: &str) -> bool {
    let is_part = |each: char| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_';
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(is_part)
        && !RESERVED.contains(&text)
}

#[cfg(test)]
mod tests;
