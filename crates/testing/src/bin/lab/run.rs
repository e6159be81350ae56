//! `starling-lab run`: a plan, and one command in it.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::json;
use starling_testing::lab::{
    Host, Lab, Way,
    plan::{Event, Plan},
};
use tokio::time::Instant;

/// Answers the command's exit code.
pub fn run(path: &Path, on: &str, command: &[String], report: Option<&Path>) -> Result<u8, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let plan = Plan::parse(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let lab = plan.build().map_err(|e| e.to_string())?;
    let host = lab.find(on).map_err(|e| e.to_string())?;
    for host in lab.hosts() {
        let behind = host.nat().map(|nat| format!(", {} behind {nat:?}", host.inside())).unwrap_or_default();
        eprintln!("lab: {:<12} {}{behind}", host.name(), host.address());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let code = runtime.block_on(drive(&lab, &plan, &host, command))?;
    tell(&lab, report)?;
    Ok(code)
}

/// A command on a host that knows all addresses.
fn prepared(lab: &Lab, host: &Host, words: &[String]) -> Result<tokio::process::Command, String> {
    let (program, arguments) = words.split_first().ok_or_else(|| format!("{}: no program to run", host.name()))?;
    let mut command = host.command(program);
    command.args(arguments);
    for other in lab.hosts() {
        command.env(format!("LAB_{}", other.name().to_uppercase().replace('-', "_")), other.address().to_string());
    }
    // So that plans can name this program.
    let own = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Ok(path) = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))) {
        command.env("PATH", path);
    }
    Ok(command.into())
}

async fn drive(lab: &Lab, plan: &Plan, host: &Host, words: &[String]) -> Result<u8, String> {
    let mut others = Vec::new();
    for (name, what) in &plan.hosts {
        if let Some(words) = &what.run {
            let host = lab.find(name).map_err(|e| e.to_string())?;
            let mut command = prepared(lab, &host, words)?;
            command.stdin(Stdio::null()).kill_on_drop(true);
            others.push(command.spawn().map_err(|e| format!("{name}: {e}"))?);
        }
    }
    let mut child = prepared(lab, host, words)?.kill_on_drop(true).spawn().map_err(|e| e.to_string())?;
    let mut events: Vec<&Event> = plan.events.iter().collect();
    events.sort_by(|a, b| b.at_s.total_cmp(&a.at_s));
    let began = Instant::now();
    loop {
        let next = events.last().copied();
        let at = began
            + next
                .map_or(Duration::MAX / 4, |event| Duration::from_secs_f64(event.at_s))
                .min(Duration::from_secs(1 << 30));
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(|e| e.to_string())?;
                return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
            }
            // The command is in the same process group and gets the signal, too: it ends, or it asks its person.
            _ = tokio::signal::ctrl_c() => {}
            () = tokio::time::sleep_until(at), if next.is_some() => {
                events.pop();
                if let Some(event) = next {
                    event.strike(lab).map_err(|e| e.to_string())?;
                    eprintln!("lab: {:.1} s: {:?}", began.elapsed().as_secs_f64(), event.what);
                }
            }
        }
    }
}

/// What the links have carried.
fn tell(lab: &Lab, report: Option<&Path>) -> Result<(), String> {
    let text = |e: starling_testing::lab::LabError| e.to_string();
    let (load, refused) = (lab.load().map_err(text)?, lab.refused().map_err(text)?);
    let mut links = Vec::new();
    for host in lab.hosts() {
        for way in Way::BOTH {
            links.push((host.name().to_owned(), way, lab.counters(&host, way).map_err(text)?));
        }
    }
    if let Some(path) = report {
        let links: Vec<_> =
            links.iter().map(|(host, way, n)| json!({"host": host, "way": way, "counters": n})).collect();
        let text = format!("{}\n", json!({"links": links, "refused": refused, "load": load}));
        return std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()));
    }
    eprintln!(
        "lab: {:<12} {:<5} {:>9} {:>9} {:>9} {:>7} {:>9} {:>10}",
        "host", "way", "packets", "kB", "arrived", "lost", "no room", "queue kB"
    );
    for (host, way, n) in links {
        let way = if way == Way::Up { "up" } else { "down" };
        eprintln!(
            "lab: {host:<12} {way:<5} {:>9} {:>9} {:>9} {:>7} {:>9} {:>10}",
            n.packets,
            n.bytes / 1000,
            n.delivered,
            n.lost,
            n.overflowed,
            n.longest_queue / 1000
        );
    }
    eprintln!(
        "lab: stopped by partitions {}, to nobody {}, malformed {}; the router took {:.3} s of processor time and was late by {:.3} ms at most",
        refused.partitioned,
        refused.unroutable,
        refused.malformed,
        load.processor.as_secs_f64(),
        load.latest.as_secs_f64() * 1e3
    );
    Ok(())
}
