//! docs/guard-language.md: its files have no fault, and each row of its tables is in the language.

use std::{collections::BTreeMap, fs};

use weir_guard::text::{self, Files, NamedText, Unavailable};

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guard-language.md")).unwrap()
}

/// The blocks of TOML, in order.
fn blocks(page: &str) -> Vec<&str> {
    let behind = page.split("```toml\n").skip(1);
    behind.map(|block| block.split("```").next().unwrap()).collect()
}

struct Page<'a>(&'a str);

impl Files for Page<'_> {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        assert_eq!(name, "dns");
        Ok(NamedText { name: name.to_owned(), text: self.0.to_owned() })
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        Ok(NamedText { name: path.to_owned(), text: "198.51.100.0/24 # somebody\n".to_owned() })
    }
}

#[test]
fn the_files_of_the_page_have_no_fault() {
    let page = page();
    let [protocol, guard] = blocks(&page)[..] else { panic!("a protocol and a guard") };
    let read = text::protocol(protocol, &BTreeMap::new());
    assert!(read.diagnostics.is_empty(), "{}", read.diagnostics.display("protocol", protocol.as_bytes()));
    // The guard accepts a message that the page's protocol leaves out for brevity.
    let notify = "[[message]]\nname = \"notify\"\nwhen = \"flags & 0xf800 == 0x2000\"\n";
    let protocol = protocol.replacen(
        "[[message]]\nname   = \"reply\"",
        &format!("{notify}[[message]]\nname   = \"reply\""),
        1,
    );
    let read = text::guard(guard, &mut Page(&protocol));
    assert!(read.services.is_some(), "{}", read.diagnostics.display("guard", guard.as_bytes()));
    assert!(read.diagnostics.is_empty(), "{}", read.diagnostics.display("guard", guard.as_bytes()));
}

/// Examples of every row, by its first cell's code.
const EXAMPLES: [(&str, &str); 31] = [
    ("or", "len == 1 or len == 2"),
    ("and", "len > 1 and len < 9"),
    ("not", "not len == 1"),
    ("==", "number == 1"),
    ("|", "number | 1 == 1"),
    ("^", "number ^ 0xff == 0xfe"),
    ("&", "number & 0x80 == 0x80"),
    ("<<", "number << 4 == 16"),
    ("+", "number + 1 < len"),
    ("17", "number == 17"),
    ("'PUT'", "word == 'PUT'"),
    ("true", "true or false"),
    ("len", "len == 4"),
    ("source_port", "source_port != 53"),
    ("start(x)", "start(counted) == 2"),
    ("end(x)", "end(word) == 3"),
    ("rest(x)", "rest(word) == 0"),
    ("lower(x)", "lower(word) == 'put'"),
    ("( … )", "(len == 1 or len == 2) and number == 1"),
    ("x in 1..=5", "number in 1..=5"),
    ("u8", "number in {1, 2, 5..=9, 'a'}"),
    ("u16 le", "little == 1"),
    ("u16[11..=14]", "some == 3"),
    ("bytes 4", "word in {'GET', 'PUT'}"),
    ("varint", "variable == 1200"),
    ("decimal", "digits <= 191"),
    ("dns-name", "name under {'example.org', 'example.net'} or name == 'example.com'"),
    ("text until ' '", "line == 'GET' or short == 'x'"),
    ("text behind u8", "counted == 'public'"),
    ("`length`", "true"),
    ("`listen`", "true"),
];

const FIELDS: &str = "name = \"examples\"\n[fields]
number = \"u8 @ 0\"
little = \"u16 le @ 0\"
some = \"u16[11..=14] @ 0\"
word = \"bytes 3 @ 0\"
variable = \"varint @ 0\"
digits = \"decimal @ 0\"
name = \"dns-name @ 12\"
line = \"text until ' ' @ 0\"
short = \"text until '\\\\0' within 32 @ 0\"
counted = \"text behind u16 @ 0\"
";

#[test]
fn every_row_has_an_example_that_can_be_read() {
    let page = page();
    for (row, example) in EXAMPLES {
        let code = row.trim_matches('`').replace('|', "\\|");
        assert!(page.contains(&format!("`{code}`")), "the page has no row of {row}");
        let text = format!("{FIELDS}[[message]]\nname = \"m\"\nwhen = \"{example}\"\n");
        let read = text::protocol(&text, &BTreeMap::new());
        assert!(read.diagnostics.is_empty(), "{}", read.diagnostics.display(example, text.as_bytes()));
    }
}
