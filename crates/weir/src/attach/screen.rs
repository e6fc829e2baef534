//! Standard output while a program is attached: redrawn in place on a terminal, one block behind the other elsewhere.

use std::{
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
};

use rustix::termios::tcgetwinsize;
use weir_output::Visible;

/// Standard output.
pub(crate) struct Screen {
    /// Whether blocks take each other's place.
    pub(crate) is_redrawn: bool,
    /// Lines of the block that the next one takes the place of.
    drawn: usize,
}

impl Screen {
    /// A terminal that can't move its cursor (`TERM=dumb`) is treated as a pipe.
    pub(crate) fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { is_redrawn: io::stdout().is_terminal() && !is_dumb, drawn: 0 }
    }

    /// Shows text that stays.
    ///
    /// # Errors
    /// It can't be written; [`io::ErrorKind::BrokenPipe`] where the reader has gone.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        let cleared = self.clear();
        write(&format!("{cleared}{}", Visible(text)))
    }

    /// Shows a block until the next text: cut to the terminal where it is redrawn.
    ///
    /// # Errors
    /// As [`Screen::print`].
    pub(crate) fn draw(&mut self, block: &str) -> io::Result<()> {
        let cleared = self.clear();
        let block = Visible(block).to_string();
        if !self.is_redrawn {
            return write(&block);
        }
        let block = fitted(&block, size());
        self.drawn = block.lines().count();
        write(&(cleared + &block))
    }

    /// What takes the block away: up to its first line, and all below it deleted (ECMA-48, CUU and ED).
    fn clear(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }
}

/// Rows and columns.
type ScreenSize = (usize, usize);

fn size() -> ScreenSize {
    let found = tcgetwinsize(io::stdout().as_fd()).ok();
    let size = found.map(|size| (usize::from(size.ws_row), usize::from(size.ws_col)));
    size.filter(|(rows, columns)| *rows > 2 && *columns > 2).unwrap_or((24, 80))
}

/// No line is wrapped, and all have room above the cursor's.
fn fitted(block: &str, (rows, columns): ScreenSize) -> String {
    let all = block.lines().count();
    let shown = if all < rows { all } else { rows - 2 };
    let mut fitted: String = block
        .lines()
        .take(shown)
        .map(|line| match line.char_indices().nth(columns) {
            None => format!("{line}\n"),
            Some(_) => line.chars().take(columns - 1).chain("…\n".chars()).collect(),
        })
        .collect();
    if shown < all {
        fitted.push_str(&format!("… {} lines more\n", all - shown));
    }
    fitted
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_cut_to_its_terminal() {
        assert_eq!(fitted("one\ntwo\n", (3, 10)), "one\ntwo\n");
        assert_eq!(fitted("one\ntwo\nthree\nfour\n", (4, 10)), "one\ntwo\n… 2 lines more\n");
        assert_eq!(fitted("exactly te\neleven char\n", (9, 10)), "exactly te\neleven ch…\n");
    }

    #[test]
    fn a_block_goes_when_the_next_text_comes() {
        let mut screen = Screen { is_redrawn: true, drawn: 3 };
        assert_eq!(screen.clear(), "\x1b[3A\x1b[J");
        assert_eq!(screen.clear(), "");
    }
}
