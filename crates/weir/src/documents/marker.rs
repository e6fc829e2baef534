//! Markers in a document: two comments around a figure.

use std::ops::Range;

const OPENS: &str = "<!--=";
const ENDS: &str = "-->";
const CLOSES: &str = "<!---->";

/// A figure between its comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// What the first comment says.
    pub(super) query: String,
    /// Where the figure stands.
    pub(super) shown: Range<usize>,
}

/// The markers of `text` in their order, and what is wrong with others: where, and what.
pub(super) fn all(text: &str) -> (Vec<Marker>, Vec<(usize, String)>) {
    let (mut markers, mut broken) = (Vec::new(), Vec::new());
    let mut from = 0;
    while let Some(at) = text[from..].find(OPENS).map(|found| from + found) {
        match one(text, at) {
            Ok(marker) => {
                from = marker.shown.end + CLOSES.len();
                markers.push(marker);
            }
            Err(what) => {
                broken.push((at, what.to_owned()));
                from = at + OPENS.len();
            }
        }
    }
    (markers, broken)
}

fn one(text: &str, at: usize) -> Result<Marker, &'static str> {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    if text[line..at].trim().is_empty() {
        return Err("a comment that begins a line ends the paragraph before it: put a word in front of it");
    }
    let query = at + OPENS.len();
    let end = text[query..].find(ENDS).ok_or("a marker whose first comment doesn't end")? + query;
    let start = end + ENDS.len();
    let close = text[start..].find(CLOSES).ok_or("a marker without <!----> behind the figure")? + start;
    if text[start..close].contains("<!--") {
        return Err("a marker without <!----> behind the figure");
    }
    Ok(Marker { query: text[query..end].trim().to_owned(), shown: start..close })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_two_comments_around_a_figure() {
        let text = "takes <!--=a b c-->0.5 [0.4,\n0.6]<!----> of it, <!--=d e f-->7<!---->.";
        let (markers, broken) = all(text);
        let shown: Vec<_> =
            markers.iter().map(|one| (one.query.as_str(), &text[one.shown.clone()])).collect();
        assert_eq!(shown, [("a b c", "0.5 [0.4,\n0.6]"), ("d e f", "7")]);
        assert_eq!(broken, []);
    }

    #[test]
    fn what_is_no_whole_marker_is_said() {
        let check = |text: &str, expected: &str| {
            let (markers, broken) = all(text);
            assert!(broken[0].1.contains(expected), "{broken:?}");
            assert_eq!(markers.len(), text.matches("good").count());
        };
        check("x <!--=a b c-->1, and x <!--=good b c-->2<!---->", "without <!---->");
        check("x <!--=a b c", "doesn't end");
        check("x\n  <!--=a b c-->1<!---->", "begins a line");
    }
}
