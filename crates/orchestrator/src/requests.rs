//! What peers ask, from bytes to bytes. Reading is answered here; everything that writes goes through the one task.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use parity_scale_codec::Encode;
use starling_network::{Handler, Peer, Roll};
use starling_protocol::{
    Account, Uid,
    ledger::Event,
    message::Join,
    signed::Signed,
    wire::{self, Request, Response, Submission},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{Ledger, actor::Draft};

/// Longest wait for the task's answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most messages in one request.
const MAX_SUBMISSIONS: usize = 256;

/// Something to enter into the ledger.
pub(crate) enum Entrance {
    Join(Signed<Join>, Uid),
    Submit(Account, Vec<Submission>),
}

pub(crate) struct Ask {
    entrance: Entrance,
    answer: oneshot::Sender<Result<(), String>>,
}

impl Ask {
    /// Try it; the answer is sent once the draft is on disk.
    pub(crate) fn enter(self, draft: &mut Draft<'_>) -> (oneshot::Sender<Result<(), String>>, Result<(), String>) {
        let result = match self.entrance {
            Entrance::Join(join, uid) => joined(draft, join, uid),
            Entrance::Submit(from, submissions) => submissions.into_iter().try_for_each(|s| match draft.state.admit(&from, s) {
                Ok(Some(event)) => draft.push(event),
                Ok(None) => Ok(()),
                Err(refusal) => Err(refusal.to_string()),
            }),
        };
        (self.answer, result)
    }
}

fn joined(draft: &mut Draft<'_>, join: Signed<Join>, uid: Uid) -> Result<(), String> {
    // A slot that changed hands on chain: whoever held it before is gone.
    let former = draft.state.members().iter().find(|(a, m)| **a != join.signer && m.uid == uid && m.live).map(|(a, _)| *a);
    if let Some(account) = former {
        draft.push(Event::Gone { account })?;
    }
    let from = join.signer;
    match draft.state.admit_join(&from, join, uid, draft.now_ms) {
        Ok(Some(event)) => draft.push(event),
        Ok(None) => Ok(()),
        Err(refusal) => Err(refusal.to_string()),
    }
}

/// The request handler.
pub struct Requests {
    ledger: Arc<Ledger>,
    roll: Arc<Roll>,
    ask: mpsc::Sender<Ask>,
    liveness: Arc<Mutex<BTreeMap<Account, Instant>>>,
    toml: String,
    longest_wait: Duration,
}

impl Requests {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        roll: Arc<Roll>,
        ask: mpsc::Sender<Ask>,
        liveness: Arc<Mutex<BTreeMap<Account, Instant>>>,
        toml: String,
        longest_wait: Duration,
    ) -> Self {
        Self { ledger, roll, ask, liveness, toml, longest_wait }
    }

    fn alive(&self, account: Account) {
        self.liveness.lock().unwrap_or_else(PoisonError::into_inner).insert(account, Instant::now());
    }

    async fn enter(&self, entrance: Entrance) -> Response {
        let (answer, answered) = oneshot::channel();
        if self.ask.send(Ask { entrance, answer }).await.is_err() {
            return Response::Refused("the run is finished or the orchestrator is stopping".into());
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(Ok(()))) => Response::Accepted,
            Ok(Ok(Err(why))) => Response::Refused(why),
            Ok(Err(_)) | Err(_) => Response::Refused("the orchestrator could not write its ledger: try again".into()),
        }
    }

    /// Answer one request of a peer whose hotkey is proven.
    pub async fn respond(&self, from: Account, request: Request) -> Response {
        match request {
            Request::Config => Response::Config(self.toml.clone()),
            Request::Join(join) => {
                if join.signer != from || join.verify().is_err() {
                    return Response::Refused(format!("the join is not signed by {from}, who sends it"));
                }
                match self.roll.uid(&from).await {
                    Ok(Some(uid)) => {
                        self.alive(from);
                        self.enter(Entrance::Join(join, uid)).await
                    }
                    Ok(None) => Response::Refused(format!("{from} is not registered on the run's subnet")),
                    Err(why) => Response::Refused(format!("the chain cannot be asked about {from}: {why}")),
                }
            }
            Request::Ledger { from: first, wait_ms } => {
                self.alive(from);
                let mut length = self.ledger.length();
                let wait = Duration::from_millis(u64::from(wait_ms)).min(self.longest_wait);
                let _ = tokio::time::timeout(wait, length.wait_for(|n| *n > first)).await;
                self.alive(from);
                match self.ledger.page(first) {
                    Ok(page) => Response::Page(page),
                    Err(error) => Response::Refused(error.to_string()),
                }
            }
            Request::Submit(submissions) if submissions.len() > MAX_SUBMISSIONS => {
                Response::Refused(format!("{} messages in one request, at most {MAX_SUBMISSIONS} are taken", submissions.len()))
            }
            Request::Submit(submissions) => {
                self.alive(from);
                self.enter(Entrance::Submit(from, submissions)).await
            }
        }
    }
}

impl Handler for Requests {
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'_, Result<Bytes, String>> {
        Box::pin(async move {
            let request = wire::decode::<Request>(&request, "request").map_err(|e| e.to_string())?;
            Ok(Bytes::from(self.respond(from.account, request).await.encode()))
        })
    }
}
