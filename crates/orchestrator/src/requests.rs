//! What peers ask, from bytes to bytes. Reading is answered here; everything that writes goes through the one task.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use parity_scale_codec::Encode;
use starling_keys::Account;
use starling_network::{Handler, Peer, Roll};
use starling_protocol::{
    Code, Refused, Uid,
    ledger::Event,
    message::{Join, Role},
    signed::Signed,
    state::{Phase, Refusal},
    wire::{self, MAX_SUBMISSIONS, Request, Response, Submission},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    ledger::{Ledger, Writer},
    peers::Peers,
};

/// Longest wait for the task's answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a join costs of a peer's allowance, and a receipt; any other message costs 1. So a peer may send 80 receipts in a second
/// for ever, and ten thousand at once.
const JOIN: f64 = 8.0;
const RECEIPT: f64 = 0.05;

type Answer = oneshot::Sender<Result<(), Refused>>;

/// Something to enter into the ledger.
#[derive(Debug)]
enum Entrance {
    Join(Account, Signed<Join>, Uid),
    Submit(Account, Vec<Submission>),
}

/// An entrance whose asker waits.
#[derive(Debug)]
pub(crate) struct Ask {
    entrance: Entrance,
    answer: Answer,
}

impl Ask {
    /// Try it. The answer may be given once the draft is on disk.
    pub(crate) fn enter(self, writer: &mut Writer) -> (Answer, Result<(), Refused>) {
        let result = match self.entrance {
            Entrance::Join(from, join, uid) => joined(writer, from, join, uid),
            Entrance::Submit(from, submissions) => submitted(writer, from, submissions),
        };
        (self.answer, result)
    }
}

fn push(writer: &mut Writer, event: Option<Event>) -> Result<(), Refused> {
    event.map_or(Ok(()), |event| writer.push(event).map_err(|e| Refused::new(Code::Failed, e.to_string())))
}

/// All in order; the first refusal ends it, those before stay.
fn submitted(writer: &mut Writer, from: Account, submissions: Vec<Submission>) -> Result<(), Refused> {
    let all = submissions.len();
    for (index, submission) in submissions.into_iter().enumerate() {
        let kind = name(&submission);
        let admitted = writer.state().admit(&from, submission).map_err(Refused::from);
        admitted
            .and_then(|event| push(writer, event))
            .map_err(|why| Refused::new(why.code, format!("message {} of {all} ({kind}): {why}", index + 1)))?;
    }
    Ok(())
}

fn joined(writer: &mut Writer, from: Account, join: Signed<Join>, uid: Uid) -> Result<(), Refused> {
    // A slot that changed hands on chain: whoever held it before is gone. (Whether the newcomer may join is another question.)
    let state = writer.state();
    let former = state.members().iter().find(|(a, m)| **a != from && m.uid == uid && m.live).map(|(a, _)| *a);
    if let Some(account) = former.filter(|_| join.body.role == Role::Miner && *state.phase() != Phase::Finished) {
        push(writer, Some(Event::Gone { account }))?;
    }
    let event = writer.state().admit_join(&from, join, uid, writer.now_ms())?;
    push(writer, event)
}

fn name(submission: &Submission) -> &'static str {
    match submission {
        Submission::Receipt(r) => r.body.work.name(),
        Submission::Ready(_) => "ready",
        Submission::Complaint(_) => "complaint",
        Submission::Report(_) => "report",
    }
}

/// The request handler.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) roll: Arc<Roll>,
    pub(crate) ask: mpsc::Sender<Ask>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) toml: String,
    pub(crate) longest_wait: Duration,
}

impl Requests {
    async fn enter(&self, entrance: Entrance) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.ask.send(Ask { entrance, answer }).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(Refused::new(Code::Stopping, "the orchestrator is stopping; if it comes back, ask again")),
            Err(_) => {
                let words = format!("the ledger was not written within {} s: ask again", PATIENCE.as_secs());
                Err(Refused::new(Code::NotDone, words))
            }
        }
    }

    async fn join(&self, from: Account, join: Signed<Join>) -> Result<(), Refused> {
        if join.signer != from {
            return Err(Refusal::NotYours(from).into());
        }
        self.peers.charge(from, JOIN)?;
        let unreadable =
            |why| Refused::new(Code::ChainUnreadable, format!("the chain cannot be asked about {from}: {why}"));
        let unknown = || {
            let words = format!("{from} is not registered on the run's subnet: register first");
            Refused::new(Code::NotRegistered, words)
        };
        let uid = self.roll.uid(&from).await.map_err(unreadable)?.ok_or_else(unknown)?;
        self.enter(Entrance::Join(from, join, uid)).await
    }

    async fn submit(&self, from: Account, submissions: Vec<Submission>) -> Result<(), Refused> {
        if submissions.len() > MAX_SUBMISSIONS {
            let words = format!("{} messages in one request, at most {MAX_SUBMISSIONS} are taken", submissions.len());
            return Err(Refused::new(Code::TooLarge, words));
        }
        let cost = submissions.iter().map(|s| if matches!(s, Submission::Receipt(_)) { RECEIPT } else { 1.0 }).sum();
        self.peers.charge(from, cost)?;
        self.enter(Entrance::Submit(from, submissions)).await
    }

    async fn page(&self, from: Account, first: u64, wait: Duration) -> Response {
        let mut length = self.ledger.length();
        // Ends as well when the wait is over or the ledger is closed: then the page has no entries.
        let _ = tokio::time::timeout(wait.min(self.longest_wait), length.wait_for(|n| *n > first)).await;
        self.peers.heard(from);
        let ledger = self.ledger.clone();
        match tokio::task::spawn_blocking(move || ledger.page(first)).await {
            Ok(Ok(page)) => {
                self.peers.served(from, page.head.body.length);
                Response::Page(page)
            }
            Ok(Err(error)) => Response::Refused(Refused::new(Code::Failed, error.to_string())),
            Err(error) => {
                let words = format!("the orchestrator is stopping: {error}");
                Response::Refused(Refused::new(Code::Stopping, words))
            }
        }
    }

    /// Answer one request of a peer whose hotkey is proven.
    pub(crate) async fn respond(&self, from: Account, request: Request) -> Response {
        self.peers.heard(from);
        let done = match request {
            Request::Config => return Response::Config(self.toml.clone()),
            Request::Ledger { from: first, wait_ms } => {
                return self.page(from, first, Duration::from_millis(u64::from(wait_ms))).await;
            }
            Request::Join(join) => self.join(from, join).await,
            Request::Submit(submissions) => self.submit(from, submissions).await,
        };
        match done {
            Ok(()) => Response::Accepted,
            Err(why) => {
                self.peers.refused(from);
                Response::Refused(why)
            }
        }
    }
}

impl Handler for Requests {
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'_, Result<Bytes, Refused>> {
        Box::pin(async move {
            let request = wire::decode::<Request>(&request, "request")
                .map_err(|e| Refused::new(Code::Malformed, e.to_string()))?;
            Ok(Bytes::from(self.respond(from.account, request).await.encode()))
        })
    }
}
