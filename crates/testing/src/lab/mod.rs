//! A network lab: real processes, each in a network namespace of its own, joined by a simulated internet on this machine.
//!
//! Each [`Host`] has a TUN device for its only way out. A router in this process takes its packets, does to them what the host's [`Link`]
//! says (and then what the receiver's says), and hands them to the receiver's device. The kernels' own TCP, UDP and NAT are at work on both
//! sides; only the wire between them is simulated. Draws come from the lab's seed, so that the n-th packet on a link meets the same fate
//! in each run.
//!
//! Invariants: no packet leaves the lab (its namespaces have no other interface, and its addresses, 198.18.0.0/15 and 192.168.0.0/16,
//! are for benchmarks and private networks, RFC 2544 and RFC 1918); everything ends with [`Lab`]; what a killed owner left behind is removed
//! by the next lab on the machine. `docs/lab.md` explains it to people.
//!
//! ```no_run
//! use std::time::Duration;
//! use starling_testing::lab::{Lab, Link};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lab = Lab::new(7)?;
//! let far = Link::delay(Duration::from_millis(40)).rate(100_000_000);
//! let (miner, owner) = (lab.host("miner-1", far)?, lab.host("owner", Link::default())?);
//! let mut child = miner.command("curl").arg(format!("http://{}", owner.address())).spawn()?;
//! lab.partition(&[&miner], &[&owner])?;
//! lab.heal()?;
//! child.wait()?;
//! # Ok(())
//! # }
//! ```

mod internet;
mod link;
mod namespace;
mod nat;
mod packet;
mod pipe;
pub mod plan;
mod router;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::Ipv4Addr,
    process::Command,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

pub use internet::Refused;
pub use link::{Counters, LONGEST, Link, LinkError, SLOWEST, Way};
pub use namespace::MTU;
pub use nat::Nat;
pub use router::Load;

use internet::Internet;
use namespace::Namespace;
use pipe::Packet;
use router::Router;

/// Hosts in one lab: the router looks at every link before each event.
pub const HOSTS: usize = 1000;
/// Hosts behind a NAT: each has a private network of its own.
pub const GATES: u8 = 250;

/// Why a lab could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program that the lab needs and the machine lacks.
    #[error("`{program}` is not installed: run scripts/lab-setup (Debian's packages iproute2 and nftables)")]
    Missing {
        /// Its name.
        program: String,
    },
    /// A program ended with an error.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// With its arguments.
        command: String,
        /// Its exit status and what it said.
        reason: String,
    },
    /// No TUN device.
    #[error(
        "cannot make a TUN device: {source}: it needs /dev/net/tun and the right to administer networks (CAP_NET_ADMIN)"
    )]
    Tun {
        /// The kernel's reason.
        source: io::Error,
    },
    /// A namespace that exists and cannot be entered.
    #[error("cannot enter the network namespace {name}: {source}: it needs CAP_SYS_ADMIN")]
    Enter {
        /// As `ip netns list` shows it.
        name: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// What the kernel tells of processes cannot be read.
    #[error("cannot read {0}")]
    Proc(&'static str),
    /// The router cannot work.
    #[error("the lab's router: {0}")]
    Router(#[from] io::Error),
    /// The router ended before the lab.
    #[error("the lab's router: {0}")]
    Ended(#[from] router::Ended),
    /// A link that cannot be made.
    #[error("the link of {host}: {source}")]
    Link {
        /// Whose link.
        host: String,
        /// What is wrong with it.
        source: LinkError,
    },
    /// A host's name that cannot be used.
    #[error("{name:?} cannot be a host's name: 1 to 40 of a-z, 0-9 and -, and each once in a lab")]
    Name {
        /// As given.
        name: String,
    },
    /// A host that is not in this lab.
    #[error("there is no host {name:?} in this lab")]
    Unknown {
        /// As given.
        name: String,
    },
    /// Too many hosts.
    #[error("a lab has room for {HOSTS} hosts, {GATES} of them behind a NAT")]
    Full,
}

/// A simulated internet. See the module.
pub struct Lab {
    family: String,
    // Before the router: its devices outlive the processes that use them.
    state: Mutex<State>,
    router: Router,
}

#[derive(Default)]
struct State {
    spaces: Vec<Namespace>,
    hosts: BTreeMap<String, Host>,
    gates: u8,
}

/// A machine of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    namespace: String,
    index: usize,
    address: Ipv4Addr,
    inside: Ipv4Addr,
    nat: Option<Nat>,
}

impl Host {
    /// Its name in the lab.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address at which others see it. Behind a NAT that is the router's, and connections to it are not let in.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The address of its own interface: another one than [`Host::address`] behind a NAT.
    pub fn inside(&self) -> Ipv4Addr {
        self.inside
    }

    /// The NAT that it is behind.
    pub fn nat(&self) -> Option<Nat> {
        self.nat
    }

    /// A command that runs a program on this host. Its process id is the program's. `tokio::process::Command` is made from it by `from`.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        namespace::command(&self.namespace, program)
    }

    /// Run a closure on a thread that is on this host: sockets that it opens are the host's, wherever they are used afterwards.
    ///
    /// # Errors
    ///
    /// The lab has ended.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        namespace::within(&self.namespace, work)
    }
}

