//! What a marker asks for: a cell of a report's table, or a part of it.

use std::str::FromStr;

use weir_results::number;

/// A cell of a table of a report.
///
/// Written as the name of a results folder, the name of a table (its file below `tables/`, such as `figures`, `quotients`
/// or `capacity`), `column=value` for what tells the row from others, the column, and, if wanted, which part of the text it
/// is, and `~3` for so many significant digits. Words with spaces stand in double quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Name of the results folder.
    pub results: String,
    /// The table.
    pub table: String,
    /// Values by which its row is found.
    pub at: Vec<(String, String)>,
    /// The column.
    pub column: String,
    part: TextPart,
    digits: Option<usize>,
}

/// Which part of a cell's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextPart {
    /// The estimate where there is one, else all.
    Estimate,
    Median,
    Low,
    High,
    /// `[low, high]`.
    Interval,
    /// All.
    Text,
}

const PARTS: [(&str, TextPart); 6] = [
    ("estimate", TextPart::Estimate),
    ("median", TextPart::Median),
    ("low", TextPart::Low),
    ("high", TextPart::High),
    ("interval", TextPart::Interval),
    ("text", TextPart::Text),
];

/// What a report writes where it has no number.
const NOTHING: [&str; 7] =
    ["", "–", "no pair", "not run", "no sound run", "not available here", "not counted"];

impl FromStr for Quote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let [results, table, rest @ ..] = tokens.as_slice() else {
            return Err("it must name a results folder, a table and a column".to_owned());
        };
        let (mut at, mut plain, mut digits) = (Vec::new(), Vec::new(), None);
        for token in rest {
            if let Some(count) = token.strip_prefix('~') {
                let count = count.parse().ok().filter(|&count: &usize| (1..=9).contains(&count));
                digits = Some(count.ok_or_else(|| format!("{token}: ~ stands before 1 to 9 digits"))?);
            } else if let Some((column, value)) = token.split_once('=') {
                at.push((column.to_owned(), value.to_owned()));
            } else {
                plain.push(token.as_str());
            }
        }
        let part_of = |name: &str| {
            let found = PARTS.into_iter().find(|&(one, _)| one == name);
            let names = PARTS.map(|(one, _)| one).join(", ");
            found.map(|(_, part)| part).ok_or_else(|| format!("no part '{name}'; there are: {names}"))
        };
        let (column, part) = match plain.as_slice() {
            [column] => (*column, TextPart::Estimate),
            [column, part] => (*column, part_of(part)?),
            _ => return Err("behind the table there must be one column, and a part of it at most".to_owned()),
        };
        let (results, table, column) = (results.clone(), table.clone(), column.to_owned());
        Ok(Self { results, table, at, column, part, digits })
    }
}

impl Quote {
    /// The part of a cell's `text` that is asked for, as documents write it.
    ///
    /// # Errors
    /// There is no such part.
    pub(super) fn part_of(&self, text: &str) -> Result<String, String> {
        if NOTHING.contains(&text) {
            return Err(format!("the samples have no number there ('{text}')"));
        }
        let found = EstimateText::of(text);
        let part = match (self.part, &found) {
            (TextPart::Text, _) | (TextPart::Estimate, None) => self.rounded(text),
            (TextPart::Estimate, Some(found)) => {
                let [median, low, high] =
                    [&found.median, &found.low, &found.high].map(|text| self.rounded(text));
                let ends = if found.is_range {
                    format!("(range {low}–{high})")
                } else {
                    format!("[{low}, {high}]")
                };
                format!("{}{median} {ends}", found.sign)
            }
            (TextPart::Median, Some(found)) => format!("{}{}", found.sign, self.rounded(&found.median)),
            (TextPart::Low, Some(found)) => self.rounded(&found.low),
            (TextPart::High, Some(found)) => self.rounded(&found.high),
            (TextPart::Interval, Some(found)) => {
                format!("[{}, {}]", self.rounded(&found.low), self.rounded(&found.high))
            }
            (_, None) => return Err(format!("there is no interval in '{text}'")),
        };
        Ok(as_documents_write(&part))
    }

    fn rounded(&self, text: &str) -> String {
        match (self.digits, value_of(text)) {
            (Some(digits), Some(value)) => with_digits(value, digits),
            _ => text.to_owned(),
        }
    }
}

fn with_digits(value: f64, digits: usize) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let unit = 10_f64.powi(magnitude + 1 - digits as i32);
    if unit < 1.0 || value.abs() < 1000.0 {
        return number::number(if unit < 1.0 { value } else { (value / unit).round() * unit }, digits);
    }
    number::count(((value / unit).round() * unit) as u64)
}

