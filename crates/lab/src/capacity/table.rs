//! The summary as text for people.

use std::fmt::Write as _;

use weir_output::terminal;
use weir_results::{
    capacity::{Capacity, CapacityCost, Decider},
    number,
};

use super::{priority::Priority, summary::CapacitySummary};

/// The summary's tables; `plain` for a pipe.
pub fn text(summary: &CapacitySummary, plain: bool) -> String {
    let mut text =
        format!("The generator's ceilings:\n{}\n\n{}\n", ceilings(summary, plain), priority(summary));
    for named in &summary.plan.goals {
        let goal = &named.goal;
        let of_goal: Vec<_> =
            summary.found.capacities.iter().filter(|capacity| capacity.goal == named.name).collect();
        let _ = write!(
            text,
            "\n{}: highest rate at which at most {} % of the valid requests are lost, in trials of {:?}, to {} %:\n{}\n",
            named.name,
            goal.loss_ratio * 100.0,
            goal.final_trial,
            number::number(goal.width * 100.0, 2),
            capacities(&of_goal, plain)
        );
        text += &spreads(&of_goal);
        text += &coarse(&of_goal, goal.loss_ratio);
    }
    if !summary.costs.is_empty() {
        let _ = write!(
            text,
            "\nThe server's CPU time at a rate that all carry:\n{}\n",
            costs(&summary.costs, plain)
        );
    }
    let _ = write!(text, "\nSide by side:\n{}\n", ratios(summary, plain));
    text
}

fn ceilings(summary: &CapacitySummary, plain: bool) -> impl std::fmt::Display {
    let mut table = terminal::table(plain);
    table.set_header(["invalid", "server", "ceiling, packets/s", "searched up to"]);
    for ceiling in &summary.ceilings {
        table.add_row([
            format!("{} %", ceiling.cell.invalid_percent),
            Decider::of(&ceiling.cell).name().to_owned(),
            number::count(ceiling.rate as u64),
            number::count(ceiling.highest),
        ]);
    }
    table
}

fn priority(summary: &CapacitySummary) -> String {
    let Priority { nice, is_highest } = summary.priority;
    let why_not = "; as root it would be −20, and rates repeat better where nobody else gets the core between two packets";
    let nice = if nice < 0 { format!("−{}", -nice) } else { nice.to_string() };
    format!("Servers and clients ran at nice {nice}{}.", if is_highest { "" } else { why_not })
}

fn capacities(capacities: &[&Capacity], plain: bool) -> impl std::fmt::Display {
    let mut table = terminal::table(plain);
    table.set_header([
        "invalid",
        "server",
        "offered, packets/s",
        "valid through, /s",
        "limited",
        "trials",
        "under load",
    ]);
    for capacity in capacities {
        let lowest = if capacity.rate.low == 0.0 { " (0: not even the lowest rate)" } else { "" };
        table.add_row([
            format!("{} %", capacity.invalid_percent),
            capacity.placement.name().to_owned(),
            capacity.text() + lowest,
            capacity.valid_goodput.map_or_else(|| "–".into(), |goodput| capacity.known.rate_text(&goodput)),
            limited(capacity),
            capacity.trials.to_string(),
            format!("{:.0} s", capacity.under_load_s),
        ]);
    }
    table
}

fn limited(capacity: &Capacity) -> String {
    let reasons = [(capacity.limited, "by the generator"), (capacity.out_of_trials, "by too many trials")];
    let named: Vec<_> = reasons
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, by)| format!("{by}, {count} of {} searches", capacity.searches.len()))
        .collect();
    if named.is_empty() { "no".into() } else { named.join("; ") }
}

fn spreads(capacities: &[&Capacity]) -> String {
    let mut text = String::new();
    for capacity in capacities {
        let Some(in_a_row) = capacity.spread.in_a_row else { continue };
        let _ = write!(
            text,
            "{} at {} % invalid: two searches in a row differ by {:.0} % at most",
            capacity.placement.name(),
            capacity.invalid_percent,
            in_a_row * 100.0
        );
        if let Some(ratio) = capacity.spread.highest_to_lowest {
            let _ = write!(text, ", the highest is {} times the lowest", number::ratio(ratio));
        }
        for why in &capacity.spread.why {
            let _ = write!(text, "; {why}");
        }
        text.push('\n');
    }
    text
}

/// Where a lost request or none is all that a trial can tell.
fn coarse(capacities: &[&Capacity], loss_ratio: f64) -> String {
    let is_coarse = |capacity: &&&Capacity| capacity.valid_a_trial * loss_ratio < 1.0;
    let coarse = capacities.iter().filter(|_| loss_ratio > 0.0).filter(is_coarse);
    coarse
        .map(|capacity| {
            format!(
                "{} at {} % invalid: a trial has {:.0} valid requests, so that one lost is more than {} %; a longer --trial tells them apart\n",
                capacity.placement.name(),
                capacity.invalid_percent,
                capacity.valid_a_trial,
                loss_ratio * 100.0
            )
        })
        .collect()
}

fn costs(costs: &[CapacityCost], plain: bool) -> impl std::fmt::Display {
    let mut table = terminal::table(plain);
    table.set_header([
        "invalid",
        "server",
        "offered, packets/s",
        "CPU a packet, µs",
        "of a core, %",
        "core busy, %",
    ]);
    for cost in costs {
        let three = |value| number::number(value, 3);
        table.add_row([
            format!("{} %", cost.invalid_percent),
            cost.placement.name().to_owned(),
            number::count(cost.rate),
            number::estimate(&cost.us_per_packet, three),
            number::estimate(&cost.core_percent, three),
            cost.busy_percent.map_or_else(|| "–".into(), |busy| number::estimate(&busy, three)),
        ]);
    }
    table
}

fn ratios(summary: &CapacitySummary, plain: bool) -> impl std::fmt::Display {
    let mut table = terminal::table(plain);
    table.set_header(["", "invalid", "servers", "ratio", "interval excludes 1"]);
    for ratio in summary.found.ratios.iter().chain(&summary.cost_ratios) {
        table.add_row([
            ratio.of.clone(),
            format!("{} %", ratio.invalid_percent),
            format!("{} ÷ {}", ratio.numerator, ratio.denominator),
            ratio.text(),
            (if ratio.excludes_one { "yes" } else { "no" }).to_owned(),
        ]);
    }
    table
}
