//! Intervals in a document: numbers in brackets, outside of code.

use std::ops::Range;

/// Where `[y, z]` with two numbers stands in Markdown, code and code blocks left out.
pub(super) fn all(text: &str) -> Vec<Range<usize>> {
    let code = code(text);
    let opens = text.match_indices('[').map(|(at, _)| at);
    let found = opens.filter_map(|open| Some(open..open + length(&text[open..])?));
    found.filter(|range| !code.iter().any(|code| code.contains(&range.start))).collect()
}

/// How long the interval is that `text` begins with.
fn length(text: &str) -> Option<usize> {
    let end = text.find(']')?;
    let (low, high) = text[1..end].split_once(',')?;
    (is_number(low) && is_number(high)).then_some(end + 1)
}

fn is_number(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_digit() || c.is_whitespace() || ['.', '-', '−', '+', '%', '∞'].contains(&c);
    text.chars().all(allowed) && text.contains(|c: char| c.is_ascii_digit())
}

/// Fenced blocks, and what stands between backticks of a line.
fn code(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut at, mut fence) = (Vec::new(), 0, None);
    for line in text.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        match (is_fence, fence) {
            (true, None) => fence = Some(at),
            (true, Some(start)) => {
                found.push(start..at + line.len());
                fence = None;
            }
            (false, Some(_)) => {}
            (false, None) => {
                let ticks: Vec<_> = line.match_indices('`').map(|(tick, _)| at + tick).collect();
                found.extend(ticks.chunks_exact(2).map(|pair| pair[0]..pair[1]));
            }
        }
        at += line.len();
    }
    found.extend(fence.map(|start| start..text.len()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_found_over_the_ends_of_lines_and_not_in_code() {
        let text = "a 1.0 [0.9, 1.1], 5 [−4 000,\n 1 %] b `1 [2, 3]` [a link](x) [one, two]\n```\n1 [2, 3]\n```\n[7, 8]";
        let shown: Vec<_> = all(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(shown, ["[0.9, 1.1]", "[−4 000,\n 1 %]", "[7, 8]"]);
    }
}
