//! Lines on stderr that nobody need read.

/// Writes a line to stderr, in place of the standard macro of this name, which panics where stderr takes no more: that
/// whoever read the pipe has gone, or a disk is full, ends no server and no measurement.
#[macro_export]
macro_rules! eprintln {
    ($($line:tt)*) => {{
        let _ = ::std::io::Write::write_fmt(
            &mut ::std::io::stderr(),
            ::std::format_args!("{}\n", ::std::format_args!($($line)*)),
        );
    }};
}
