//! A lab as a TOML file: hosts with their links, what runs on them, and what changes when.
//!
//! Units are in the names: milliseconds, megabits per second, kilobytes, per cent. A key that nobody knows is an error.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{Host, Lab, LabError, Link, Nat, Way};

/// A whole lab.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// All random draws follow from it.
    #[serde(default)]
    pub seed: u64,
    /// At least one.
    pub hosts: BTreeMap<String, HostPlan>,
    /// What happens while the lab runs.
    #[serde(default)]
    pub events: Vec<Event>,
}

/// One host. Its own values hold for both directions, `up` and `down` for one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostPlan {
    /// The NAT before it.
    pub nat: Option<Nat>,
    /// A program with its arguments that runs on it from the start.
    pub run: Option<Vec<String>>,
    /// Both directions.
    #[serde(default)]
    pub link: LinkPlan,
    /// Differs when it sends.
    #[serde(default)]
    pub up: LinkPlan,
    /// Differs when it receives.
    #[serde(default)]
    pub down: LinkPlan,
}

/// What is given of a link; the rest is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkPlan {
    /// Milliseconds.
    pub delay_ms: Option<f64>,
    /// Milliseconds.
    pub jitter_ms: Option<f64>,
    /// Megabits per second; 0: no limit.
    pub rate_mbit: Option<f64>,
    /// Kilobytes (of 1000 bytes) that may wait for the rate.
    pub queue_kb: Option<f64>,
    /// Per cent of the packets.
    pub loss_percent: Option<f64>,
}

/// A change at a moment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Seconds after the start.
    pub at_s: f64,
    /// What happens.
    #[serde(flatten)]
    pub what: Change,
}

/// What can change while a lab runs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Two groups of hosts do not reach each other any more.
    Partition(Vec<String>, Vec<String>),
    /// All partitions end.
    Heal(bool),
    /// A host's link becomes another one.
    Set {
        /// Whose.
        host: String,
        /// One direction only.
        way: Option<Way>,
        /// What is given of it.
        link: LinkPlan,
    },
}

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No TOML, or not of this form.
    #[error("the plan cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// A number that means nothing.
    #[error("{key} is {value}; it must be a number from 0 to {most}")]
    Number {
        /// Where.
        key: &'static str,
        /// As given.
        value: f64,
        /// The largest that makes sense.
        most: f64,
    },
    /// The lab refused.
    #[error(transparent)]
    Lab(#[from] LabError),
}

fn number(key: &'static str, value: f64, most: f64) -> Result<f64, PlanError> {
    if (0.0..=most).contains(&value) { Ok(value) } else { Err(PlanError::Number { key, value, most }) }
}

impl LinkPlan {
    /// A link with what is given here.
    ///
    /// # Errors
    ///
    /// A number that means nothing.
    pub fn over(&self, link: Link) -> Result<Link, PlanError> {
        let mut link = link;
        let time = |key, ms| Ok::<_, PlanError>(Duration::from_secs_f64(number(key, ms, 60_000.0)? / 1000.0));
        if let Some(ms) = self.delay_ms {
            link.delay = time("delay_ms", ms)?;
        }
        if let Some(ms) = self.jitter_ms {
            link.jitter = time("jitter_ms", ms)?;
        }
        if let Some(mbit) = self.rate_mbit {
            let rate = number("rate_mbit", mbit, 1e6)? * 1e6;
            link.rate = (rate > 0.0).then_some(rate as u64);
        }
        if let Some(kb) = self.queue_kb {
            link.queue = (number("queue_kb", kb, 1e6)? * 1e3) as usize;
        }
        if let Some(percent) = self.loss_percent {
            link.loss = number("loss_percent", percent, 100.0)? / 100.0;
        }
        Ok(link)
    }
}

