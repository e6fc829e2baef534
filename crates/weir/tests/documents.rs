//! Figures in documents: held against the kept samples, and written anew from them.

#[expect(dead_code, reason = "other tests use the rest")]
mod synthetic;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use synthetic::{Experiment, folder_of};
use weir::documents::{Allowed, Results, compare};

/// The documents whose figures are measured.
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "docs/experiments.md",
    "docs/findings.md",
    "docs/hooks.md",
    "docs/toolkits.md",
    "docs/dynamic.md",
    "docs/topology.md",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_figure_in_a_document_is_what_the_kept_samples_say() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).unwrap();
    let allowed = Allowed::parse(&read("docs/figures.toml")).unwrap();
    let mut results = Results::of(&repository().join("docs/results"));
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        let compared = compare(Path::new(document), &read(document), &mut results, Some(&allowed));
        wrong.extend(compared.changes.iter().map(ToString::to_string));
        wrong.extend(compared.problems.iter().map(ToString::to_string));
    }
    let how = "`weir figures --fill README.md docs/*.md` writes what the samples say";
    assert!(wrong.is_empty(), "{how}:\n{}", wrong.join("\n"));
}

/// A folder with the results `made-up`, and a document beside it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn with(document: &str) -> Self {
        let desk = tempfile::tempdir().unwrap();
        let samples = folder_of(&Experiment::quick().samples());
        fs::create_dir_all(desk.path().join("docs/results/made-up")).unwrap();
        let from = samples.path().join("samples.jsonl");
        fs::copy(from, desk.path().join("docs/results/made-up/samples.jsonl")).unwrap();
        fs::write(desk.path().join("a.md"), document).unwrap();
        Self(desk)
    }

    fn figures(&self, arguments: &[&str]) -> Output {
        let command = Command::new(env!("CARGO_BIN_EXE_weir"))
            .arg("figures")
            .args(arguments)
            .current_dir(&self.0)
            .output();
        command.unwrap()
    }

    fn document(&self) -> String {
        fs::read_to_string(self.0.path().join("a.md")).unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_figure_that_is_another_one_is_said_with_its_place_and_written_anew() {
    let marker = "<!--=made-up quotients invalid_percent=99 server-cpu-->";
    let desk = Desk::with(&format!("# A\n\nThe kernel takes {marker}7.00 [6.00,\n8.00]<!----> of it.\n"));
    let checked = desk.figures(&["a.md"]);
    assert_eq!(checked.status.code(), Some(1));
    let expected = "a.md:3: 7.00 [6.00, 8.00] stands there, 0.0";
    assert!(said(&checked).contains(expected), "{}", said(&checked));
    assert!(said(&checked).contains("Changed much"), "{}", said(&checked));

    let filled = desk.figures(&["--fill", "a.md"]);
    assert!(filled.status.success(), "{}", said(&filled));
    let document = desk.document();
    assert!(
        document.contains(&format!("takes {marker}0.0")) && document.ends_with("]<!----> of it.\n"),
        "{document}"
    );
    let again = desk.figures(&["a.md"]);
    assert!(again.status.success(), "{}", said(&again));
}

#[test]
fn a_marker_that_nothing_answers_is_said_and_the_others_are_written() {
    let desk = Desk::with(
        "x <!--=made-up quotients invalid_percent=98 server-cpu-->1<!---->\n\
         x <!--=made-up quotients server-cpu-->1<!---->\n\
         x <!--=made-up moon a-->1<!---->\n\
         x <!--=elsewhere figures loss-->1<!---->\n\
         x <!--=made-up totals sound-->1<!---->\n",
    );
    let filled = desk.figures(&["--fill", "a.md"]);
    assert_eq!(filled.status.code(), Some(1));
    for expected in [
        "a.md:1: made-up quotients invalid_percent=98 server-cpu: no row",
        "a.md:2: made-up quotients server-cpu: 3 rows of table 'quotients': invalid_percent=0 or 50",
        "a.md:3: made-up moon a: no table 'moon'; there are: overview",
        "a.md:4: elsewhere figures loss: ",
    ] {
        assert!(said(&filled).contains(expected), "{expected} in {}", said(&filled));
    }
    assert!(desk.document().contains("sound-->36<!---->"), "{}", desk.document());
}

#[test]
fn an_interval_without_a_marker_is_refused_where_a_list_is_given() {
    let desk = Desk::with("# Bench\n\n1.0 [0.9, 1.1]\n\n# Other\n\n2.0 [1.9, 2.1]\n");
    let list = "[[printed]]\ndocument = 'a.md'\nby = 'weir bench'\nunder = 'Bench'\n";
    fs::write(desk.0.path().join("list.toml"), list).unwrap();
    assert!(desk.figures(&["a.md"]).status.success());
    let checked = desk.figures(&["--printed", "list.toml", "a.md"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(said(&checked).contains("a.md:7: [1.9, 2.1] has no marker"), "{}", said(&checked));
}
