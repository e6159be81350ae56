//! What befalls a process and its link, as an enum, and when: one test over all cases instead of one test for each.
//!
//! A [`Case`] is a [`Fault`] with the moment at which it strikes and the one at which it is lifted. The test drives its work past the moments
//! and calls [`Case::reach`] at each of them; which case it has been given decides what happens. [`Chaos`] draws faults from a seed for tests
//! that go on for minutes. hivemind's averaging tests do the same with their enum of faults.
//!
//! Invariant: a fault that can be lifted leaves nothing behind: the process runs, the link is what it was, nobody is partitioned by it.

use std::fmt;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};

use crate::{
    lab::{Host, Lab, LabError, Link, Way},
    process::{Process, ProcessError},
};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL, at whatever instruction. Lifting it starts the process again.
    Kill,
    /// SIGSTOP: the process stands still, its connections stay open. Lifting it is SIGCONT.
    Hang,
    /// One direction of the host's link becomes this one: slow, late, lossy.
    Link(Way, Link),
    /// Nothing passes between the host and all others.
    Partition,
    /// What the host sends reaches nobody; what it is sent still arrives.
    Mute,
    /// What others send does not reach the host; what it sends still arrives.
    Deaf,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::Hang => f.write_str("hang"),
            Self::Link(Way::Up, _) => f.write_str("bad uplink"),
            Self::Link(Way::Down, _) => f.write_str("bad downlink"),
            Self::Partition => f.write_str("partition"),
            Self::Mute => f.write_str("mute"),
            Self::Deaf => f.write_str("deaf"),
        }
    }
}

/// A moment of the work that a test lets a process do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The process runs, the work has not begun.
    Before,
    /// The work has begun and has not ended.
    During,
    /// The work has ended.
    After,
}

/// A process of a test, and its place in the lab, if it has one.
pub struct Victim<'a> {
    /// Who it befalls.
    pub process: &'a mut Process,
    /// Needed by the faults of links.
    pub place: Option<(&'a Lab, &'a Host)>,
}

/// Why a fault could not be done.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The link.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A fault of a link befalls who has none.
    #[error("{name} is not in a lab: it has no link for the fault `{fault}`")]
    NoLink {
        /// The process.
        name: String,
        /// The fault.
        fault: String,
    },
}

/// A fault that has happened.
#[derive(Debug)]
#[must_use = "it lasts until it is lifted"]
pub struct Struck {
    fault: Fault,
    /// What the link was.
    link: Option<Link>,
}

impl Fault {
    /// Let it happen now.
    ///
    /// # Errors
    ///
    /// The process or the lab refused.
    pub fn strike(self, victim: &mut Victim<'_>) -> Result<Struck, FaultError> {
        let mut link = None;
        match self {
            Self::Kill => drop(victim.process.kill()?),
            Self::Hang => victim.process.hang()?,
            Self::Link(way, bad) => {
                let (lab, host) = victim.place(self)?;
                link = Some(lab.link(host, way)?);
                lab.set(host, way, bad)?;
            }
            Self::Partition | Self::Mute | Self::Deaf => {
                let (lab, host) = victim.place(self)?;
                let (hosts, own) = (lab.hosts(), [host]);
                let all: Vec<&Host> = hosts.iter().collect();
                if self != Self::Deaf {
                    lab.block(&own, &all)?;
                }
                if self != Self::Mute {
                    lab.block(&all, &own)?;
                }
            }
        }
        Ok(Struck { fault: self, link })
    }
}

impl Struck {
    /// What it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Undo it: start, continue, the link as it was, or all that stood between the host and the others away.
    ///
    /// # Errors
    ///
    /// The process or the lab refused.
    pub fn lift(self, victim: &mut Victim<'_>) -> Result<(), FaultError> {
        match self.fault {
            Fault::Kill => victim.process.restart()?,
            Fault::Hang => victim.process.resume()?,
            Fault::Link(way, _) => {
                let (lab, host) = victim.place(self.fault)?;
                if let Some(link) = self.link {
                    lab.set(host, way, link)?;
                }
            }
            Fault::Partition | Fault::Mute | Fault::Deaf => {
                let (lab, host) = victim.place(self.fault)?;
                let (hosts, own) = (lab.hosts(), [host]);
                let all: Vec<&Host> = hosts.iter().collect();
                lab.unblock(&own, &all)?;
                lab.unblock(&all, &own)?;
            }
        }
        Ok(())
    }
}

