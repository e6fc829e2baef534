//! `report.html` in a browser: its charts have marks that tell their values, its downloads are what they say, it asks
//! nobody for anything, fits a phone, and can be read in the dark.
//!
//! Where there is no Chromium, the tests count as ignored, with the reason in brackets.

#[expect(dead_code, reason = "other tests use the rest")]
mod synthetic;

mod browser;

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use resvg::{
    tiny_skia::Pixmap,
    usvg::roxmltree::{Document, Node},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_testing::{Group, Test};

use browser::{Tab, chromium};
use synthetic::Experiment;

const IN_A_BROWSER: &[Test] = &[
    ("every_chart_has_marks_that_tell_their_values", every_chart_has_marks),
    ("every_download_is_what_it_says", every_download_is_what_it_says),
    ("nothing_is_wider_than_a_phone", nothing_is_wider_than_a_phone),
    ("text_and_marks_stand_out_from_their_ground_in_light_and_dark", contrast_is_enough),
];

fn main() {
    let missing = "no chromium on PATH; Debian has it as the package chromium".to_owned();
    let browser = Group::of(IN_A_BROWSER).skipped_for(chromium().is_none().then_some(missing));
    weir_testing::run([browser]);
}

/// Longest that a download may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Chromium ignores what a page downloads beyond ten files in a second; a later click is heard again.
const BURST: Duration = Duration::from_secs(3);

/// A report open in a browser of its own.
struct Page {
    tab: Tab,
    dir: TempDir,
}

impl Page {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let experiment = Experiment { packets: vec![1000, 200_000], ..Experiment::quick() };
        synthetic::write(dir.path(), &experiment.samples());
        fs::write(dir.path().join("definition.toml"), DEFINITION).unwrap();
        weir_report::write_all(dir.path()).unwrap();
        let tab = Tab::open(&format!("file://{}", dir.path().join("report.html").display()));
        Self { tab, dir }
    }

    /// What `script`, an expression, gives as JSON.
    fn ask(&mut self, script: &str) -> Value {
        let expression = json!({"expression": format!("JSON.stringify({script})")});
        let answer = self.tab.call("Runtime.evaluate", expression);
        let text = answer["result"]["value"].as_str().unwrap_or_else(|| panic!("{script}: {answer}"));
        serde_json::from_str(text).unwrap()
    }

    /// The strings that `script` gives.
    fn list(&mut self, script: &str) -> Vec<String> {
        serde_json::from_value(self.ask(script)).unwrap()
    }

    /// A click of the mouse on what `selector` finds.
    fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const link = document.querySelector('{selector}'); link.scrollIntoView({{block: 'center'}}); \
             const at = link.getBoundingClientRect(); \
             return [at.x + at.width / 2, at.y + at.height / 2]; }})()"
        );
        let at = self.ask(&middle);
        for kind in ["mousePressed", "mouseReleased"] {
            let click = json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.tab.call("Input.dispatchMouseEvent", click);
        }
    }

    /// A click on each of the links called `names` leaves a file of that name that `is_whole`.
    fn assert_clicks_leave_files(&mut self, names: &[String], is_whole: IsWhole) {
        let folder = tempfile::tempdir().unwrap();
        let to = json!({"behavior": "allow", "downloadPath": folder.path()});
        self.tab.call("Page.setDownloadBehavior", to);
        for name in names {
            let link = format!("a[download=\"{name}\"]");
            self.click(&link);
            let mut clicked = Instant::now();
            let path = folder.path().join(name);
            let deadline = Instant::now() + DEADLINE;
            // The file may be there before all of it is.
            while !fs::read(&path).is_ok_and(|bytes| is_whole(name, &bytes, self.dir.path())) {
                assert!(Instant::now() < deadline, "{name} is not there, whole, after {DEADLINE:?}");
                if clicked.elapsed() > BURST {
                    clicked = Instant::now();
                    self.click(&link);
                }
                sleep(Duration::from_millis(10));
            }
        }
    }

    /// Nothing was complained of, and nothing but the page itself was asked for.
    fn assert_quiet(&self) {
        let trouble: Vec<_> = self.tab.events.iter().filter_map(complaint).collect();
        assert_eq!(trouble, Vec::<String>::new());
        let loaded = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        assert!(self.tab.events.iter().any(|event| loaded(&event)), "the page's own request is seen");
    }
}

const DEFINITION: &str = r#"
name = "made-up"
question = "Does it?"
[[verdicts]]
hypothesis = "T3"
claim = "Filtering in the kernel takes no longer."
figure = "wall"
compare = "kernel-user"
direction = "not-above"
smallest_effect = 5.0
"#;

/// What is wrong with an event: an error in the console, an exception, a request for anything outside of the page.
fn complaint(event: &Value) -> Option<String> {
    match event["method"].as_str()? {
        "Log.entryAdded" | "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" => Some(event.to_string()),
        "Network.requestWillBeSent" => {
            let url = event["params"]["request"]["url"].as_str()?;
            let own = url.starts_with("file://") && url.ends_with("/report.html");
            (!own && !url.starts_with("data:")).then(|| format!("request: {url}"))
        }
        _ => None,
    }
}

fn every_chart_has_marks() {
    let mut page = Page::open();
    let charts = page.ask("document.querySelectorAll('.chart').length");
    assert!(charts.as_u64().unwrap() >= 8, "{charts} charts");
    let empty = page.list(
        "[...document.querySelectorAll('.chart')].filter(c => !c.querySelector('.mark')).map(c => c.id)",
    );
    assert_eq!(empty, Vec::<String>::new(), "charts without marks");
    let told = "(() => { const mark = document.querySelector('#server-cpu-0-percent .mark[tabindex=\"0\"]'); mark.focus(); \
                const tip = document.querySelector('.tip'); \
                return [mark.getAttribute('aria-label'), tip.hidden ? '' : tip.textContent]; })()";
    let told = page.list(told);
    assert!(told[0].contains("invalid") || told[0].contains("packets"), "{told:?}");
    assert_eq!(told[0], told[1], "the value pointed at is shown");
    page.assert_quiet();
}

