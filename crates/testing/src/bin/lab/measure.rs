//! `starling-lab measure`: what the router costs on this machine, each figure with its baseline. `docs/lab.md` keeps the results.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    time::{Duration, Instant},
};

use starling_testing::lab::{Host, Lab, Link};

use super::probe;

/// Round trips that are measured.
const PINGS: u32 = 2000;

/// Prints as it measures.
pub fn measure(time: Duration, more: usize) -> Result<(), String> {
    let lab = Lab::new(0).map_err(|e| e.to_string())?;
    (0..more).try_for_each(|n| host(&lab, &format!("idle-{n}"), Link::default()).map(drop))?;
    let (a, b) = (host(&lab, "a", Link::default())?, host(&lab, "b", Link::default())?);
    let own = SocketAddr::from((a.address(), 7000));
    let other = SocketAddr::from((b.address(), 7000));
    listen(&a, own)?;
    listen(&b, other)?;

    println!("round trip of one UDP packet, {PINGS} packets one after the other");
    println!("  within one host (no router):  {}", on(&a, move || probe::ping(own, PINGS, Duration::from_secs(1)))?);
    println!("  through the router, no delay: {}", on(&a, move || probe::ping(other, PINGS, Duration::from_secs(1)))?);

    println!("one TCP connection for {} s", time.as_secs());
    println!("  within one host (no router):  {}", on(&a, move || probe::send(own, time))?);
    let (sent, cost) = costed(&lab, || on(&a, move || probe::send(other, time)))?;
    println!("  through the router, no limit: {sent}");
    println!("{cost}");

    let slow = Link::default().rate(100_000_000).queue(512 * 1024);
    let far = Link::delay(Duration::from_millis(40));
    let (c, d) = (host(&lab, "c", slow)?, host(&lab, "d", far)?);
    let there = SocketAddr::from((d.address(), 7000));
    listen(&d, there)?;
    println!("100 Mb/s, 80 ms there and back");
    println!("  round trip, idle link:        {}", on(&c, move || probe::ping(there, 20, Duration::from_secs(1)))?);
    let (sent, cost) = costed(&lab, || on(&c, move || probe::send(there, time)))?;
    println!("  one TCP connection:           {sent}");
    println!("{cost}");

    let idle = lab.load().map_err(|e| e.to_string())?;
    let began = Instant::now();
    std::thread::sleep(time);
    let rested = lab.load().map_err(|e| e.to_string())?;
    let used = (rested.processor - idle.processor).as_secs_f64() / began.elapsed().as_secs_f64();
    println!("idle for {} s: {:.4} % of a core", time.as_secs(), used * 100.0);
    println!("the router was late by {:.3} ms at most", rested.latest.as_secs_f64() * 1e3);
    Ok(())
}

/// What the router does during some work, in words.
fn costed<T>(lab: &Lab, work: impl FnOnce() -> Result<T, String>) -> Result<(T, String), String> {
    let load = || lab.load().map_err(|e| e.to_string());
    let before = load()?;
    let result = work()?;
    let after = load()?;
    let (packets, wakes) = (after.forwarded - before.forwarded, after.wakes - before.wakes);
    let processor = (after.processor - before.processor).as_secs_f64();
    let bits = (after.forwarded_bytes - before.forwarded_bytes) as f64 * 8.0;
    let (gbit, packet) = (processor / bits * 1e9, processor / packets as f64 * 1e6);
    let words = format!(
        "  the router: {processor:.2} s of processor time, {packets} packets, {wakes} wakes: {gbit:.2} s per Gbit, {packet:.2} us per packet"
    );
    Ok((result, words))
}

fn host(lab: &Lab, name: &str, link: Link) -> Result<Host, String> {
    lab.host(name, link).map_err(|e| e.to_string())
}

fn on<T: Send>(host: &Host, work: impl FnOnce() -> std::io::Result<T> + Send) -> Result<T, String> {
    host.within(work).map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

/// An echo and a sink on a host, until this process ends.
fn listen(host: &Host, address: SocketAddr) -> Result<(), String> {
    let (udp, tcp) = on(host, || Ok((UdpSocket::bind(address)?, TcpListener::bind(address)?)))?;
    std::thread::spawn(move || probe::sink(&tcp));
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((size, from)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(&buffer[..size], from);
        }
    });
    Ok(())
}
