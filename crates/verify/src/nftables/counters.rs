//! nft(8): rulesets loaded, and what their rules count.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use weir_guard::{meaning::Service, nft};

/// Loads a ruleset into the namespace of this thread.
pub(super) fn load(ruleset: &str) -> anyhow::Result<()> {
    run(&["-f", "-"], ruleset).context("loading the ruleset").map(drop)
}

/// How many datagrams the rules of a service's table counted, by their comments.
pub(super) fn counted(service: &Service) -> anyhow::Result<BTreeMap<String, u64>> {
    let text = run(&["-j", "list", "table", "inet", &nft::table_name(service)], "")?;
    let listing: Listing = serde_json::from_str(&text).context("reading what `nft -j list table` says")?;
    let mut counts = BTreeMap::new();
    for rule in listing.nftables.into_iter().filter_map(|item| item.rule) {
        let packets = rule.expr.iter().find_map(|part| part.counter.as_ref()).map(|counter| counter.packets);
        if let (Some(comment), Some(packets)) = (rule.comment, packets) {
            *counts.entry(comment).or_default() += packets;
        }
    }
    Ok(counts)
}

/// What `nft -j` prints, as far as it is read (libnftables-json(5)).
#[derive(Deserialize)]
struct Listing {
    nftables: Vec<ListedItem>,
}

#[derive(Deserialize)]
struct ListedItem {
    rule: Option<ListedRule>,
}

#[derive(Deserialize)]
struct ListedRule {
    comment: Option<String>,
    expr: Vec<ListedStatement>,
}

#[derive(Deserialize)]
struct ListedStatement {
    counter: Option<ListedCounter>,
}

#[derive(Deserialize)]
struct ListedCounter {
    packets: u64,
}

fn run(arguments: &[&str], input: &str) -> anyhow::Result<String> {
    // Not everybody's PATH has the folder.
    const USUAL: &str = "/usr/sbin/nft";
    let nft = if Path::new(USUAL).exists() { USUAL } else { "nft" };
    let mut child = Command::new(nft)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting nft (Debian package nftables)")?;
    let mut stdin = child.stdin.take().context("nft has no standard input")?;
    // nft says by its status that it didn't read.
    let written = stdin.write_all(input.as_bytes());
    drop(stdin);
    let ended = child.wait_with_output().context("waiting for nft")?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "nft {}: {}: {said}", arguments.join(" "), ended.status);
    written.context("writing to nft")?;
    String::from_utf8(ended.stdout).context("nft prints text")
}
