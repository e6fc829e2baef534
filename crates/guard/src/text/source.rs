//! Where what is read stands: texts inside of a TOML file, and places in that file.

use weir_asm::Span;

/// A string of a TOML file, and where each of its bytes stands there.
#[derive(Clone, Debug)]
pub(super) struct SourceString {
    text: String,
    /// Of each byte of the text, and of its end, the offset in the file.
    places: Vec<u32>,
}

impl SourceString {
    /// The string that the file has at `span`, with its quotes; `text` is what it stands for.
    pub(super) fn of(file: &str, span: Span, text: &str) -> Self {
        let raw = file.get(span.range()).unwrap_or_default();
        let quote =
            ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| raw.starts_with(quote)).unwrap_or_default();
        let mut inside = &raw[quote.len()..];
        let has_escapes = quote.starts_with('"');
        if quote.len() == 3 {
            // A line break right behind the quotes is not part of the text (TOML 1.0, Strings).
            inside = inside.strip_prefix("\r\n").or_else(|| inside.strip_prefix('\n')).unwrap_or(inside);
        }
        let mut places = Vec::with_capacity(text.len() + 1);
        for part in text.chars() {
            if has_escapes {
                inside = skip_joined_lines(inside);
            }
            let at = (span.end as usize - quote.len()).min(span.start as usize + (raw.len() - inside.len()));
            places.extend(std::iter::repeat_n(at as u32, part.len_utf8()));
            let taken =
                if has_escapes && inside.starts_with('\\') { escape_len(inside) } else { part.len_utf8() };
            inside = inside.get(taken..).unwrap_or_default();
        }
        places.push((span.start as usize + raw.len() - inside.len()).min(span.end as usize) as u32);
        Self { text: text.to_owned(), places }
    }

    /// What the string stands for.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where some of its bytes stand in the file. An empty range is the byte behind it.
    pub(super) fn span(&self, range: std::ops::Range<usize>) -> Span {
        let last = self.places.len() - 1;
        let start = self.places[range.start.min(last)];
        Span { start, end: self.places[range.end.min(last)].max(start + 1) }
    }
}

/// What is behind a backslash at a line's end and the blanks that it takes away (TOML 1.0, Strings).
fn skip_joined_lines(text: &str) -> &str {
    let Some(behind) = text.strip_prefix('\\') else {
        return text;
    };
    if behind.trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
        skip_joined_lines(behind.trim_start())
    } else {
        text
    }
}

/// How many bytes an escape has, its backslash counted.
fn escape_len(text: &str) -> usize {
    match text.as_bytes().get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 2,
    }
}
