//! The nodes by which one chain is reached, and how each of them is doing.
//!
//! Invariant: the first endpoint that is well is preferred; one that failed rests with growing pauses, one that limits its users rests
//! as long as it asked for, and one that serves another chain is never used again. Pure bookkeeping: the clock comes in as an argument.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::ChainError;

/// First and longest rest after a failure, where there is another endpoint to turn to.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Rest where a node limits its users and does not say for how long.
const USUAL_LIMIT: Duration = Duration::from_secs(10);
/// However long a node asks to be left alone, it is tried again after this.
const LONGEST_LIMIT: Duration = Duration::from_secs(600);

/// How a chain is reached.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// Websocket addresses of nodes of one chain, the preferred one first; the others stand in for it.
    pub urls: Vec<String>,
    /// The chain's block 0; `None` takes the word of the first that answers.
    pub genesis: Option<[u8; 32]>,
    /// Folder in which metadata is kept; `None` keeps none.
    pub cache: Option<PathBuf>,
    /// How long a node may report the same final block before another is tried; 90 s if `None`. Only matters with several.
    pub stall: Option<Duration>,
}

impl Endpoints {
    /// A single node.
    #[must_use]
    pub fn one(url: &str) -> Self {
        Self { urls: vec![url.to_owned()], ..Self::default() }
    }
}

#[derive(Debug, Clone, Default)]
struct Health {
    failures: u32,
    rests: Option<(Instant, String)>,
    /// It asked to be left alone: it is not tried before, even if there is no other.
    limited: bool,
    banned: Option<ChainError>,
}

/// All endpoints and how they are.
#[derive(Debug)]
pub(crate) struct Roster {
    urls: Vec<String>,
    health: Mutex<Vec<Health>>,
}

impl Roster {
    pub fn new(urls: Vec<String>) -> Self {
        let health = Mutex::new(vec![Health::default(); urls.len()]);
        Self { urls, health }
    }

    pub fn len(&self) -> usize {
        self.urls.len()
    }

    pub fn url(&self, index: usize) -> &str {
        self.urls.get(index).map_or("", String::as_str)
    }

    /// The endpoint to try now, leaving out those of `tried`: the first that is well, else the one whose rest ends first.
    ///
    /// # Errors
    /// Why none can be tried: all are banned, or asked to be left alone.
    pub fn choose(&self, tried: &[usize], now: Instant) -> Result<usize, ChainError> {
        let health = self.lock();
        let open = |i: &usize| !tried.contains(i) && health.get(*i).is_some_and(|h| h.banned.is_none());
        let rest = |i: usize| health.get(i).and_then(|h| h.rests.as_ref()).filter(|(until, _)| *until > now);
        if let Some(well) = (0..self.urls.len()).filter(open).find(|i| rest(*i).is_none()) {
            return Ok(well);
        }
        let resting = (0..self.urls.len()).filter(open).filter(|i| health.get(*i).is_some_and(|h| !h.limited));
        if let Some(soonest) = resting.min_by_key(|i| rest(*i).map(|(until, _)| *until)) {
            return Ok(soonest);
        }
        let limited = (0..self.urls.len()).filter(open).filter_map(|i| Some((i, rest(i)?)));
        if let Some((i, (until, reason))) = limited.min_by_key(|(_, (until, _))| *until) {
            let left = until.saturating_duration_since(now).as_secs_f32().ceil();
            let reason = format!("{reason}; it may be asked again in {left} s");
            return Err(ChainError::Unreachable { url: self.url(i).to_owned(), reason });
        }
        let banned = health.iter().find_map(|h| h.banned.clone());
        Err(banned.unwrap_or_else(|| ChainError::Invalid("no endpoint is left to try".into())))
    }

    /// It failed, or was silent.
    pub fn failed(&self, index: usize, reason: String, now: Instant) {
        if let Some(health) = self.lock().get_mut(index) {
            let rest = FIRST_REST.saturating_mul(1 << health.failures.min(6)).min(LONGEST_REST);
            health.failures = health.failures.saturating_add(1);
            health.rests = Some((now + rest, reason));
            health.limited = false;
        }
    }