impl Lab {
    /// Whether labs can be made here, and if not, why not. Tries everything that a lab may need, once per process.
    ///
    /// # Errors
    ///
    /// The reason, for people.
    pub fn available() -> Result<(), String> {
        static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
        let attempt = || {
            let lab = Self::new(0)?;
            lab.host_behind("probe", Nat::PortRestricted, Link::default(), Link::default()).map(drop)
        };
        ANSWER.get_or_init(|| attempt().map_err(|e: LabError| e.to_string())).clone()
    }

    /// A lab for a test, or `None` after a line that says that the test is skipped and why: it goes past the test harness's capture, so that
    /// skipped tests can be counted.
    ///
    /// # Panics
    ///
    /// Where the environment variable `CI` is set, labs must be available.
    #[allow(clippy::panic, reason = "it is for tests, and must fail them")]
    pub fn for_test(test: &str, seed: u64) -> Option<Self> {
        match Self::available().and_then(|()| Self::new(seed).map_err(|e| e.to_string())) {
            Ok(lab) => Some(lab),
            Err(reason) if std::env::var_os("CI").is_some() => panic!("no lab in CI for {test}: {reason}"),
            Err(reason) => {
                // The harness has begun a line.
                let _ = writeln!(io::stderr(), "\nlab: skipped: {test}: {reason}");
                None
            }
        }
    }

    /// A lab without hosts, whose random draws follow from the seed. First removes what labs of dead processes have left behind.
    ///
    /// # Errors
    ///
    /// The machine cannot run the router.
    pub fn new(seed: u64) -> Result<Self, LabError> {
        namespace::sweep();
        Ok(Self { family: namespace::family()?, state: Mutex::default(), router: Router::start(seed)? })
    }

    /// A host more; its link is the same in both directions.
    ///
    /// # Errors
    ///
    /// The name or the link cannot be used, or the machine does not allow namespaces or TUN devices.
    pub fn host(&self, name: &str, link: Link) -> Result<Host, LabError> {
        self.add(name, None, link, link)
    }

    /// A host more, whose link differs by direction.
    ///
    /// # Errors
    ///
    /// As for [`Lab::host`].
    pub fn host_with(&self, name: &str, up: Link, down: Link) -> Result<Host, LabError> {
        self.add(name, None, up, down)
    }

    /// A host more behind a router that translates its address: it can open connections, nobody can open one to it.
    ///
    /// # Errors
    ///
    /// As for [`Lab::host`], and where nftables does not work.
    pub fn host_behind(&self, name: &str, nat: Nat, up: Link, down: Link) -> Result<Host, LabError> {
        self.add(name, Some(nat), up, down)
    }

    fn add(&self, name: &str, nat: Option<Nat>, up: Link, down: Link) -> Result<Host, LabError> {
        for link in [up, down] {
            link.check().map_err(|source| LabError::Link { host: name.into(), source })?;
        }
        let mut state = self.state();
        let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !(1..=40).contains(&name.len()) || !letters || state.hosts.contains_key(name) {
            return Err(LabError::Name { name: name.into() });
        }
        let index = state.hosts.len();
        if index >= HOSTS || nat.is_some() && state.gates >= GATES {
            return Err(LabError::Full);
        }
        let address = address(index);
        let space = Namespace::new(&self.family, name)?;
        let namespace = space.name.clone();
        let (device, inside) = match nat {
            None => (space.tun(address, 15)?, address),
            Some(nat) => {
                let gate = Namespace::new(&self.family, &format!("{name}.gate"))?;
                let device = gate.tun(address, 15)?;
                let inside = nat::install(nat, state.gates, &gate, &space)?;
                state.gates += 1;
                state.spaces.push(gate);
                (device, inside)
            }
        };
        state.spaces.push(space);
        let own = name.to_owned();
        self.router.call(move |core| {
            core.add(device)?;
            core.change(|_, internet, _| internet.add(&own, address, up, down));
            Ok::<_, io::Error>(())
        })??;
        let host = Host { name: name.into(), namespace, index, address, inside, nat };
        state.hosts.insert(name.into(), host.clone());
        Ok(host)
    }