impl<'a> Victim<'a> {
    fn place(&self, fault: Fault) -> Result<(&'a Lab, &'a Host), FaultError> {
        self.place.ok_or_else(|| FaultError::NoLink { name: self.process.name().into(), fault: fault.to_string() })
    }
}

/// A fault with its moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// What happens.
    pub fault: Fault,
    /// When.
    pub from: Moment,
    /// When it is lifted; `None`: the test does it, or nobody.
    pub until: Option<Moment>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = |moment| match moment {
            Moment::Before => "before",
            Moment::During => "during",
            Moment::After => "after",
        };
        write!(f, "{} {}", self.fault, moment(self.from))?;
        self.until.map_or(Ok(()), |until| write!(f, " until {}", moment(until)))
    }
}

impl Case {
    /// What can befall a process that is in no lab: killed at each moment; standing still before the work and into it, and from its middle
    /// to its end.
    pub fn processes() -> Vec<Self> {
        use Moment::{After, Before, During};
        let killed = [Before, During, After].map(|from| Self { fault: Fault::Kill, from, until: None });
        let hung = [(Before, During), (During, After)].map(|(from, until)| Self {
            fault: Fault::Hang,
            from,
            until: Some(until),
        });
        killed.into_iter().chain(hung).collect()
    }

    /// What can befall a link: bad in each direction throughout the work (slow), and cut before the work and into it, or from its middle
    /// to its end, in each direction and both.
    pub fn links(bad: Link) -> Vec<Self> {
        use Moment::{After, Before, During};
        let slow = Way::BOTH.map(|way| Self { fault: Fault::Link(way, bad), from: Before, until: Some(After) });
        let cut = [Fault::Partition, Fault::Mute, Fault::Deaf].into_iter().flat_map(|fault| {
            [(Before, During), (During, After)].map(|(from, until)| Self { fault, from, until: Some(until) })
        });
        slow.into_iter().chain(cut).collect()
    }

    /// The work has reached a moment: the fault strikes or is lifted, if this is its time. `struck` is what the test keeps between calls.
    ///
    /// # Errors
    ///
    /// The process or the lab refused.
    pub fn reach(
        &self,
        moment: Moment,
        victim: &mut Victim<'_>,
        struck: &mut Option<Struck>,
    ) -> Result<(), FaultError> {
        if self.until == Some(moment)
            && let Some(struck) = struck.take()
        {
            struck.lift(victim)?;
        }
        if self.from == moment {
            *struck = Some(self.fault.strike(victim)?);
        }
        Ok(())
    }
}

/// Faults without end for a test that goes on for minutes, drawn from a seed: which victim, and what befalls it.
#[derive(Clone, Debug)]
pub struct Chaos {
    draws: ChaCha8Rng,
    victims: usize,
    faults: Vec<Fault>,
}

impl Chaos {
    /// Of these faults, over so many victims. Equal seeds give equal faults.
    pub fn new(seed: u64, victims: usize, faults: Vec<Fault>) -> Self {
        Self { draws: ChaCha8Rng::seed_from_u64(seed), victims, faults }
    }
}

impl Iterator for Chaos {
    /// The victim's index, and its fault.
    type Item = (usize, Fault);

    /// `None` only without victims or without faults.
    fn next(&mut self) -> Option<Self::Item> {
        let mut draw = |below: usize| {
            // The top of a 128-bit product: even to within 2^-64 of `below`.
            let product = u128::from(self.draws.next_u64()) * below as u128;
            (product >> 64) as usize
        };
        let (victim, fault) = (draw(self.victims), draw(self.faults.len()));
        (victim < self.victims).then_some(())?;
        Some((victim, *self.faults.get(fault)?))
    }
}