    /// It asked to be left alone for `after`. Answers how long it is.
    pub fn limited(&self, index: usize, after: Option<Duration>, reason: String, now: Instant) -> Duration {
        let rest = after.unwrap_or(USUAL_LIMIT).clamp(Duration::from_millis(10), LONGEST_LIMIT);
        if let Some(health) = self.lock().get_mut(index) {
            health.rests = Some((now + rest, reason));
            health.limited = true;
        }
        rest
    }

    /// It serves another chain.
    pub fn banned(&self, index: usize, error: ChainError) {
        if let Some(health) = self.lock().get_mut(index) {
            health.banned = Some(error);
        }
    }

    /// It answered.
    pub fn well(&self, index: usize) {
        if let Some(health) = self.lock().get_mut(index)
            && (health.failures > 0 || health.rests.is_some())
        {
            *health = Health::default();
        }
    }

    /// Whether one of them neither rests nor is banned.
    pub fn any_well(&self, now: Instant) -> bool {
        self.lock().iter().any(|h| h.banned.is_none() && h.rests.as_ref().is_none_or(|(until, _)| *until <= now))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Health>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn roster(n: usize) -> Roster {
        Roster::new((0..n).map(|i| format!("ws://{i}")).collect())
    }

    #[tokio::test]
    async fn the_first_that_is_well_is_preferred_and_rests_grow() {
        let (roster, start) = (roster(3), Instant::now());
        assert_eq!(roster.choose(&[], start), Ok(0));
        roster.failed(0, "broken".into(), start);
        assert_eq!(roster.choose(&[], start), Ok(1));
        assert_eq!(roster.choose(&[1], start), Ok(2));
        assert_eq!(roster.choose(&[], start + FIRST_REST), Ok(0), "rested");
        roster.failed(0, "broken".into(), start);
        assert_eq!(roster.choose(&[], start + FIRST_REST), Ok(1), "the second rest is longer");
        for _ in 0..40 {
            roster.failed(0, "broken".into(), start);
        }
        assert_eq!(roster.choose(&[], start + LONGEST_REST), Ok(0), "and ends");
        roster.well(0);
        assert_eq!(roster.choose(&[], start), Ok(0));
    }

    #[tokio::test]
    async fn when_all_rest_the_one_that_is_ready_first_is_tried_unless_it_asked_to_be_left_alone() {
        let (roster, start) = (roster(2), Instant::now());
        roster.failed(1, "broken".into(), start);
        roster.failed(0, "broken".into(), start + Duration::from_millis(1));
        assert_eq!(roster.choose(&[], start), Ok(1));
        assert!(!roster.any_well(start) && roster.any_well(start + FIRST_REST));
        let rest = roster.limited(1, Some(Duration::from_secs(5)), "HTTP 429".into(), start);
        assert_eq!((rest, roster.choose(&[], start)), (Duration::from_secs(5), Ok(0)));
        roster.limited(0, None, "HTTP 429".into(), start);
        let error = roster.choose(&[], start).unwrap_err().to_string();
        assert!(error.contains("ws://1") && error.contains("again in 5 s"), "{error}");
        assert_eq!(roster.choose(&[], start + Duration::from_secs(5)), Ok(1));
        assert_eq!(roster.limited(0, Some(Duration::from_secs(1 << 40)), String::new(), start), LONGEST_LIMIT);
    }

    #[tokio::test]
    async fn another_chain_is_never_asked_again() {
        let (roster, now) = (roster(2), Instant::now());
        let other = ChainError::Invalid("another chain".into());
        roster.banned(0, other.clone());
        roster.well(0);
        assert_eq!(roster.choose(&[], now + LONGEST_REST), Ok(1));
        roster.banned(1, other.clone());
        assert_eq!((roster.choose(&[], now), roster.any_well(now)), (Err(other), false));
    }
}
