//! TEST ONLY: what befalls a process of the demo in the middle of the first epoch.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};

use super::{
    Fault,
    children::Children,
    stage::Cast,
    watch::{Seen, Show},
};

/// Space for a victim whose disk is to fill up, bytes: several epochs' worth, so that only [`fill`] fills it.
const DISK: &str = "256m";
/// What takes the space.
const FILLER: &str = "filler";

/// Give a process a disk of its own: a tmpfs, seen by the demo and its children only.
pub async fn small_disk(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let size = format!("size={DISK}");
    let mount = tokio::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).status();
    let status = tokio::time::timeout(Duration::from_secs(10), mount).await.context("mount hangs")??;
    ensure!(status.success(), "cannot mount a small disk: run this test as `unshare -rm starling demo …`");
    Ok(())
}

/// Take all space that is left.
fn fill(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(FILLER);
    let mut file =
        OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    for size in [1 << 20, 1 << 12, 1] {
        loop {
            match file.write_all(&vec![0; size]) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::StorageFull => break,
                Err(e) => return Err(e).with_context(|| path.display().to_string()),
            }
        }
    }
    Ok(())
}

/// Cut every blob in a store to its first half.
fn truncate(store: &Path) -> anyhow::Result<usize> {
    let mut cut = 0;
    for shelf in std::fs::read_dir(store).with_context(|| store.display().to_string())? {
        let shelf = shelf?;
        if shelf.file_name().len() != 2 {
            continue;
        }
        for blob in std::fs::read_dir(shelf.path())? {
            let file = OpenOptions::new().write(true).open(blob?.path())?;
            file.set_len(file.metadata()?.len() / 2)?;
            cut += 1;
        }
    }
    ensure!(cut > 0, "{} holds no blob that could be cut", store.display());
    Ok(cut)
}

/// Peers know the orchestrator's address: it must come back on the same port.
fn same_port(seen: &Seen, cast: &Cast, name: &str) -> Vec<String> {
    if name != cast.owner.name {
        return Vec::new();
    }
    let port = seen.address.rsplit(':').next().unwrap_or("0");
    vec!["--bind".into(), format!("127.0.0.1:{port}")]
}

/// Let the fault happen.
pub async fn strike(
    children: &mut Children,
    seen: &mut Seen,
    show: &Show,
    cast: &Cast,
    fault: Fault,
) -> anyhow::Result<()> {
    let victim = fault.victim(cast, seen);
    if fault.fills_disk() {
        show.line(&format!("the disk of {} fills up", victim.name));
        return fill(&children.state(&victim.name));
    }
    show.line(&format!("kill -9 of {}", victim.name));
    let arguments = children.kill(&victim.name).await?;
    match fault {
        Fault::KillMiner => {
            seen.killed = Some(victim.uid);
            return Ok(());
        }
        Fault::TruncateBlobs => {
            let cut = truncate(&children.state(&victim.name).join("network").join("blobs"))?;
            show.line(&format!("{cut} blobs of {} lose their second half", victim.name));
            seen.damaged = Some(victim.name.clone());
        }
        _ => {}
    }
    restart(children, seen, cast, &victim.name, &arguments)
}

/// At the end: damage that nobody noticed proves nothing.
pub fn noticed(children: &Children, seen: &Seen) -> anyhow::Result<()> {
    let Some(name) = &seen.damaged else { return Ok(()) };
    let log = std::fs::read_to_string(children.log(name))?;
    ensure!(log.contains("a stored blob is damaged"), "{name} never noticed that its blobs were cut short");
    Ok(())
}

fn restart(children: &mut Children, seen: &Seen, cast: &Cast, name: &str, arguments: &[String]) -> anyhow::Result<()> {
    let more = same_port(seen, cast, name);
    children.restart(name, arguments, &more.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A process ended by itself because its disk was full: it must have said so. Make space and start it again.
pub async fn relieve(
    children: &mut Children,
    seen: &mut Seen,
    show: &Show,
    cast: &Cast,
    name: &str,
) -> anyhow::Result<()> {
    ensure!(!children.ended_well(name).await, "{name} ended with success on a full disk");
    let (arguments, words) = children.buried(name)?;
    ensure!(words.contains("space"), "{name} ended on a full disk without saying so: {words}");
    show.line(&format!("{name} ended: {words}"));
    seen.last_words.insert(name.to_owned(), words);
    std::fs::remove_file(children.state(name).join(FILLER))?;
    restart(children, seen, cast, name, &arguments)
}
