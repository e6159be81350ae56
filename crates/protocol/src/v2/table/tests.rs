#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn roster(rates: &[Vec<u64>]) -> Vec<Vec<Candidate>> {
    let mut uid = 0;
    let stage = |rates: &Vec<u64>| {
        let miner = |rate: &u64| {
            uid += 1;
            Candidate { uid, rate: *rate, doubted: false, turns: 7 }
        };
        rates.iter().map(miner).collect()
    };
    rates.iter().map(stage).collect()
}

fn table(seed: u64, rates: &[Vec<u64>]) -> Table {
    Table::new(seed, Lines::new(seed, 3, 0, &roster(rates)).unwrap())
}

fn rates() -> impl Strategy<Value = Vec<Vec<u64>>> {
    prop::collection::vec(prop::collection::vec(1u64..1_000, 1..7), 2..5)
}

/// Every turn of whole periods of stage 0, in order of place.
fn samples(table: &Table, periods: u32) -> Vec<(u64, Sample)> {
    let mut all = Vec::new();
    for line in &table.lines().stages[0] {
        for nth in 0..u32::from(line.weight) * periods {
            let sample = Sample { table: 3, head: line.uid, turn: line.turns + nth };
            all.push((table.place(line.uid, sample.turn).unwrap(), sample));
        }
    }
    all.sort_unstable();
    all
}

proptest! {
    #[test]
    fn turns_of_all_heads_together_cover_every_place_once(seed: u64, rates in rates(), periods in 1u32..4) {
        let table = table(seed, &rates);
        for (i, (place, sample)) in (0u64..).zip(samples(&table, periods)) {
            prop_assert_eq!(i, place);
            prop_assert_eq!(table.number_of(sample), Some(place));
        }
    }

    #[test]
    fn shares_within_a_stage_are_in_proportion_to_weights(seed: u64, rates in rates()) {
        let table = table(seed, &rates);
        for stage in 1..table.stages() {
            let lines = &table.lines().stages[stage];
            let period: usize = lines.iter().map(|l| usize::from(l.weight)).sum();
            let all = samples(&table, 16 * 7);
            let whole = all.len() / period * period;
            let mut served: BTreeMap<Uid, usize> = BTreeMap::new();
            for (_, sample) in &all[..whole] {
                *served.entry(table.pathway(*sample, stage as Stage).unwrap()).or_default() += 1;
            }
            for line in lines {
                let fair = whole / period * usize::from(line.weight);
                prop_assert_eq!(served.get(&line.uid).copied().unwrap_or(0), fair);
            }
        }
    }

    #[test]
    fn detours_name_everybody_else_once_and_only_the_right_rank_leads_there(seed: u64, rates in rates(), nth in 0u32..50) {
        let table = table(seed, &rates);
        let head = table.lines().stages[0][0];
        let sample = Sample { table: 3, head: head.uid, turn: head.turns + nth };
        for stage in 1..table.stages() as Stage {
            let intended = table.pathway(sample, stage).unwrap();
            let all: BTreeSet<Uid> = table.miners(stage).collect();
            let mut seen = BTreeSet::from([intended]);
            for rank in 1..all.len() as u8 {
                let there = table.detour(sample, stage, rank).unwrap();
                prop_assert!(seen.insert(there));
                prop_assert!(table.leads_to(sample, stage, rank, there));
                prop_assert!(!table.leads_to(sample, stage, 0, there));
            }
            prop_assert_eq!(&seen, &all);
            prop_assert_eq!(table.detour(sample, stage, all.len() as u8), None);
        }
    }

    #[test]
    fn a_table_survives_its_encoding(seed: u64, rates in rates()) {
        let table = table(seed, &rates);
        let lines = Lines::decode(&mut &table.lines().encode()[..]).unwrap();
        prop_assert_eq!(Table::new(seed, lines), table);
    }
}

#[test]
fn work_is_interleaved_and_not_dealt_in_blocks() {
    let lines = [4, 2, 1].map(|weight| Line { uid: 0, weight, turns: 0 });
    assert_eq!(sequence(&lines), [0, 0, 1, 0, 0, 1, 2]);
    let even = [1; 3].map(|weight| Line { uid: 0, weight, turns: 0 });
    assert_eq!(sequence(&even), [0, 1, 2]);
}

#[test]
fn who_works_with_whom_changes_from_table_to_table_and_stays_within_one() {
    let pairs = |number: u32| {
        let table = Table::new(5, Lines::new(5, number, 0, &roster(&[vec![10, 10], vec![10, 10]])).unwrap());
        let of = |line: &Line| {
            let at = |turn| table.pathway(Sample { table: number, head: line.uid, turn }, 1).unwrap();
            let all: BTreeSet<_> = (7..60).map(at).collect();
            assert_eq!(all.len(), 1);
            (line.uid, at(7))
        };
        table.lines().stages[0].iter().map(of).collect::<BTreeSet<_>>()
    };
    let all: BTreeSet<_> = (0..16).map(pairs).collect();
    assert_eq!(all.len(), 2);
}

#[test]
fn samples_from_before_the_table_or_of_another_have_no_place() {
    let table = table(5, &[vec![10], vec![10]]);
    let head = table.lines().stages[0][0].uid;
    assert_eq!(table.place(head, 6), None);
    assert_eq!(table.place(head + 1, 9), None);
    assert_eq!(table.pathway(Sample { table: 4, head, turn: 9 }, 1), None);
}

#[test]
fn a_lone_head_counts_samples_without_gaps_over_tables() {
    // The run with one miner a stage is the oracle: sample numbers must not depend on when tables are made.
    let lone = |first, turns| {
        let roster: Vec<Vec<Candidate>> = vec![vec![Candidate { uid: 1, rate: 9, doubted: false, turns }]];
        Table::new(1, Lines::new(1, 0, first, &roster).unwrap())
    };
    let (a, b) = (lone(0, 0), lone(5, 5));
    let at = |turn| Sample { table: 0, head: 1, turn };
    assert_eq!(a.number_of(at(8)), Some(8));
    assert_eq!(b.number_of(at(8)), Some(8));
}

#[test]
fn a_doubted_miner_gets_half() {
    let roster = vec![vec![
        Candidate { uid: 1, rate: 10, doubted: true, turns: 0 },
        Candidate { uid: 2, rate: 10, doubted: false, turns: 0 },
    ]];
    let lines = Lines::new(1, 0, 0, &roster).unwrap();
    let weight = |uid| lines.stages[0].iter().find(|l| l.uid == uid).unwrap().weight;
    assert_eq!((weight(1), weight(2)), (1, 2));
}
