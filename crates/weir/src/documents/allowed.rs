//! The list of intervals that no kept results hold, with the command that prints each.

use std::path::Path;

use serde::Deserialize;

use super::{intervals, marker::Marker, quote::words};

/// Figures that stand in documents without a marker, as a TOML file has them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// The entries.
    printed: Vec<Printed>,
}

/// Some figures of a document that one command prints.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Printed {
    /// The end of the document's path.
    document: String,
    /// The command.
    by: String,
    /// The heading below which all are meant.
    under: Option<String>,
    /// The intervals that are meant, as they stand there.
    #[serde(default)]
    figures: Vec<String>,
}

impl Printed {
    /// Whether the interval `shown` below `heading` is meant.
    fn means(&self, heading: &str, shown: &str) -> bool {
        self.under.as_deref() == Some(heading)
            || self.figures.iter().any(|figure| words(figure) == words(shown))
    }
}

impl Allowed {
    /// Reads the list.
    ///
    /// # Errors
    /// What is no list, and where.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The intervals of `text` that are in no marker and not on the list, and the entries that nothing needs any more.
    pub(super) fn problems(&self, path: &Path, text: &str, markers: &[Marker]) -> Vec<(usize, String)> {
        let mut entries: Vec<_> = self.printed.iter().filter(|one| path.ends_with(&one.document)).collect();
        let all = entries.clone();
        let is_marked = |at: usize| markers.iter().any(|marker| marker.shown.contains(&at));
        let mut problems = Vec::new();
        for range in intervals::all(text).into_iter().filter(|range| !is_marked(range.start)) {
            let (heading, shown) = (heading(&text[..range.start]), &text[range.clone()]);
            entries.retain(|entry| !entry.means(heading, shown));
            if !all.iter().any(|entry| entry.means(heading, shown)) {
                let shown = words(shown).join(" ");
                let what = format!("{shown} has no marker, and no command on the list prints it");
                problems.push((range.start, what));
            }
        }
        for Printed { by, .. } in entries {
            let what = format!(
                "the list has figures of `{by}` here, which don't stand in the document: take it off"
            );
            problems.push((0, what));
        }
        problems
    }
}

/// The last heading in `text`, without its signs.
fn heading(text: &str) -> &str {
    let last = text.lines().rev().find(|line| line.starts_with('#'));
    last.map_or("", |line| line.trim_start_matches('#').trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::marker;

    fn check(list: &str, text: &str, expected: &[&str]) {
        let allowed = Allowed::parse(list).unwrap();
        let found = allowed.problems(Path::new("docs/a.md"), text, &marker::all(text).0);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((_, found), expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn an_interval_stands_in_a_marker_or_on_the_list() {
        let text = "# A\nx <!--=a b c-->1 [0, 2]<!---->, 3 [2, 4]\n## B\n5 [4, 6]\n";
        let entry = |what: &str| format!("[[printed]]\ndocument = 'a.md'\nby = 'weir bench'\n{what}\n");
        let (below, one) = (entry("under = 'B'"), entry("figures = ['[2, 4]']"));
        check(&(below.clone() + &one), text, &[]);
        check(&below, text, &["[2, 4] has no marker"]);
        check(&(below + &one), "nothing", &["take it off", "take it off"]);
        check("printed = []", text, &["[2, 4]", "[4, 6]"]);
    }
}