    /// The host of this name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn find(&self, name: &str) -> Result<Host, LabError> {
        self.state().hosts.get(name).cloned().ok_or_else(|| LabError::Unknown { name: name.into() })
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> Vec<Host> {
        self.state().hosts.values().cloned().collect()
    }

    /// One direction of a host's link becomes another one, for all packets that are sent from now on; those that wait for the rate go at the
    /// new rate, those that travel arrive when they would have.
    ///
    /// # Errors
    ///
    /// The link cannot be made, or the host is another lab's.
    pub fn set(&self, host: &Host, way: Way, link: Link) -> Result<(), LabError> {
        link.check().map_err(|source| LabError::Link { host: host.name.clone(), source })?;
        let index = self.index(host)?;
        self.change(move |now, internet, arrived| internet.set(now, index, way, link, arrived))
    }

    /// One direction of a host's link as it is now.
    ///
    /// # Errors
    ///
    /// The host is another lab's.
    pub fn link(&self, host: &Host, way: Way) -> Result<Link, LabError> {
        Ok(self.ask(host, way)?.0)
    }

    /// What has happened on one direction of a host's link.
    ///
    /// # Errors
    ///
    /// The host is another lab's.
    pub fn counters(&self, host: &Host, way: Way) -> Result<Counters, LabError> {
        Ok(self.ask(host, way)?.1)
    }

    fn ask(&self, host: &Host, way: Way) -> Result<(Link, Counters), LabError> {
        let index = self.index(host)?;
        let found = self.change(move |_, internet, _| internet.link(index, way))?;
        found.ok_or_else(|| LabError::Unknown { name: host.name.clone() })
    }

    /// Nothing passes between the two groups any more, in both directions, also not what is on its way.
    ///
    /// # Errors
    ///
    /// A host is another lab's.
    pub fn partition(&self, some: &[&Host], others: &[&Host]) -> Result<(), LabError> {
        self.block(some, others)?;
        self.block(others, some)
    }

    /// Nothing that these hosts send reaches those any more; the other direction stays as it is.
    ///
    /// # Errors
    ///
    /// A host is another lab's.
    pub fn block(&self, from: &[&Host], to: &[&Host]) -> Result<(), LabError> {
        let pairs = self.pairs(from, to)?;
        self.change(move |_, internet, _| pairs.iter().for_each(|(from, to)| internet.block(*from, *to)))
    }

    /// What these hosts send reaches those again.
    ///
    /// # Errors
    ///
    /// A host is another lab's.
    pub fn unblock(&self, from: &[&Host], to: &[&Host]) -> Result<(), LabError> {
        let pairs = self.pairs(from, to)?;
        self.change(move |_, internet, _| pairs.iter().for_each(|(from, to)| internet.unblock(*from, *to)))
    }

    /// Everybody reaches everybody again. Links stay as they are.
    ///
    /// # Errors
    ///
    /// The router has ended.
    pub fn heal(&self) -> Result<(), LabError> {
        self.change(|_, internet, _| internet.heal())
    }

    /// What no link carried.
    ///
    /// # Errors
    ///
    /// The router has ended.
    pub fn refused(&self) -> Result<Refused, LabError> {
        self.change(|_, internet, _| internet.refused)
    }

    /// What the router itself has done, and how late it was at most.
    ///
    /// # Errors
    ///
    /// The router has ended.
    pub fn load(&self) -> Result<Load, LabError> {
        Ok(self.router.call(|core| core.load())?)
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(u64, &mut Internet, &mut Vec<Packet>) -> T + Send + 'static,
    ) -> Result<T, LabError> {
        Ok(self.router.call(move |core| core.change(change))?)
    }

    fn pairs(&self, from: &[&Host], to: &[&Host]) -> Result<Vec<(usize, usize)>, LabError> {
        let from = from.iter().map(|host| self.index(host)).collect::<Result<Vec<_>, _>>()?;
        let to = to.iter().map(|host| self.index(host)).collect::<Result<Vec<_>, _>>()?;
        let all = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
        Ok(all.filter(|(from, to)| from != to).collect())
    }

    /// A host's index, if it is one of this lab.
    fn index(&self, host: &Host) -> Result<usize, LabError> {
        let known = self.state().hosts.get(&host.name).is_some_and(|known| known == host);
        known.then_some(host.index).ok_or_else(|| LabError::Unknown { name: host.name.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the host with this index: 198.18.0.2 and on, 250 in each network of 256.
fn address(index: usize) -> Ipv4Addr {
    // There are at most HOSTS: both parts fit.
    Ipv4Addr::new(198, 18, (index / 250) as u8, (index % 250 + 2) as u8)
}