/// An estimate inside of a text, in pieces.
struct EstimateText {
    /// `≥ `, `≤ ` or nothing.
    sign: String,
    median: String,
    low: String,
    high: String,
    /// Whether the ends are those of all runs rather than of an interval.
    is_range: bool,
}

impl EstimateText {
    fn of(text: &str) -> Option<Self> {
        let interval = text.find('[').map(|open| (open, "[", "]", ", "));
        let (open, begins, ends, between) =
            interval.or_else(|| Some((text.find("(range ")?, "(range ", ")", "–")))?;
        let (inside, _) = text[open + begins.len()..].split_once(ends)?;
        let (low, high) = inside.split_once(between)?;
        let mut before = text[..open].trim_end().rsplit(' ');
        let median = before.next().filter(|median| value_of(median).is_some())?;
        let sign = before.next().filter(|sign| ["≥", "≤"].contains(sign)).map(|sign| format!("{sign} "));
        let [median, low, high] = [median, low, high].map(str::to_owned);
        Some(Self { sign: sign.unwrap_or_default(), median, low, high, is_range: begins == "(range " })
    }
}

/// The number that a text is, with its digits in groups or not; nothing for a text that is none.
pub(super) fn value_of(text: &str) -> Option<f64> {
    let text = text.trim_start_matches(['≥', '≤', ' ']);
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().replace('−', "-").parse().ok()
}

/// Groups of digits apart by plain spaces, which are read in any editor, and minus signs.
fn as_documents_write(text: &str) -> String {
    let mut written = String::new();
    for (i, c) in text.char_indices() {
        let is_sign = c == '-'
            && text[i + 1..].starts_with(|next: char| next.is_ascii_digit())
            && !text[..i].ends_with(char::is_alphanumeric);
        written.push(match c {
            '\u{a0}' => ' ',
            _ if is_sign => '−',
            c => c,
        });
    }
    written
}

/// `text` as its words, wherever its lines end.
pub(super) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// Words apart by spaces, outside of double quotes.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let (mut tokens, mut current, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => tokens.push(std::mem::take(&mut current)),
            c => current.push(c),
        }
    }
    tokens.push(current);
    tokens.retain(|token| !token.is_empty());
    if is_quoted { Err("a double quote is not closed".to_owned()) } else { Ok(tokens) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(query: &str, cell: &str) -> Result<String, String> {
        query.parse::<Quote>()?.part_of(cell)
    }

    #[test]
    fn a_quote_is_a_folder_a_table_a_row_and_a_column() {
        let quote: Quote = "runs ratios \"invalid %=50\" series=kernel \"server CPU\"".parse().unwrap();
        assert_eq!((quote.results.as_str(), quote.table.as_str()), ("runs", "ratios"));
        let at = [("invalid %", "50"), ("series", "kernel")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!((quote.at, quote.column.as_str()), (at.to_vec(), "server CPU"));
        for wrong in
            ["", "runs", "runs ratios", "runs ratios a b c", "runs ratios a middle", "r t \"a", "r t a ~x"]
        {
            assert!(wrong.parse::<Quote>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_cut_out_as_documents_write_them() {
        let ratio = "capacity: ≥ 1.39 [1.25, 1.62], 6 repetitions";
        let loss = "loss: -4.12 [-23.0, 0] percentage points";
        let rate = "≥ 227\u{a0}341 [168\u{a0}123, 300\u{a0}001]";
        for (query, cell, expected) in [
            ("r t c", "0.022 [0.018, 0.026]", "0.022 [0.018, 0.026]"),
            ("r t c", ratio, "≥ 1.39 [1.25, 1.62]"),
            ("r t c median", ratio, "≥ 1.39"),
            ("r t c interval", ratio, "[1.25, 1.62]"),
            ("r t c", loss, "−4.12 [−23.0, 0]"),
            ("r t c ~2", loss, "−4.1 [−23, 0]"),
            ("r t c ~3", rate, "≥ 227 000 [168 000, 300 000]"),
            ("r t c high", "1.50 (range 1.00–2.00)", "2.00"),
            ("r t c", "1.50 (range 1.00–2.00)", "1.50 (range 1.00–2.00)"),
            ("r t c", "supported", "supported"),
            ("r t c", "x-1 - 3", "x-1 - 3"),
        ] {
            assert_eq!(part(query, cell).unwrap(), expected, "{query} of {cell}");
        }
    }

    #[test]
    fn where_there_is_no_number_none_is_made_up() {
        assert!(part("r t c", "no pair").is_err());
        assert!(part("r t c high", "17").is_err());
    }
}
