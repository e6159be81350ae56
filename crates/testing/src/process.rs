//! A process that goes on while the test runs: its lines are read as they come, its end is waited for, and it dies with its owner.
//!
//! Invariants: neither of its pipes ever fills, so it never waits for the test; every wait has a limit, and the error at its end shows what
//! the process said; a stop signal has taken effect when the call returns. Nothing here sleeps: waits are on a condition or on the kernel's
//! handle of the process.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid},
};

/// Lines of either stream that an error shows.
const LAST_WORDS: usize = 20;

/// Why a process did not do what the test wanted.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("{name} cannot be started: {source}")]
    Start {
        /// The test's name for it.
        name: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// It ended first.
    #[error("{name} ended with {status} before {wanted}; it said:\n{said}")]
    Ended {
        /// The test's name for it.
        name: String,
        /// How it ended.
        status: String,
        /// What the test waited for.
        wanted: String,
        /// Its last lines on both streams.
        said: String,
    },
    /// It took too long.
    #[error("{name} did not get to {wanted} within {limit:?}; it said:\n{said}")]
    Late {
        /// The test's name for it.
        name: String,
        /// What the test waited for.
        wanted: String,
        /// How long.
        limit: Duration,
        /// Its last lines on both streams.
        said: String,
    },
    /// The kernel refused a signal, or to wait.
    #[error("{name} cannot be {what}: {source}")]
    Signal {
        /// The test's name for it.
        name: String,
        /// `stopped`, `continued`, `waited for`.
        what: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// Lines of a stream, filled by a thread of its own.
#[derive(Default)]
struct Lines {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, (Vec<String>, bool)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self, stream: impl io::Read) {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        // Bytes, since a process may print what is no text: that must not end the reading.
        while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            self.lock().0.push(text);
            self.more.notify_all();
            line.clear();
        }
        self.lock().1 = true;
        self.more.notify_all();
    }
}

/// See the module.
pub struct Process {
    name: String,
    command: Command,
    child: Child,
    handle: OwnedFd,
    lines: Arc<Lines>,
    /// Lines that [`Process::line`] has answered.
    read: usize,
    errors: File,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Start it. The name is for messages. Its standard input is empty, whatever the command says.
    ///
    /// # Errors
    ///
    /// The kernel's reason.
    pub fn start(name: &str, mut command: Command) -> Result<Self, ProcessError> {
        let (child, handle, lines, errors) =
            spawn(&mut command).map_err(|source| ProcessError::Start { name: name.into(), source })?;
        Ok(Self { name: name.into(), command, child, handle, lines, read: 0, errors })
    }

    /// Kill it if it still runs, and start it again by the same command. What the old one said is gone.
    ///
    /// # Errors
    ///
    /// The kernel's reason.
    pub fn restart(&mut self) -> Result<(), ProcessError> {
        self.kill()?;
        let started = spawn(&mut self.command);
        let started = started.map_err(|source| ProcessError::Start { name: self.name.clone(), source })?;
        (self.child, self.handle, self.lines, self.errors) = started;
        self.read = 0;
        Ok(())
    }

    /// The test's name for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its next line on standard output, without the line's end.
    ///
    /// # Errors
    ///
    /// It ended, or said nothing within the limit.
    pub fn line(&mut self, limit: Duration) -> Result<String, ProcessError> {
        self.next(Instant::now(), limit, "its next line")
    }

