//! The schedule: what holds for every definition and seed.

use std::collections::{HashMap, HashSet};

use proptest::{collection::hash_set, prelude::*};
use weir_lab::experiment::{
    definition::Definition,
    schedule::{self, Scheduled},
};
use weir_results::cell::Cell;

prop_compose! {
    fn definition()(
        percents in hash_set(0u8..=100, 1..5),
        packets in hash_set(1u64..1_000_000, 1..4),
        sizes in hash_set(1u32..2000, 0..3),
        placements in 1usize..=3,
        runs in 1u32..5,
        clients in 1u32..12,
    ) -> Definition {
        let rows = [
            ("plain", "simple-socket-filter", "rust", "user"),
            ("user", "simple-socket-filter", "aya", "socket"),
            ("kernel", "valid-command", "aya", "socket"),
        ];
        let rows: String = rows[..placements].iter().map(|(placement, filter, toolkit, hook)| format!(
            "[[placements]]\nplacement = '{placement}'\nfilter = '{filter}'\ntoolkit = '{toolkit}'\nhook = '{hook}'\n"
        )).collect();
        let (percents, packets, sizes): (Vec<_>, Vec<_>, Vec<_>) =
            (percents.into_iter().collect(), packets.into_iter().collect(), sizes.into_iter().collect());
        Definition::parse(&format!(
            "name = 'x'\ntitle = ''\nquestion = ''\nruns = {runs}\nclients = {clients}\n\
             [grid]\ninvalid_percent = {percents:?}\npackets = {packets:?}\ninvalid_size = {sizes:?}\n{rows}"
        ), "a test").unwrap()
    }
}

/// What the placements of a pair share.
fn point(run: &Scheduled) -> (u32, u8, u64, Option<u32>) {
    (run.repetition, run.cell.invalid_percent, run.cell.packets, run.cell.invalid_size)
}

proptest! {
    #[test]
    fn every_cell_runs_exactly_as_often_as_asked(definition in definition(), seed: u64) {
        let schedule = schedule::of(&definition, seed);
        let mut repetitions: HashMap<&Cell, HashSet<u32>> = HashMap::new();
        for run in &schedule {
            prop_assert!(repetitions.entry(&run.cell).or_default().insert(run.repetition));
        }
        let all: HashSet<_> = (0..definition.runs).collect();
        prop_assert!(repetitions.values().all(|found| *found == all));
        let grid = &definition.grid;
        let points = grid.invalid_percent.len() * grid.packets.len() * grid.invalid_size.len().max(1);
        prop_assert_eq!(repetitions.len(), points * definition.placements.len());
    }

    #[test]
    fn indices_count_from_zero(definition in definition(), seed: u64) {
        let schedule = schedule::of(&definition, seed);
        prop_assert!(schedule.iter().enumerate().all(|(at, run)| run.index == at as u64));
    }

    #[test]
    fn the_same_seed_gives_the_same_order(definition in definition(), seed: u64) {
        prop_assert_eq!(schedule::of(&definition, seed), schedule::of(&definition, seed));
    }

    #[test]
    fn the_placements_of_a_pair_are_neighbours_with_one_seed(definition in definition(), seed: u64) {
        let schedule = schedule::of(&definition, seed);
        for block in schedule.chunks(definition.placements.len()) {
            prop_assert!(block.iter().all(|run| point(run) == point(&block[0]) && run.seed == block[0].seed));
            let placements: HashSet<_> = block.iter().map(|run| run.cell.placement).collect();
            prop_assert_eq!(placements.len(), definition.placements.len());
        }
    }

    #[test]
    fn a_repetition_ends_before_the_next_begins(definition in definition(), seed: u64) {
        prop_assert!(schedule::of(&definition, seed).is_sorted_by_key(|run| run.repetition));
    }

    #[test]
    fn the_clients_shares_add_up_to_the_cell(packets in 1u64..u64::MAX, percent in 0u8..=100, clients in 1u32..200) {
        let mut cell = schedule::of(&one_cell(), 0)[0].cell.clone();
        cell.packets = packets;
        cell.invalid_percent = percent;
        cell.clients = clients;
        let shares = schedule::shares(&cell);
        prop_assert_eq!(shares.iter().map(|share| u128::from(share.packets)).sum::<u128>(), u128::from(packets));
        prop_assert_eq!(shares.len() as u64, packets.min(u64::from(clients)));
        let (least, most) = (shares.last().unwrap().packets, shares[0].packets);
        prop_assert!(least >= 1 && most - least <= 1);
        for share in shares {
            prop_assert_eq!(u128::from(share.invalid), u128::from(share.packets) * u128::from(percent) / 100);
        }
    }
}

fn one_cell() -> Definition {
    Definition::parse(
        "name = 'x'\ntitle = ''\nquestion = ''\nruns = 1\n[grid]\ninvalid_percent = [1]\npackets = [1]\n\
         [[placements]]\nplacement = 'plain'\nfilter = 'simple-socket-filter'\ntoolkit = 'rust'\nhook = 'user'\n",
        "a test",
    )
    .unwrap()
}

#[test]
fn another_seed_gives_another_order() {
    let definition = weir_lab::experiment::catalogue::find("kernel-or-user").unwrap();
    let order = |seed| schedule::of(&definition, seed).into_iter().map(|run| run.cell).collect::<Vec<_>>();
    assert_ne!(order(1), order(2));
}
