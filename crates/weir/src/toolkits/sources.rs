//! Lines of source of each filter, counted in the files from which this weir was built.

use weir_filters::{FilterName, Toolkit};

use super::Lines;

/// A file, or some items of it.
#[derive(Clone, Copy)]
struct Part {
    text: &'static str,
    /// How each item's first line goes on behind its visibility; nothing for the whole file.
    items: &'static [&'static str],
}

macro_rules! part {
    ($file:literal) => {
        part!($file, [])
    };
    ($file:literal, [$($item:literal),*]) => {
        Part { text: include_str!(concat!("../../../../", $file)), items: &[$($item),*] }
    };
    (concat $folder:literal, $file:literal, [$($item:literal),*]) => {
        Part { text: include_str!(concat!("../../../../", $folder, $file)), items: &[$($item),*] }
    };
}

/// Lines of `filter` by `toolkit` without blank ones and comments; imports, declarations of maps and attributes count.
///
/// With `aya` and `c`, a filter's own are those of its file; with `fun` and `cbpf`, its arm of the table of filters and the
/// functions that it alone uses. Shared is what other filters of the toolkit have beside that, for every hook: finding and reading
/// the packet, counting the verdict. Constants that user space has too (`weir-wire`) count for neither.
pub(super) fn lines(filter: FilterName, toolkit: Toolkit) -> Lines {
    let [own, shared] = match toolkit {
        Toolkit::Rust => [vec![], vec![]],
        Toolkit::Aya => aya(filter),
        Toolkit::C => c(filter),
        Toolkit::Fun => fun(filter),
        Toolkit::Cbpf => cbpf(filter),
    };
    let count = |parts: Vec<Part>| parts.iter().map(Part::lines).sum();
    Lines { own: count(own), shared: count(shared) }
}

fn aya(filter: FilterName) -> [Vec<Part>; 2] {
    let own = match filter {
        FilterName::Simple => vec![part!("bpf/src/bin/simple-socket-filter.rs")],
        FilterName::Reject => vec![part!("bpf/src/bin/reject-filter.rs")],
        FilterName::ValidCommand => vec![
            part!("bpf/src/bin/valid-command.rs"),
            part!("bpf/src/command.rs", ["fn begins_with_a_command"]),
        ],
        FilterName::RobustValidCommand => vec![
            part!("bpf/src/bin/robust-valid-command.rs"),
            part!("bpf/src/command.rs", ["fn is_a_command_of_its_length", "fn whole_command"]),
        ],
        FilterName::Parameterized => vec![part!("bpf/src/bin/parameterized-filter.rs")],
        FilterName::Print => vec![part!("bpf/src/bin/print-filter.rs"), part!("bpf/src/capture.rs")],
        FilterName::Count => vec![part!("bpf/src/bin/count-filter.rs")],
        FilterName::KnownKey => vec![part!("bpf/src/known_key.rs")],
        FilterName::Quota => {
            vec![part!(
                "bpf/src/guard.rs",
                [
                    "type Rate",
                    "type Sources",
                    "struct Account",
                    "fn account",
                    "fn spend(",
                    "fn spend_without_exchange(",
                    "fn add",
                    "fn compare_exchange"
                ]
            )]
        }
        FilterName::Blocklist => vec![part!("bpf/src/guard.rs", ["type Blocked", "fn is_blocked"])],
    };
    let chained = match filter.is_dynamic() {
        true => vec![
            part!("bpf/src/bin/parts/chain.rs"),
            part!("bpf/src/guard.rs", ["type Source ", "trait Origin", "fn source<", "fn now"]),
        ],
        false => vec![],
    };
    let shared = vec![
        part!("bpf/src/lib.rs"),
        part!("bpf/src/bounds.rs"),
        part!("bpf/src/frame.rs"),
        part!("bpf/src/hook.rs"),
        part!("bpf/src/packet.rs"),
        part!("bpf/src/verdict.rs"),
        part!("bpf/src/view.rs"),
        part!("bpf/src/window.rs"),
    ];
    [own, [shared, chained].concat()]
}

fn c(filter: FilterName) -> [Vec<Part>; 2] {
    let own = match filter {
        FilterName::Simple => part!("bpf/c/simple-socket-filter.bpf.c"),
        FilterName::Reject => part!("bpf/c/reject-filter.bpf.c"),
        FilterName::ValidCommand => part!("bpf/c/valid-command.bpf.c"),
        FilterName::RobustValidCommand => part!("bpf/c/robust-valid-command.bpf.c"),
        FilterName::Parameterized => part!("bpf/c/parameterized-filter.bpf.c"),
        FilterName::Print => part!("bpf/c/print-filter.bpf.c"),
        FilterName::Count => part!("bpf/c/count-filter.bpf.c"),
        FilterName::KnownKey | FilterName::Quota | FilterName::Blocklist => return [vec![], vec![]],
    };
    [vec![own], vec![part!("bpf/c/weir.h"), part!("bpf/c/frame.h"), part!("bpf/c/verdicts.h")]]
}

fn cbpf(filter: FilterName) -> [Vec<Part>; 2] {
    const FILE: &str = include_str!("../../../../crates/filters/src/cbpf/mod.rs");
    let of_file = |items| Part { text: FILE, items };
    let own = of_file(match filter {
        FilterName::Simple => &["FilterName::Simple =>"],
        FilterName::Reject => &["FilterName::Reject =>"],
        FilterName::ValidCommand => &["FilterName::ValidCommand =>", "fn valid("],
        FilterName::RobustValidCommand => &["FilterName::RobustValidCommand =>", "fn robust("],
        FilterName::Parameterized => &["FilterName::Parameterized if"],
        FilterName::Print
        | FilterName::Count
        | FilterName::KnownKey
        | FilterName::Quota
        | FilterName::Blocklist => return [vec![], vec![]],
    });
    let shared = of_file(&["const ACCEPT:", "const DROP:", "fn program(", "fn by_length(", "fn accept("]);
    [vec![own], vec![shared, part!("crates/filters/src/cbpf/insn.rs")]]
}

