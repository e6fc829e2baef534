//! The experiments that are built into the command, and those that stand in a file.

use std::{fs, path::Path};

use weir_output::exit::UsageError;

use super::definition::Definition;

macro_rules! built_in {
    ($name:literal) => {
        (
            concat!("experiments/", $name, ".toml"),
            include_str!(concat!("../../../../experiments/", $name, ".toml")),
        )
    };
}

/// The text of each built-in definition, beside the path that it has in the repository.
const BUILT_IN: [(&str, &str); 15] = [
    built_in!("kernel-or-user"),
    built_in!("mix"),
    built_in!("wake-ups"),
    built_in!("hooks"),
    built_in!("toolkits"),
    built_in!("guard"),
    built_in!("rate"),
    built_in!("size"),
    built_in!("filter-cost"),
    built_in!("background"),
    built_in!("who-pays"),
    built_in!("runs"),
    built_in!("buffers"),
    built_in!("paper-throughput"),
    built_in!("paper-loss"),
];

/// The built-in experiments, in the order of the list.
///
/// # Errors
/// A built-in definition is wrong; a test keeps that from happening.
pub fn built_in() -> Result<Vec<Definition>, UsageError> {
    BUILT_IN.iter().map(|(path, text)| Definition::parse(text, path)).collect()
}

/// The experiment called `name`, or the one in the file `name` where that is a path: it has a `/` or ends in `.toml`.
///
/// # Errors
/// There is no such experiment, or its definition is wrong: a [`UsageError`].
pub fn find(name: &str) -> Result<Definition, UsageError> {
    if name.contains('/') || name.ends_with(".toml") {
        let text = fs::read_to_string(Path::new(name))
            .map_err(|error| UsageError(format!("reading the experiment {name}: {error}")))?;
        return Definition::parse(&text, name);
    }
    let all = built_in()?;
    let known = all.iter().map(|definition| definition.name.as_str()).collect::<Vec<_>>().join(", ");
    all.into_iter().find(|definition| definition.name == name).ok_or_else(|| {
        UsageError(format!(
            "unknown experiment '{name}'; there are: {known}; or give the path of a definition, such as ./my.toml"
        ))
    })
}
