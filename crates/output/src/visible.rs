//! Lines on stderr that nobody need read, and text in which nothing of others acts on a terminal.

use std::fmt::{self, Display, Formatter, Write};

/// A text of which control characters are shown as `\u001b` (a JSON string stays one): those of ISO 6429 but for line ends and
/// tabs, and those that turn the order of characters round (UAX 9). Names in objects, captures and answers are others', and
/// with them a terminal can be made to show, or do, what isn't there.
#[derive(Clone, Copy, Debug)]
pub struct Visible<T>(pub T);

impl<T: Display> Display for Visible<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Shown(f), "{}", self.0)
    }
}

struct Shown<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Shown<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, character)| acts(*character)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "\\u{:04x}", u32::from(hidden))?;
            rest = &rest[at + hidden.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

fn acts(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // Embeddings, overrides and isolates.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

/// Writes a line to stderr, in place of the standard macro of this name, which panics where stderr takes no more: that
/// whoever read the pipe has gone, or a disk is full, ends no server and no measurement.
#[macro_export]
macro_rules! eprintln {
    ($($line:tt)*) => {{
        let _ = ::std::io::Write::write_fmt(
            &mut ::std::io::stderr(),
            ::std::format_args!("{}\n", $crate::Visible(::std::format_args!($($line)*))),
        );
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown() {
        let check = |text: &str, expected: &str| assert_eq!(Visible(text).to_string(), expected);
        check("a line\n\tand another, größer ≥ 1", "a line\n\tand another, größer ≥ 1");
        check("\x1b[2Jsocket\x07", "\\u001b[2Jsocket\\u0007");
        check("over\rwritten\0\u{7f}", "over\\u000dwritten\\u0000\\u007f");
        // C1 acts as ESC does, and an override shows a name backwards.
        check("\u{9b}31m \u{202e}txt", "\\u009b31m \\u202etxt");
    }
}
