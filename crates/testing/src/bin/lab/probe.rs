//! Small programs for hosts of a lab: an echo, a sink, and what is measured against them.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

/// Answer UDP with itself and swallow TCP, for ever. Says `ready` once both sockets are open.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let udp = UdpSocket::bind(address)?;
    let tcp = TcpListener::bind(address)?;
    println!("ready on {address}");
    std::thread::spawn(move || sink(&tcp));
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (size, from) = udp.recv_from(&mut buffer)?;
        // An answer that cannot be sent is a lost one.
        let _ = udp.send_to(&buffer[..size], from);
    }
}

/// Take what comes over TCP; each connection is answered with the number of bytes when its sender has closed its side.
pub fn sink(listener: &TcpListener) {
    while let Ok((mut stream, _)) = listener.accept() {
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 18];
            let mut taken = 0u64;
            while let Ok(read) = stream.read(&mut buffer) {
                if read == 0 {
                    break;
                }
                taken += read as u64;
            }
            let _ = stream.write_all(&taken.to_le_bytes());
        });
    }
}

/// How long answers took.
pub struct Pings {
    sent: u32,
    /// In ascending order.
    pub times: Vec<Duration>,
}

impl fmt::Display for Pings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} packets, {} answered", self.sent, self.times.len())?;
        let ms = |time: &Duration| time.as_secs_f64() * 1e3;
        if let (Some(least), Some(most)) = (self.times.first(), self.times.last()) {
            let median = &self.times[self.times.len() / 2];
            write!(
                f,
                "; round trip {:.3} ms at least, {:.3} ms in the middle, {:.3} ms at most",
                ms(least),
                ms(median),
                ms(most)
            )?;
        }
        Ok(())
    }
}

/// One packet after the other, each when the last one was answered or given up.
pub fn ping(address: SocketAddr, count: u32, patience: Duration) -> io::Result<Pings> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    let mut times = Vec::new();
    for number in 0..count {
        let began = Instant::now();
        // A refusal of an earlier packet is told by the next call: it is a lost packet, too.
        if socket.send(&number.to_le_bytes()).is_ok()
            && let Some(time) = answer(&socket, number, began, patience)
        {
            times.push(time);
        }
    }
    times.sort_unstable();
    Ok(Pings { sent: count, times })
}

fn answer(socket: &UdpSocket, number: u32, began: Instant, patience: Duration) -> Option<Duration> {
    let mut buffer = [0; 4];
    loop {
        let left = patience.checked_sub(began.elapsed()).filter(|left| !left.is_zero())?;
        socket.set_read_timeout(Some(left)).ok()?;
        match socket.recv(&mut buffer) {
            Ok(4) if buffer == number.to_le_bytes() => return Some(began.elapsed()),
            // An answer to an earlier packet that had been given up is passed over.
            Ok(_) => {}
            // The kernel does not start a read with a limit again.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// How much went through.
pub struct Sent {
    bytes: u64,
    time: Duration,
}

impl Sent {
    /// Bits per second.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.time.as_secs_f64()
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, time) = (self.bytes as f64 / 1e6, self.time.as_secs_f64());
        write!(f, "{bytes:.1} MB in {time:.2} s: {:.1} Mb/s", self.rate() / 1e6)
    }
}

/// Send for so long, and wait until all has arrived.
pub fn send(address: SocketAddr, time: Duration) -> io::Result<Sent> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    let block = vec![0x5a; 1 << 18];
    let began = Instant::now();
    while began.elapsed() < time {
        stream.write_all(&block)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut taken = [0; 8];
    stream.read_exact(&mut taken)?;
    Ok(Sent { bytes: u64::from_le_bytes(taken), time: began.elapsed() })
}