impl Plan {
    /// Read a plan. Nothing is made yet.
    ///
    /// # Errors
    ///
    /// It is not of this form, or a number means nothing.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let plan: Self = toml::from_str(text)?;
        for host in plan.hosts.values() {
            host.links()?;
        }
        for event in &plan.events {
            number("at_s", event.at_s, 1e6)?;
            if let Change::Set { link, .. } = &event.what {
                link.over(Link::default())?;
            }
        }
        Ok(plan)
    }

    /// Make the lab with its hosts. What runs on them, and what happens, is the caller's.
    ///
    /// # Errors
    ///
    /// The machine does not allow it, or a name or a link cannot be used.
    pub fn build(&self) -> Result<Lab, PlanError> {
        let lab = Lab::new(self.seed)?;
        for (name, host) in &self.hosts {
            let (up, down) = host.links()?;
            match host.nat {
                Some(nat) => lab.host_behind(name, nat, up, down)?,
                None => lab.host_with(name, up, down)?,
            };
        }
        // A name that no host has is found now and not in the middle of a run.
        for event in &self.events {
            event.hosts().into_iter().try_for_each(|name| lab.find(name).map(drop))?;
        }
        Ok(lab)
    }
}

impl HostPlan {
    fn links(&self) -> Result<(Link, Link), PlanError> {
        let both = self.link.over(Link::default())?;
        Ok((self.up.over(both)?, self.down.over(both)?))
    }
}

impl Event {
    fn hosts(&self) -> Vec<&str> {
        match &self.what {
            Change::Partition(some, others) => some.iter().chain(others).map(String::as_str).collect(),
            Change::Heal(_) => Vec::new(),
            Change::Set { host, .. } => vec![host],
        }
    }

    /// Let it happen.
    ///
    /// # Errors
    ///
    /// A host is not in the lab, or the link cannot be made.
    pub fn strike(&self, lab: &Lab) -> Result<(), PlanError> {
        let find = |names: &[String]| names.iter().map(|name| lab.find(name)).collect::<Result<Vec<Host>, LabError>>();
        match &self.what {
            Change::Partition(some, others) => {
                let (some, others) = (find(some)?, find(others)?);
                lab.partition(&some.iter().collect::<Vec<_>>(), &others.iter().collect::<Vec<_>>())?;
            }
            Change::Heal(true) => lab.heal()?,
            Change::Heal(false) => {}
            Change::Set { host, way, link } => {
                let host = lab.find(host)?;
                for way in Way::BOTH.into_iter().filter(|w| way.is_none_or(|way| way == *w)) {
                    lab.set(&host, way, link.over(lab.link(&host, way)?)?)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_links_in_the_units_of_its_keys() {
        let plan = Plan::parse(
            "seed = 7\n[hosts.a]\nlink = { delay_ms = 40, rate_mbit = 100, loss_percent = 0.5 }\nup = { rate_mbit = 20, queue_kb = 64 }\n\
             [hosts.b]\nnat = 'symmetric'\n\
             [[events]]\nat_s = 2\npartition = [['a'], ['b']]\n[[events]]\nat_s = 3.5\nheal = true\n\
             [[events]]\nat_s = 4\nset = { host = 'a', way = 'up', link = { delay_ms = 1 } }\n",
        )
        .unwrap();
        let (up, down) = plan.hosts["a"].links().unwrap();
        let down_expected = Link::delay(Duration::from_millis(40)).rate(100_000_000).loss(0.005);
        assert_eq!(down, down_expected);
        assert_eq!(up, down_expected.rate(20_000_000).queue(64_000));
        assert_eq!(plan.hosts["b"].nat, Some(Nat::Symmetric));
        assert_eq!(plan.events[0].what, Change::Partition(vec!["a".into()], vec!["b".into()]));
        assert_eq!(plan.events[1].what, Change::Heal(true));
    }

    #[test]
    fn a_plan_with_a_number_that_means_nothing_or_a_key_that_nobody_knows_is_refused() {
        for bad in [
            "[hosts.a]\nlink = { delay_ms = -1 }",
            "[hosts.a]\nlink = { loss_percent = 101 }",
            "[hosts.a]\nlink = { delay_ms = nan }",
            "[hosts.a]\nlink = { delay = 1 }",
            "[hosts.a]\nnat = 'none'",
            "[hosts.a]\n[[events]]\nat_s = -1\nheal = true",
            "[hosts.a]\n[[events]]\nat_s = 1\nexplode = true",
            "[hosts.a]\n[[events]]\nat_s = 1",
        ] {
            assert!(Plan::parse(bad).is_err(), "{bad}");
        }
    }
}