macro_rules! fun_part {
    ($file:literal $(, [$($item:literal),*])?) => {
        part!(concat "crates/filters/src/fun/", $file, [$($($item),*)?])
    };
}

fn fun(filter: FilterName) -> [Vec<Part>; 2] {
    let own = match filter {
        FilterName::Simple => vec![fun_part!("mod.rs", ["FilterName::Simple =>"])],
        FilterName::Reject => vec![fun_part!("mod.rs", ["FilterName::Reject =>"])],
        FilterName::ValidCommand => {
            vec![fun_part!("mod.rs", ["FilterName::ValidCommand =>"]), fun_part!("command.rs", ["fn valid("])]
        }
        FilterName::RobustValidCommand => vec![
            fun_part!("mod.rs", ["FilterName::RobustValidCommand =>"]),
            fun_part!("command.rs", ["fn robust("]),
        ],
        FilterName::Parameterized => vec![
            fun_part!(
                "mod.rs",
                ["FilterName::Parameterized =>", "fn parameterized_by_map(", "fn verdict_of("]
            ),
            fun_part!("map.rs", ["const PARAMETER:"]),
        ],
        FilterName::Print => vec![
            fun_part!("mod.rs", ["FilterName::Print =>"]),
            fun_part!("map.rs", ["const CAPTURE:", "struct CaptureSlot", "impl MapType for CaptureSlot"]),
            fun_part!("capture.rs"),
        ],
        FilterName::Count => {
            vec![fun_part!("mod.rs", ["FilterName::Count =>"]), fun_part!("map.rs", ["const COUNTER:"])]
        }
        FilterName::KnownKey => vec![fun_part!("known_key.rs"), fun_part!("dynamic.rs", ["const KEYS:"])],
        FilterName::Quota => vec![
            fun_part!("guard.rs", ["fn quota(", "fn spend(", "fn spend_without_exchange("]),
            fun_part!("dynamic.rs", ["const QUOTA:", "const SOURCES:"]),
        ],
        FilterName::Blocklist => {
            vec![fun_part!("guard.rs", ["fn blocklist("]), fun_part!("dynamic.rs", ["const BLOCKLIST:"])]
        }
    };
    let shared = vec![
        fun_part!("mod.rs", ["fn object(", "fn with_listing(", "fn generate(", "fn uses("]),
        fun_part!("access.rs"),
        fun_part!("command.rs", ["fn judge(", "fn compare("]),
        fun_part!("map.rs", ["const VERDICTS:", "const ALL:", "const KEY:", "fn look_up(", "fn count("]),
        fun_part!("parse/mod.rs"),
        fun_part!("parse/alone.rs"),
        fun_part!("parse/checks.rs"),
        fun_part!("parse/common.rs"),
        fun_part!("parse/walk.rs"),
        fun_part!("parse/window.rs"),
        fun_part!("verdict.rs"),
    ];
    [own, shared]
}

impl Part {
    fn lines(&self) -> usize {
        if self.items.is_empty() {
            return count(self.text.lines());
        }
        self.items.iter().map(|head| count(item(self.text, head))).sum()
    }
}

fn count<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let mut is_inside = false;
    let is_code = |line: &&str| {
        let is_comment = is_inside || line.starts_with("/*");
        is_inside = is_comment && !line.ends_with("*/");
        !is_comment && !line.is_empty() && !line.starts_with("//")
    };
    lines.map(str::trim).filter(is_code).count()
}

/// The lines of an item, or of an arm of a match, from its head to where its last bracket closes; its attributes too.
///
/// # Panics
/// Where the text has no such item: the table above is wrong, which a test sees.
fn item<'a>(text: &'a str, head: &str) -> impl Iterator<Item = &'a str> {
    let lines: Vec<_> = text.lines().collect();
    let mut start = lines.iter().position(|line| line.contains(head)).unwrap_or_else(|| panic!("no {head}"));
    let mut open = 0_i64;
    let closes = |line: &&str| {
        open +=
            line.chars().map(|c| i64::from("([{".contains(c)) - i64::from(")]}".contains(c))).sum::<i64>();
        open == 0 && line.ends_with(['}', ';', ','])
    };
    let end = start + lines[start..].iter().position(closes).unwrap_or_else(|| panic!("no end of {head}"));
    while start > 0 && lines[start - 1].trim_start().starts_with("#[") {
        start -= 1;
    }
    lines.into_iter().skip(start).take(end + 1 - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! A file.\n\nuse a::{\n    B,\n};\n\n/// What it does.\n#[inline]\npub fn first(a: u8) -> u8 {\n    // Why.\n    \
                        a[0]\n}\nmatch x {\n    X::One => one(),\n    X::Two => {\n        two();\n    }\n}\nstruct Unit(u8);\n";

    fn check(items: &'static [&'static str], expected: usize) {
        assert_eq!(Part { text: TEXT, items }.lines(), expected, "{items:?}");
    }

    #[test]
    fn lines_are_counted_without_blanks_and_comments() {
        check(&[], 14);
    }

    #[test]
    fn comments_in_c_do_not_count() {
        assert_eq!(count("/* One. */\nint a;\n\n/* Two\n * lines.\n */\nint b; /* why */\n".lines()), 2);
    }

    #[test]
    fn items_and_arms_end_where_their_brackets_close() {
        check(&["fn first("], 4);
        check(&["X::One =>"], 1);
        check(&["X::Two =>"], 3);
        check(&["struct Unit", "X::One =>"], 2);
    }
}
