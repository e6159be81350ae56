//! The keeper's state for Prometheus, in its text format.

use std::{fmt::Write as _, net::SocketAddr};

use anyhow::Context;
use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use starling_chain::Mechanism;
use starling_keeper::WeightStatus;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Serve `/metrics` until the process ends.
pub async fn serve(
    address: SocketAddr,
    of: Mechanism,
    status: watch::Receiver<WeightStatus>,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot serve metrics at {address}"))?;
    tracing::info!("metrics at http://{}/metrics", listener.local_addr()?);
    let answer = move || {
        let text = text(of, &status.borrow());
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    Ok(tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", get(answer))).await }))
}

fn text(of: Mechanism, status: &WeightStatus) -> String {
    let mut out = String::new();
    let mut put = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = write!(
            out,
            "# HELP starling_keep_{name} {help}\n# TYPE starling_keep_{name} {kind}\nstarling_keep_{name}{{netuid=\"{}\",mechanism=\"{}\"}} {value}\n",
            of.netuid, of.id
        );
    };
    let head = status.head.map_or(0, |head| head.number);
    put("head_block", "gauge", "Newest final block seen.", head.into());
    put(
        "confirmed_block",
        "gauge",
        "Block at which weights were last read back; 0 for never.",
        status.confirmed_at.into(),
    );
    put("commits_total", "counter", "Commits that are on chain.", status.commits.into());
    put("reveals_total", "counter", "Commits whose weights came on chain.", status.reveals.into());
    put("sets_total", "counter", "Weights set at once.", status.sets.into());
    put("losses_total", "counter", "Commits whose weights did not come on chain.", status.losses.into());
    put("pending", "gauge", "Commits that wait for their reveal.", status.pending.into());
    put(
        "chain_failures",
        "gauge",
        "Failed tries since the chain last answered.",
        status.trouble.as_ref().map_or(0, |(_, tries)| (*tries).into()),
    );
    put("refused", "gauge", "1 while the chain would refuse weights.", status.refused.is_some().into());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_help_its_type_and_its_labels() {
        let status = WeightStatus { reveals: 3, confirmed_at: 77, ..WeightStatus::default() };
        let text = text(Mechanism { netuid: 5, id: 1 }, &status);
        assert!(text.contains("starling_keep_reveals_total{netuid=\"5\",mechanism=\"1\"} 3\n"), "{text}");
        assert!(text.contains("starling_keep_confirmed_block{netuid=\"5\",mechanism=\"1\"} 77\n"), "{text}");
        for name in text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split('{').next()) {
            assert!(text.contains(&format!("# HELP {name} ")) && text.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
}
