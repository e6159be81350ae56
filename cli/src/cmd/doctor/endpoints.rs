//! Every endpoint by itself: does it answer, how fast, for which chain, and how far is it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use starling_chain::{BlockRef, Client, Endpoints, Options};

use super::{Report, Verdict};
use crate::Global;

/// Nodes of one chain differ by a few blocks; one further behind is stuck or syncing.
const BEHIND: u32 = 10;

struct Answer {
    genesis: [u8; 32],
    head: BlockRef,
    spec: u32,
    took: Duration,
}

async fn ask(global: &Global, url: &str) -> anyhow::Result<Answer> {
    let timeout = Duration::from_secs(global.timeout);
    let began = Instant::now();
    let only = Endpoints { genesis: global.genesis, ..Endpoints::one(url) };
    let chain = Client::connect_to(&only, Options { timeout, inclusion_timeout: timeout }).await?;
    let took = began.elapsed();
    Ok(Answer { genesis: chain.genesis_hash(), head: chain.head().await?, spec: chain.spec_version().await?, took })
}

/// One finding per endpoint; true if the chain can be asked.
pub async fn check(global: &Global, report: &mut Report) -> bool {
    let answers = join_all(global.endpoints.iter().map(|url| ask(global, url))).await;
    let good: Vec<&Answer> = answers.iter().flatten().collect();
    let newest = good.iter().map(|answer| answer.head.number).max();
    let first = good.first().map(|answer| answer.genesis);
    let one_chain = good.iter().all(|answer| Some(answer.genesis) == first);
    for (url, answer) in global.endpoints.iter().zip(&answers) {
        match answer {
            Err(error) => {
                // Where another stands in, work goes on.
                let verdict = if newest.is_some() { Verdict::Warn } else { Verdict::Fail };
                let text = format!("{error:#}");
                let found = if text.contains(url) { text } else { format!("{url}: {text}") };
                report.add("endpoint", verdict, found, "start the node, or name another with --endpoint");
            }
            Ok(Answer { genesis, head, spec, took }) => {
                let lag = newest.unwrap_or(head.number).saturating_sub(head.number);
                let found = format!(
                    "{url} answers, connected in {:.2} s; block {}, runtime {spec}",
                    took.as_secs_f64(),
                    head.number
                );
                let (verdict, found, advice) = if Some(*genesis) != first {
                    let found = format!("{found}; it serves another chain: its block 0 is 0x{}", hex::encode(genesis));
                    (Verdict::Fail, found, "endpoints stand in for each other: all must serve one chain")
                } else if lag > BEHIND {
                    (Verdict::Warn, format!("{found}, {lag} behind"), "it is stuck or syncing: put another one first")
                } else {
                    (Verdict::Ok, found, "")
                };
                report.add("endpoint", verdict, found, advice);
            }
        }
    }
    newest.is_some() && one_chain
}
