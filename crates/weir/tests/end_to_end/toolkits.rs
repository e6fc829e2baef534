//! The toolkits beside each other, as `weir toolkits` measures them.

use std::collections::BTreeSet;

use serde_json::Value;
use weir_filters::{Combination, Hook};
use weir_testing::Test;

use crate::running::run;

pub(crate) const ANYWHERE: &[Test] =
    &[("a_filter_that_is_not_there_is_a_usage_error", a_filter_that_is_not_there_is_a_usage_error)];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("every_filter_is_measured_with_every_toolkit", every_filter_is_measured_with_every_toolkit),
    ("one_filter_can_be_measured_alone_as_a_table", one_filter_can_be_measured_alone_as_a_table),
];

fn measured(arguments: &[&str]) -> String {
    let ended = run(&[&["toolkits"], arguments].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.stdout
}

fn every_filter_is_measured_with_every_toolkit() {
    let said: Value = serde_json::from_str(&measured(&["--json"])).expect("JSON");
    assert!(said["batches"].as_u64() >= Some(20), "{said}");
    let rows = said["rows"].as_array().expect("rows");
    let combinations = || {
        let all =
            Combination::all().filter(|it| it.hook == Hook::Socket && weir_hooks::available(*it).is_ok());
        all.map(|it| (it.filter.to_string(), it.toolkit.to_string()))
    };
    let text = |row: &Value, key: &str| row[key].as_str().expect("a name").to_owned();
    let found: BTreeSet<_> = rows.iter().map(|row| (text(row, "filter"), text(row, "toolkit"))).collect();
    assert_eq!((rows.len(), found), (combinations().count(), combinations().collect()));
    let (classic, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["toolkit"] == "cbpf");
    for row in classic {
        assert!(row["instructions_written"].as_u64() >= Some(1), "{row}");
        assert!(row["load_ms"]["low"].as_f64() > Some(0.0), "{row}");
        for hidden in ["instructions_translated", "jited_bytes", "ns_over_accept_all"] {
            assert_eq!(row[hidden], Value::Null, "{row}");
        }
    }
    let others_are_verified = others[0]["verified_instructions"].is_u64();
    for row in others {
        let at_least = |key: &str, least: u64| assert!(row[key].as_u64() >= Some(least), "{key}: {row}");
        // Not even the accept-all program is shorter than `r0 = -1; exit`.
        at_least("instructions_written", 2);
        // Kernels say it since 5.16: of every program or of none.
        let verified = row["verified_instructions"].as_u64();
        assert!(verified.is_none_or(|count| count >= 2), "{row}");
        assert_eq!(verified.is_some(), others_are_verified, "{row}");
        let load = &row["load_ms"];
        assert!(load["low"].as_f64() > Some(0.0) && load["kind"] == "interval", "{row}");
        assert!(load["low"].as_f64() <= load["median"].as_f64(), "{row}");
        assert_eq!(row["ns_over_accept_all"]["runs"], said["batches"]);
        let is_empty = row["filter"] == "simple-socket-filter";
        // Everything else looks up a map, whose key is on the stack.
        assert_eq!(row["stack_bytes"].as_u64() == Some(0), is_empty, "{row}");
    }
    let needs = said["toolkits"].as_array().expect("toolkits");
    let names: Vec<_> = needs.iter().map(|needs| needs["toolkit"].as_str()).collect();
    let expected: BTreeSet<_> = combinations().map(|(_, toolkit)| toolkit).collect();
    assert_eq!(names.iter().flatten().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), expected);
    assert!(needs[0]["to_build"].as_str().is_some_and(|text| text.contains("bpf-linker")), "{said}");
}

fn one_filter_can_be_measured_alone_as_a_table() {
    let text = measured(&["--filter", "valid-command"]);
    let rows: Vec<_> = text.lines().filter(|line| line.contains("valid-command")).collect();
    let has = |toolkit: &str| rows.iter().any(|row| row.contains(&format!(" {toolkit} ")));
    assert!(["aya", "fun", "cbpf"].into_iter().all(has), "{text}");
    assert!(text.contains("as the toolkit writes them"), "{text}");
}

fn a_filter_that_is_not_there_is_a_usage_error() {
    let ended = run(&["toolkits", "--filter", "nope"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("unknown filter 'nope'"), "{ended:?}");
}
