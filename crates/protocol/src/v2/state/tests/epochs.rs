//! When an epoch ends.

use super::swarm::Swarm;
use crate::v2::state::Submission;

#[test]
fn an_epoch_waits_for_every_stage_and_the_last_one_for_any() {
    for (epochs, ends) in [(100, false), (1, true)] {
        let mut swarm = Swarm::with_epochs(2, 1, &[], epochs);
        swarm.wait(2_000);
        let tally = swarm.tally(101, 4, true);
        swarm.say(Submission::Tally(tally)).unwrap();
        let names = swarm.settle();
        assert_eq!(names.contains(&"epoch-ended"), ends, "of {epochs} epochs: {names:?}");
    }
}

/// Slots of a stage in the newest table.
fn dealt(swarm: &Swarm, stage: u16) -> Vec<u16> {
    let mut slots: Vec<u16> = swarm.state.table().unwrap().miners(stage).collect();
    slots.sort_unstable();
    slots
}

#[test]
fn who_completes_nothing_leaves_the_tables_without_a_complaint_and_is_tried_again() {
    // Stage 0 has slots 100 and 102, stage 1 has 101 and 103; of each the second does nothing.
    let mut swarm = Swarm::new(2, 2, &[]);
    let (mut without_head, mut without_other, mut tried) = (None, None, false);
    for round in 0..400 {
        swarm.wait(2_000);
        for uid in 100..104 {
            let tally = swarm.tally(uid, if uid < 102 { 5 } else { 0 }, false);
            swarm.say(Submission::Tally(tally)).unwrap();
        }
        swarm.settle();
        if dealt(&swarm, 0) == [100] {
            without_head.get_or_insert(round);
        }
        if dealt(&swarm, 1) == [101] {
            without_other.get_or_insert(round);
        }
        tried |= without_other.is_some() && dealt(&swarm, 1) == [101, 103];
    }
    let (head, other) = (without_head.unwrap(), without_other.unwrap());
    assert!(head < 6, "a head could begin turns of its own: {head}");
    assert!((6..16).contains(&other), "another may only have been starved: {other}");
    assert!(tried, "it is let in again now and then");
    assert_eq!(dealt(&swarm, 0), [100]);
}
