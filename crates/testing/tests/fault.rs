//! Each fault does what it says to a real process or link, and is gone when it is lifted.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{net::UdpSocket, process::Command, time::Duration};

use starling_testing::{
    fault::{Case, Chaos, Fault, FaultError, Moment, Victim},
    lab::{Lab, Link, Way},
    process::{Process, ProcessError},
};

const LIMIT: Duration = Duration::from_secs(60);

fn work() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done; echo done; exec sleep 1000"]);
    command
}

#[test]
fn a_process_meets_its_fault_at_the_moment_of_its_case() {
    for case in Case::processes() {
        let mut process = Process::start("worker", work()).unwrap();
        let mut struck = None;
        for moment in [Moment::Before, Moment::During, Moment::After] {
            let reached = match moment {
                Moment::Before => Ok(String::new()),
                Moment::During => process.until("its tenth line", LIMIT, |line| line == "10"),
                Moment::After => process.until("its end", LIMIT, |line| line == "done"),
            };
            match reached {
                Ok(_) => {}
                // It was killed before it got there, and by this case.
                Err(ProcessError::Ended { .. }) if case.fault == Fault::Kill && case.from < moment => break,
                Err(e) => panic!("{case}: {e}"),
            }
            case.reach(moment, &mut Victim { process: &mut process, place: None }, &mut struck).unwrap();
            // A hung one is let go here if its case ends later: it could not reach the next moment by itself.
            if case.fault == Fault::Hang && case.from == moment {
                let state = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
                assert!(state.contains(") T "), "{case}: {state}");
                struck.take().unwrap().lift(&mut Victim { process: &mut process, place: None }).unwrap();
            }
        }
        match case.fault {
            Fault::Kill => {
                assert!(!process.runs(), "{case}");
                struck.unwrap().lift(&mut Victim { process: &mut process, place: None }).unwrap();
                process.until("its end", LIMIT, |line| line == "done").unwrap();
            }
            _ => assert!(process.runs() && struck.is_none(), "{case}"),
        }
    }
}

#[test]
fn a_link_meets_its_fault_at_the_moment_of_its_case_and_is_what_it_was_afterwards() {
    let Some(lab) = Lab::for_test("faults of links", 1) else { return };
    let good = Link::delay(Duration::from_millis(1));
    let bad = Link::delay(Duration::from_millis(20)).rate(1_000_000).loss(0.1);
    let (host, peer) = (lab.host("victim", good).unwrap(), lab.host("peer", good).unwrap());
    let mut command = host.command("sleep");
    command.arg("1000");
    let mut process = Process::start("victim", command).unwrap();
    let open = |host: &starling_testing::lab::Host| host.within(|| UdpSocket::bind("0.0.0.0:7001")).unwrap().unwrap();
    let (own, other) = (open(&host), open(&peer));

    for case in Case::links(bad) {
        let mut struck = None;
        for moment in [Moment::Before, Moment::During, Moment::After] {
            case.reach(moment, &mut Victim { process: &mut process, place: Some((&lab, &host)) }, &mut struck).unwrap();
            let holds = case.from <= moment && case.until.is_none_or(|until| moment < until);
            assert_eq!(struck.is_some(), holds, "{case}");
            for way in Way::BOTH {
                let expected = if holds && case.fault == Fault::Link(way, bad) { bad } else { good };
                assert_eq!(lab.link(&host, way).unwrap(), expected, "{case}");
            }
            // One packet in each direction. Which of them a partition stops is counted on entering.
            let before = lab.refused().unwrap().partitioned;
            own.send_to(b"x", (peer.address(), 7001)).unwrap();
            let stopped = lab.refused().unwrap().partitioned - before;
            assert_eq!(stopped == 1, holds && matches!(case.fault, Fault::Partition | Fault::Mute), "{case}");
            other.send_to(b"x", (host.address(), 7001)).unwrap();
            let stopped = lab.refused().unwrap().partitioned - before - stopped;
            assert_eq!(stopped == 1, holds && matches!(case.fault, Fault::Partition | Fault::Deaf), "{case}");
            // What is on its way when the next fault strikes would be counted with it.
            for way in Way::BOTH {
                let arrived = |host| {
                    let n = lab.counters(host, way).unwrap();
                    n.delivered + n.lost == n.packets
                };
                while !(arrived(&host) && arrived(&peer)) {
                    std::thread::yield_now();
                }
            }
        }
    }
}

#[test]
fn a_fault_of_a_link_needs_a_link() {
    let mut process = Process::start("worker", work()).unwrap();
    let refused = Fault::Partition.strike(&mut Victim { process: &mut process, place: None });
    assert!(matches!(refused, Err(FaultError::NoLink { .. })));
}

#[test]
fn chaos_is_the_same_with_the_same_seed_and_reaches_every_victim_with_every_fault() {
    let faults = vec![Fault::Kill, Fault::Hang, Fault::Partition];
    let draw = |seed| Chaos::new(seed, 4, faults.clone()).take(200).collect::<Vec<_>>();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    for victim in 0..4 {
        for fault in &faults {
            assert!(draw(1).contains(&(victim, *fault)));
        }
    }
    assert_eq!(Chaos::new(1, 0, faults).next(), None);
    assert_eq!(Chaos::new(1, 4, Vec::new()).next(), None);
}
