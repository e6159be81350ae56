//! Network namespaces: made by `ip netns`, named after the process that owns them, removed with everything that runs in them.
//!
//! Invariant: this file touches no namespace but those whose name begins with [`PREFIX`], and of these only its own ones and those whose
//! owner is dead. A name carries its owner's process id and that process's start time, since ids are used again.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::{fd::AsFd as _, linux::fs::MetadataExt as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::LabError;

/// With what the name of each namespace of a lab begins; then come process id, start time, the lab's number and the host, with dots between.
pub const PREFIX: &str = "starling-lab";
/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";
/// A host's interface to the simulated internet.
pub const DEVICE: &str = "net0";
/// Bytes of the largest packet, IP header included: Ethernet's.
pub const MTU: u16 = 1500;
/// Packets that a device holds for the router.
pub const QUEUE: usize = 2000;

/// A namespace that is removed on drop, with the processes in it.
#[derive(Debug)]
pub struct Namespace {
    /// As `ip netns list` shows it.
    pub name: String,
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// The first part of the names of one lab of this process.
pub fn family() -> Result<String, LabError> {
    static LABS: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let start = started(pid).ok_or(LabError::Proc("/proc/self/stat"))?;
    Ok(format!("{PREFIX}.{pid}.{start}.{}", LABS.fetch_add(1, Ordering::Relaxed)))
}

impl Namespace {
    /// A new one, with only its loopback interface, which is up.
    pub fn new(family: &str, host: &str) -> Result<Self, LabError> {
        let name = format!("{family}.{host}");
        run(Command::new(tool("ip")?).args(["netns", "add", &name]), None)?;
        let namespace = Self { name };
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// Run commands of `ip`, one a line, in it.
    pub fn ip(&self, commands: &str) -> Result<(), LabError> {
        run(Command::new(tool("ip")?).args(["-n", &self.name, "-batch", "-"]), Some(commands))
    }

    /// Run a program in it to its end, with this on its standard input; it must succeed.
    pub fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<(), LabError> {
        run(command(&self.name, program).args(arguments), Some(input)).map_err(|e| match e {
            // So says `ip` of what it cannot find.
            LabError::Command { reason, .. } if reason.contains("exec of") => {
                LabError::Missing { program: program.into() }
            }
            other => other,
        })
    }

    /// A TUN device in it with this address, through which everything else is reached. The device goes when its handle is dropped.
    pub fn tun(&self, address: std::net::Ipv4Addr, prefix: u8) -> Result<SyncDevice, LabError> {
        let tun = within(&self.name, || DeviceBuilder::new().name(DEVICE).enable(false).build_sync())?;
        let tun = tun.map_err(|source| LabError::Tun { source })?;
        tun.set_nonblocking(true).map_err(|source| LabError::Tun { source })?;
        // No link-local IPv6 address: the lab carries IPv4 only, and nobody shall wait for an answer to IPv6.
        self.ip(&format!(
            "link set dev {DEVICE} mtu {MTU} txqueuelen {QUEUE} addrgenmode none\naddr add {address}/{prefix} dev {DEVICE}\n\
             link set dev {DEVICE} up\nroute add default dev {DEVICE}\n"
        ))?;
        Ok(tun)
    }
}

/// A command that runs a program in a namespace: `ip netns exec` becomes the program, so its process id is the program's.
pub fn command(namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    // Where there is no `ip`, there is no namespace either: starting the command then says so.
    let mut command = Command::new(tool("ip").unwrap_or_else(|_| "ip".into()));
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

/// Run a closure on a thread that is in a namespace. Sockets that it opens stay there, wherever they are used afterwards.
pub fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
    let path = path(namespace);
    let enter = || {
        let file = File::open(&path).map_err(|source| LabError::Enter { name: namespace.into(), source })?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| LabError::Enter { name: namespace.into(), source: e.into() })?;
        Ok(work())
    };
    std::thread::scope(|scope| match scope.spawn(enter).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Where a program is. Debian keeps those for networks where only root's `PATH` looks.
fn tool(program: &str) -> Result<PathBuf, LabError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    found.ok_or_else(|| LabError::Missing { program: program.into() })
}

fn path(namespace: &str) -> PathBuf {
    PathBuf::from(NAMES).join(namespace)
}

/// Run a command to its end; it must succeed.
fn run(command: &mut Command, input: Option<&str>) -> Result<(), LabError> {
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy());
    let words = words.collect::<Vec<_>>().join(" ");
    let failed = |reason: String| LabError::Command { command: words.clone(), reason };
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| failed(e.to_string()))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A command that ended before it has read everything says why on its standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
}

/// Remove what labs of dead processes have left behind.
pub fn sweep() {
    for name in fs::read_dir(NAMES).into_iter().flatten().flatten() {
        let Some(name) = name.file_name().to_str().map(str::to_owned) else { continue };
        if owner(&name).is_some_and(|(pid, start)| started(pid) != Some(start)) {
            remove(&name);
        }
    }
}

/// Process id and start time in the name of a lab's namespace.
fn owner(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.strip_prefix('.')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// When a living process was started, in clock ticks since the machine was.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may contain anything. The start is the 22nd field.
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    // A zombie owns nothing any more.
    let state = rest.next()?;
    if state == "Z" { None } else { rest.nth(18)?.parse().ok() }
}

/// End all processes in a namespace, and remove its name. Without processes, sockets and devices the kernel then removes the namespace.
fn remove(name: &str) {
    let Ok(space) = fs::metadata(path(name)) else { return };
    // A process may fork while this looks: look again until nobody is left.
    for _ in 0..20 {
        let mut found = false;
        for pid in processes() {
            let inside = fs::metadata(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|ns| (ns.st_dev(), ns.st_ino()) == (space.st_dev(), space.st_ino()));
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|_| inside);
            // A failure means that it has ended by itself.
            found |= pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok());
        }
        if !found {
            break;
        }
        std::thread::yield_now();
    }
    let deleted = tool("ip").and_then(|ip| run(Command::new(ip).args(["netns", "delete", name]), None));
    if let Err(e) = deleted
        && path(name).exists()
    {
        let _ = writeln!(io::stderr(), "lab: cannot remove the namespace {name}: {e}");
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_from_a_name_and_nothing_from_a_foreign_one() {
        assert_eq!(owner("starling-lab.12.3456.0.miner-1"), Some((12, 3456)));
        for foreign in
            ["blue", "starling-lab", "starling-lab.x.1.0.a", "starling-labour.1.2.3.a", "my.starling-lab.1.2.0.a"]
        {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_tool_that_is_not_there_is_named_with_the_script_that_installs_it() {
        let missing = tool("no-such-tool").unwrap_err().to_string();
        assert_eq!(
            missing,
            "`no-such-tool` is not installed: run scripts/lab-setup (Debian's packages iproute2 and nftables)"
        );
        assert!(tool("sh").is_ok());
    }

    #[test]
    fn a_living_process_has_a_start_and_one_that_is_not_there_has_none() {
        assert!(started(std::process::id()).is_some());
        assert_eq!(started(u32::MAX), None);
    }
}
