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