fn every_download_is_what_it_says() {
    let mut page = Page::open();
    let links =
        "[...document.querySelectorAll('a')].flatMap(a => [a.getAttribute('download') ?? '', a.href])";
    let links = page.list(links);
    assert!(links.len() > 40, "{}", links.len());
    let (embedded, made): (Vec<_>, Vec<_>) = links.chunks(2).partition(|link| link[0].ends_with(".csv"));
    for link in embedded {
        let (name, href) = (&link[0], &link[1]);
        let (head, encoded) = href.split_once(";base64,").unwrap_or_else(|| panic!("{name}: {href:.60}"));
        let rows = csv_rows(&STANDARD.decode(encoded).unwrap());
        assert!(head.starts_with("data:text/csv") && rows > 0, "{name} is {head} with {rows} rows");
    }
    for (extension, is_whole) in MADE_IN_THE_PAGE {
        let names: Vec<_> =
            made.iter().map(|link| link[0].clone()).filter(|name| name.ends_with(extension)).collect();
        assert!(names.len() >= 8, "{names:?}");
        page.assert_clicks_leave_files(&names, is_whole);
    }
    page.assert_quiet();
}

/// Whether a file of that name has these bytes and all of them, by the results folder that the page belongs to.
type IsWhole = fn(&str, &[u8], &Path) -> bool;

const MADE_IN_THE_PAGE: [(&str, IsWhole); 2] = [("png", is_picture), ("svg", is_the_plot)];

/// A picture of the plots' size with something drawn.
fn is_picture(name: &str, bytes: &[u8], _: &Path) -> bool {
    let Ok(image) = Pixmap::decode_png(bytes) else { return false };
    assert_eq!((image.width(), image.height()), (960, 720), "{name}");
    let first = image.pixels()[0];
    let inked = image.pixels().iter().filter(|&&pixel| pixel != first).count();
    assert!(inked > 1000, "{name} has {inked} pixels that are not its ground");
    true
}

/// The same document as the plot beside the report, however its tags are written.
fn is_the_plot(name: &str, bytes: &[u8], dir: &Path) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let Ok(document) = Document::parse(text) else { return false };
    let plot = fs::read_to_string(dir.join("plots").join(name)).unwrap();
    let plot = Document::parse(&plot).unwrap();
    let nodes = |document: &Document<'_>| -> Vec<String> {
        let node = |node: Node<'_, '_>| {
            let attributes = node.attributes().map(|one| format!(" {}={}", one.name(), one.value()));
            format!("{:?}{} {:?}", node.tag_name(), attributes.collect::<String>(), node.text())
        };
        document.descendants().map(node).collect()
    };
    assert_eq!(nodes(&document), nodes(&plot), "{name}");
    true
}

fn csv_rows(bytes: &[u8]) -> usize {
    csv::Reader::from_reader(bytes)
        .records()
        .map(|record| record.expect("rows are as long as the head"))
        .collect::<Vec<_>>()
        .len()
}

fn nothing_is_wider_than_a_phone() {
    let mut page = Page::open();
    let phone = json!({"width": 360, "height": 800, "deviceScaleFactor": 2, "mobile": true});
    page.tab.call("Emulation.setDeviceMetricsOverride", phone);
    page.ask("document.querySelectorAll('details').forEach(d => d.open = true) ?? 0");
    assert_eq!(page.ask("document.documentElement.scrollWidth"), 360);
    let wide = "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, pre') \
                && e.getBoundingClientRect().right > 360.5).map(e => e.outerHTML.slice(0, 80))";
    assert_eq!(page.list(wide), Vec::<String>::new());
    page.assert_quiet();
}

/// Everything whose colour stands out too little from the page's: text by less than 4.5 to 1, marks by less than 3 to 1
/// (WCAG 2.2, 1.4.3 and 1.4.11). Tiles have a ground of their own.
const PALE: &str = "(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => color.slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = rgb(getComputedStyle(one).backgroundColor);
      if (color.length < 4 || color[3] > 0) return light(color);
    }
    return light([255, 255, 255]);
  };
  const pale = [];
  const check = (selector, property, least) => {
    const found = document.querySelectorAll(selector);
    if (found.length === 0) pale.push(`nothing is ${selector}`);
    for (const element of found) {
      const color = getComputedStyle(element)[property];
      const contrast = ratio(light(rgb(color)), ground(element));
      if (contrast < least) pale.push(`${selector} ${color} ${contrast.toFixed(2)}`);
    }
  };
  check('h1, h2, h3, p, li, td, th, summary, a, figcaption, footer', 'color', 4.5);
  check('.chart .ink, .chart .soft', 'fill', 4.5);
  check('.chart .f', 'fill', 3);
  check('.chart .k', 'stroke', 3);
  return [...new Set(pale)];
})()";

fn contrast_is_enough() {
    let mut page = Page::open();
    for scheme in ["light", "dark"] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.tab.call("Emulation.setEmulatedMedia", features);
        let dark = page.ask("matchMedia('(prefers-color-scheme: dark)').matches");
        assert_eq!(dark, scheme == "dark");
        assert_eq!(page.list(PALE), Vec::<String>::new(), "{scheme}");
    }
    page.assert_quiet();
}
