//! The router: one thread that waits for all TUN devices and for the next event of [`Internet`], and sleeps in between.
//!
//! Invariants: a packet's time is taken after it was read, so that no delay is shorter than it says; a change that [`Router::call`] has
//! answered holds for every packet that is sent afterwards. Measurements stand in `docs/lab.md`.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, Waker, unix::SourceFd};
use rustix::{
    process::setpriority_process,
    thread::gettid,
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
        timerfd_settime,
    },
};
use serde::{Deserialize, Serialize};
use tun_rs::SyncDevice;

use super::{internet::Internet, namespace::QUEUE, pipe::Packet};

const WAKER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
/// Packets that are read from one host before the next one's turn.
const BATCH: usize = 64;
/// Nanoseconds between two wakes by the timer: on a busy link packets are handed over in groups, each late by up to this; a packet that
/// comes alone is not. It is 0.3 % of a round trip of 80 ms. `docs/lab.md` has the measurement: a link of 100 Mb/s cost 35 % of a core without it.
const GAP: u64 = 250_000;
/// The thread's niceness: before everything that is not a network.
const PRIORITY: i32 = -20;
/// Larger than any IP packet.
const BUFFER: usize = 1 << 16;

/// What the router itself has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Processor time of the router's thread. The kernel's work for the receiving host's network is in it.
    pub processor: Duration,
    /// How often it woke up: for packets that hosts had sent, or for a packet's time.
    pub wakes: u64,
    /// Packets that were handed to their hosts.
    pub forwarded: u64,
    /// Their bytes.
    pub forwarded_bytes: u64,
    /// Packets that the receiving host's kernel did not take.
    pub not_taken: u64,
    /// The longest time by which a packet was handed over later than its link said: how far the lab can be believed.
    pub latest: Duration,
}

/// What the thread owns.
pub struct Core {
    /// Hosts and links; index of a host = index of its device.
    pub internet: Internet,
    devices: Vec<SyncDevice>,
    poll: Poll,
    began: Instant,
    /// What was handed over and how.
    pub load: Load,
    arrived: Vec<Packet>,
    /// Hosts that may have more to read.
    ready: VecDeque<usize>,
    timer: OwnedFd,
    /// The moment for which the timer is set.
    armed: Option<u64>,
    /// When the timer woke the thread last.
    woken: u64,
}

type Job = Box<dyn FnOnce(&mut Core) + Send>;