    /// Its next line for which `wanted` holds; those before it are passed over. `what` is for the message.
    ///
    /// # Errors
    ///
    /// It ended, or said no such thing within the limit.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, ProcessError> {
        let began = Instant::now();
        loop {
            let line = self.next(began, limit, what)?;
            if wanted(&line) {
                return Ok(line);
            }
        }
    }

    fn next(&mut self, began: Instant, limit: Duration, wanted: &str) -> Result<String, ProcessError> {
        let lines = self.lines.clone();
        let mut held = lines.lock();
        loop {
            if let Some(line) = held.0.get(self.read) {
                self.read += 1;
                return Ok(line.clone());
            }
            if held.1 {
                drop(held);
                return Err(self.ended(began, limit, wanted));
            }
            let Some(left) = limit.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
                drop(held);
                return Err(self.late(limit, wanted));
            };
            held = lines.more.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All lines that it has said so far on standard output.
    pub fn said(&self) -> Vec<String> {
        self.lines.lock().0.clone()
    }

    /// What it has said so far on standard error.
    pub fn errors(&self) -> String {
        let mut bytes = Vec::new();
        let mut file = &self.errors;
        let _ = file.seek(SeekFrom::Start(0));
        let _ = file.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Wait for its end.
    ///
    /// # Errors
    ///
    /// It did not end within the limit.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, ProcessError> {
        let began = Instant::now();
        loop {
            let left = limit.saturating_sub(began.elapsed());
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut handles = [PollFd::new(&self.handle, PollFlags::IN)];
            match poll(&mut handles, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(self.refused("waited for", e.into())),
                Ok(0) => return Err(self.late(limit, "its end")),
                Ok(_) => return self.child.wait().map_err(|e| self.refused("waited for", e)),
            }
        }
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, at whatever instruction it is. Answers how it ended: by itself, if it was faster.
    ///
    /// # Errors
    ///
    /// The kernel's reason.
    pub fn kill(&mut self) -> Result<ExitStatus, ProcessError> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map_err(|e| self.refused("killed", e))
    }

    /// SIGSTOP: it stands still until [`Process::resume`]. It has stopped, or ended, when this returns.
    ///
    /// # Errors
    ///
    /// The kernel's reason.
    pub fn hang(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::STOP, WaitIdOptions::STOPPED, "stopped")
    }

    /// SIGCONT: it goes on. It does, or has ended, when this returns.
    ///
    /// # Errors
    ///
    /// The kernel's reason.
    pub fn resume(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::CONT, WaitIdOptions::empty(), "continued")
    }

    fn signal(&mut self, signal: Signal, reached: WaitIdOptions, what: &'static str) -> Result<(), ProcessError> {
        // As long as nobody has waited for it, its id is not used again.
        if !self.runs() {
            return Ok(());
        }
        let Some(pid) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) else { return Ok(()) };
        kill_process(pid, signal).map_err(|e| self.refused(what, e.into()))?;
        if reached.is_empty() {
            return Ok(());
        }
        // NOWAIT leaves the end, if it is that, to `wait`.
        let options = reached | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(pid), options) {
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(self.refused(what, e.into())),
                Ok(_) => return Ok(()),
            }
        }
    }

    fn refused(&self, what: &'static str, source: io::Error) -> ProcessError {
        ProcessError::Signal { name: self.name.clone(), what, source }
    }

    fn late(&self, limit: Duration, wanted: &str) -> ProcessError {
        ProcessError::Late { name: self.name.clone(), wanted: wanted.into(), limit, said: self.last_words() }
    }

    /// Its output has ended. It may have closed it without ending, so that waiting has a limit here, too.
    fn ended(&mut self, began: Instant, limit: Duration, wanted: &str) -> ProcessError {
        match self.wait(limit.saturating_sub(began.elapsed())) {
            Ok(status) => ProcessError::Ended {
                name: self.name.clone(),
                status: status.to_string(),
                wanted: wanted.into(),
                said: self.last_words(),
            },
            Err(_) => self.late(limit, wanted),
        }
    }

    fn last_words(&self) -> String {
        let last = |lines: Vec<&str>, stream: &str| {
            let from = lines.len().saturating_sub(LAST_WORDS);
            lines[from..].iter().map(|line| format!("  {stream}: {line}\n")).collect::<String>()
        };
        let (said, errors) = (self.said(), self.errors());
        last(said.iter().map(String::as_str).collect(), "stdout") + &last(errors.lines().collect(), "stderr")
    }
}

type Started = (Child, OwnedFd, Arc<Lines>, File);

fn spawn(command: &mut Command) -> io::Result<Started> {
    // A file, since a pipe that nobody empties would stop it once it has said enough.
    let errors = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors.try_clone()?);
    let mut child = command.spawn()?;
    let kept = |child: &mut Child| {
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        let lines = Arc::new(Lines::default());
        let filled = lines.clone();
        // The thread ends with the stream: with the process, and with those that it started and that hold the same stream.
        std::thread::Builder::new().name("process-lines".into()).spawn(move || filled.fill(stdout))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
        Ok((pidfd_open(pid, PidfdFlags::empty())?, lines))
    };
    match kept(&mut child) {
        Ok((handle, lines)) => Ok((child, handle, lines, errors)),
        Err(e) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(e)
        }
    }
}