/// A handle to the thread; it ends on drop, and with it all devices.
pub struct Router {
    jobs: Option<Sender<Job>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// The thread has ended, which it does only by a failure of the kernel's interface.
#[derive(Debug, thiserror::Error)]
#[error("the router's thread has ended")]
pub struct Ended;

impl Router {
    /// Start the thread.
    pub fn start(seed: u64) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let core = Core {
            internet: Internet::new(seed),
            devices: Vec::new(),
            poll,
            began: Instant::now(),
            load: Load::default(),
            arrived: Vec::new(),
            ready: VecDeque::new(),
            timer,
            armed: None,
            woken: 0,
        };
        let (jobs, todo) = channel();
        let thread = std::thread::Builder::new().name("lab-router".into()).spawn(move || {
            if let Err(e) = core.run(&todo) {
                let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("lab: the router failed: {e}\n"));
            }
        })?;
        Ok(Self { jobs: Some(jobs), waker, thread: Some(thread) })
    }

    /// Let the thread do something, and wait for its answer.
    pub fn call<T: Send + 'static>(&self, job: impl FnOnce(&mut Core) -> T + Send + 'static) -> Result<T, Ended> {
        let (answer, answers) = sync_channel(1);
        let job: Job = Box::new(move |core| {
            let _ = answer.send(job(core));
        });
        self.jobs.as_ref().ok_or(Ended)?.send(job).map_err(|_| Ended)?;
        self.waker.wake().map_err(|_| Ended)?;
        answers.recv().map_err(|_| Ended)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.jobs = None;
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Core {
    /// Nanoseconds since the router began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A host's device, whose index in [`Internet`] is the number of devices so far.
    pub fn add(&mut self, device: SyncDevice) -> io::Result<()> {
        let token = Token(self.devices.len());
        self.poll.registry().register(&mut SourceFd(&device.as_raw_fd()), token, Interest::READABLE)?;
        self.devices.push(device);
        Ok(())
    }

    /// Let a change of the network happen between what was before it and what comes after.
    pub fn change<T>(&mut self, change: impl FnOnce(u64, &mut Internet, &mut Vec<Packet>) -> T) -> T {
        // What is in the devices was sent before the change.
        self.drain();
        let mut arrived = std::mem::take(&mut self.arrived);
        let now = self.now();
        self.internet.advance(now, &mut arrived);
        let result = change(now, &mut self.internet, &mut arrived);
        self.arrived = arrived;
        self.deliver();
        result
    }

    /// What the router itself has done.
    pub fn load(&self) -> Load {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let processor = Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0));
        Load { processor, ..self.load }
    }

    fn run(mut self, todo: &Receiver<Job>) -> io::Result<()> {
        // The processes of a lab may keep all cores busy, and the network of a real machine does not wait for them. Without the right to do
        // so, it stays as it is, and `Load::latest` tells.
        let _ = setpriority_process(Some(gettid()), PRIORITY);
        let mut events = Events::with_capacity(256);
        let mut buffer = vec![0; BUFFER];
        loop {
            self.arm()?;
            let timeout = (!self.ready.is_empty()).then_some(Duration::ZERO);
            match self.poll.poll(&mut events, timeout) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.load.wakes += 1;
            for event in &events {
                match event.token() {
                    TIMER => {
                        self.armed = None;
                        self.woken = self.now();
                    }
                    WAKER => loop {
                        match todo.try_recv() {
                            Ok(job) => job(&mut self),
                            Err(std::sync::mpsc::TryRecvError::Empty) => break,
                            Err(std::sync::mpsc::TryRecvError::Disconnected) => return Ok(()),
                        }
                    },
                    Token(host) if self.ready.contains(&host) => {}
                    Token(host) => self.ready.push_back(host),
                }
            }
            for _ in 0..self.ready.len() {
                if let Some(host) = self.ready.pop_front()
                    && self.read(host, &mut buffer)
                {
                    self.ready.push_back(host);
                }
            }
            let now = self.now();
            self.measure(now);
            self.internet.advance(now, &mut self.arrived);
            self.deliver();
        }
    }

    /// Read everything that hosts have sent so far: as much as a device holds, so that a host that goes on sending does not hold it up.
    fn drain(&mut self) {
        let mut buffer = vec![0; BUFFER];
        for host in 0..self.devices.len() {
            let more = (0..QUEUE.div_ceil(BATCH)).all(|_| self.read(host, &mut buffer));
            if more && !self.ready.contains(&host) {
                self.ready.push_back(host);
            }
        }
    }

    /// Take a batch of packets of one host; answers whether there may be more.
    fn read(&mut self, host: usize, buffer: &mut [u8]) -> bool {
        for _ in 0..BATCH {
            let Some(device) = self.devices.get(host) else { return false };
            let size = match device.recv(buffer) {
                Ok(size) => size,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // Nothing more, or the device is gone with its namespace.
                Err(_) => return false,
            };
            let now = self.now();
            self.measure(now);
            self.internet.send(now, host, &buffer[..size], &mut self.arrived);
            self.deliver();
        }
        true
    }

    /// How late the next event already is.
    fn measure(&mut self, now: u64) {
        if let Some(late) = self.internet.next().and_then(|at| now.checked_sub(at)) {
            self.load.latest = self.load.latest.max(Duration::from_nanos(late));
        }
    }

    fn deliver(&mut self) {
        for packet in self.arrived.drain(..) {
            let Some(device) = self.devices.get(packet.to) else { continue };
            match device.send(&packet.bytes) {
                Ok(_) => {
                    self.load.forwarded += 1;
                    self.load.forwarded_bytes += packet.bytes.len() as u64;
                }
                Err(_) => self.load.not_taken += 1,
            }
        }
    }

    /// Set the timer for the next event.
    fn arm(&mut self) -> io::Result<()> {
        let next = self.internet.next().map(|at| at.max(self.woken.saturating_add(GAP)));
        if next == self.armed {
            return Ok(());
        }
        // A time of zero would stop the timer.
        let wait = next.map_or(0, |at| at.saturating_sub(self.now()).max(1));
        let value = Timespec {
            tv_sec: i64::try_from(wait / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (wait % 1_000_000_000) as _,
        };
        let interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: interval, it_value: value },
        )?;
        self.armed = next;
        Ok(())
    }
}
