//! The lab's promises, with real sockets and real processes. Bounds are lower bounds on time and upper bounds on bytes, so no test
//! depends on how fast the machine is.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::HashSet,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Command,
    time::{Duration, Instant},
};

use starling_testing::{
    lab::{Host, Lab, LabError, Link, Nat, Way},
    process::Process,
};

/// Longer than anything here takes on a loaded machine: only a failure waits for so long.
const LIMIT: Duration = Duration::from_secs(60);
const BIN: &str = env!("CARGO_BIN_EXE_starling-lab");

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A UDP socket on a host.
fn socket(host: &Host, port: u16) -> UdpSocket {
    let socket = host.within(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))).unwrap().unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

/// The next packet and its sender.
fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((size, from)) => return (buffer[..size].to_vec(), from),
            // A read with a limit is not started again by the kernel.
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => panic!("nothing arrives: {e}"),
        }
    }
}

/// Whether nothing has arrived.
fn is_silent(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).unwrap();
    let silent = socket.recv_from(&mut [0; 2048]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
    silent
}

/// There and back again.
fn exchange(from: &UdpSocket, to: &UdpSocket, address: Ipv4Addr, word: &[u8]) {
    from.send_to(word, (address, port(to))).unwrap();
    let (heard, sender) = receive(to);
    assert_eq!(heard, word);
    to.send_to(word, sender).unwrap();
    assert_eq!(receive(from).0, word);
}

#[test]
fn forty_milliseconds_each_way_make_a_round_trip_of_eighty_or_more() {
    let Some(lab) = Lab::for_test("round trip", 1) else { return };
    let (a, b) = (lab.host("a", Link::delay(ms(40))).unwrap(), lab.host("b", Link::default()).unwrap());
    let mut server = b.command(BIN);
    server.args(["probe", "serve"]);
    let mut server = Process::start("server", server).unwrap();
    server.until("ready", LIMIT, |line| line.starts_with("ready")).unwrap();
    let client = socket(&a, 0);
    for _ in 0..5 {
        let began = Instant::now();
        client.send_to(b"ping", (b.address(), 7000)).unwrap();
        assert_eq!(receive(&client).0, b"ping");
        assert!(began.elapsed() >= ms(80), "{:?}", began.elapsed());
    }
}

#[test]
fn no_more_bytes_pass_than_rate_and_queue_allow_and_the_rest_is_dropped() {
    let Some(lab) = Lab::for_test("rate", 1) else { return };
    let (rate, queue) = (8_000_000, 64_000);
    let a = lab.host_with("a", Link::default().rate(rate).queue(queue), Link::default()).unwrap();
    let b = lab.host("b", Link::default()).unwrap();
    let (from, to) = (socket(&a, 0), socket(&b, 0));
    let target = (b.address(), port(&to));
    let began = Instant::now();
    // Two seconds' worth at once, of which the queue holds 64 ms'.
    for _ in 0..2000 {
        // The device may be full, too: then the packet is none of the lab's.
        let _ = from.send_to(&[0; 972], target);
    }
    let mut bytes = 0;
    for _ in 0..60 {
        // The headers of IP and UDP count as well.
        bytes += receive(&to).0.len() + 28;
        let most = began.elapsed().as_secs_f64() * rate as f64 / 8.0 + queue as f64;
        assert!(bytes as f64 <= most, "{bytes} bytes after {:?}", began.elapsed());
    }
    let counters = lab.counters(&a, Way::Up).unwrap();
    assert!(counters.overflowed > 0 && counters.longest_queue <= queue as u64, "{counters:?}");
}

#[test]
fn the_same_packets_are_lost_with_the_same_seed_and_others_with_another_one() {
    let survivors = |seed: u64| -> Option<Vec<u8>> {
        let lab = Lab::for_test("loss", seed)?;
        let a = lab.host_with("a", Link::default().loss(0.3), Link::default()).unwrap();
        let b = lab.host("b", Link::default()).unwrap();
        let (from, to) = (socket(&a, 0), socket(&b, 0));
        let target = (b.address(), port(&to));
        (0..100).for_each(|number| assert_eq!(from.send_to(&[number], target).unwrap(), 1));
        lab.set(&a, Way::Up, Link::default()).unwrap();
        from.send_to(&[255], target).unwrap();
        let arrived = std::iter::repeat_with(|| receive(&to).0[0]).take_while(|number| *number != 255).collect();
        assert_eq!(lab.counters(&a, Way::Up).unwrap().packets, 101);
        Some(arrived)
    };
    let (Some(first), Some(again), Some(other)) = (survivors(7), survivors(7), survivors(8)) else { return };
    assert!(!first.is_empty() && first.len() < 100);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn a_partition_stops_both_directions_between_its_sides_and_healing_restores_them() {
    let Some(lab) = Lab::for_test("partition", 1) else { return };
    let hosts = ["a", "b", "c"].map(|name| lab.host(name, Link::default()).unwrap());
    let sockets = [0, 1, 2].map(|n: usize| socket(&hosts[n], 0));
    let [a, b, c] = &hosts;
    exchange(&sockets[0], &sockets[1], b.address(), b"before");

    lab.partition(&[a], &[b]).unwrap();
    sockets[0].send_to(b"lost", (b.address(), port(&sockets[1]))).unwrap();
    sockets[1].send_to(b"lost", (a.address(), port(&sockets[0]))).unwrap();
    // The router answers after it has taken what was sent before.
    assert_eq!(lab.refused().unwrap().partitioned, 2);
    exchange(&sockets[0], &sockets[2], c.address(), b"others");
    assert!(is_silent(&sockets[0]) && is_silent(&sockets[1]));

    lab.heal().unwrap();
    exchange(&sockets[0], &sockets[1], b.address(), b"after");
}

#[test]
fn a_blocked_direction_leaves_the_other_one_open() {
    let Some(lab) = Lab::for_test("one direction", 1) else { return };
    let (a, b) = (lab.host("a", Link::default()).unwrap(), lab.host("b", Link::default()).unwrap());
    let (from, to) = (socket(&a, 0), socket(&b, 0));
    lab.block(&[&a], &[&b]).unwrap();
    from.send_to(b"lost", (b.address(), port(&to))).unwrap();
    to.send_to(b"heard", (a.address(), port(&from))).unwrap();
    assert_eq!(receive(&from).0, b"heard");
    assert_eq!(lab.refused().unwrap().partitioned, 1);
    lab.unblock(&[&a], &[&b]).unwrap();
    exchange(&from, &to, b.address(), b"after");
}

#[test]
fn a_nat_lets_connections_out_and_none_in() {
    let Some(lab) = Lab::for_test("nat", 1) else { return };
    let home = lab.host_behind("home", Nat::PortRestricted, Link::default(), Link::default()).unwrap();
    let (server, stranger) =
        (lab.host("server", Link::default()).unwrap(), lab.host("stranger", Link::default()).unwrap());
    let (inner, outer, other) = (socket(&home, 0), socket(&server, 0), socket(&stranger, 0));

    inner.send_to(b"out", (server.address(), port(&outer))).unwrap();
    let (heard, seen) = receive(&outer);
    assert_eq!((heard, seen.ip()), (b"out".to_vec(), home.address().into()));
    assert_ne!(home.inside(), home.address());

    // Neither to the port that the server sees, nor to one on which somebody listens.
    other.send_to(b"in", seen).unwrap();
    outer.send_to(b"answer", seen).unwrap();
    assert_eq!(receive(&inner), (b"answer".to_vec(), (server.address(), port(&outer)).into()));
    assert!(is_silent(&inner));
    let _listener = home.within(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 7000))).unwrap().unwrap();
    let knock = stranger.within(|| TcpStream::connect_timeout(&(home.address(), 7000).into(), ms(300))).unwrap();
    assert_eq!(knock.unwrap_err().kind(), ErrorKind::TimedOut);

    let listener = server.within(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 7000))).unwrap().unwrap();
    let stream = home.within(|| TcpStream::connect_timeout(&(server.address(), 7000).into(), LIMIT)).unwrap().unwrap();
    let (_, seen) = listener.accept().unwrap();
    assert_eq!(seen.ip(), home.address());
    assert_eq!(stream.local_addr().unwrap().ip(), home.inside());
}

#[test]
fn a_port_restricted_nat_shows_everybody_one_port_and_a_symmetric_one_shows_each_another() {
    let Some(lab) = Lab::for_test("kinds of nat", 1) else { return };
    let servers = ["s1", "s2", "s3"].map(|name| lab.host(name, Link::default()).unwrap());
    let sockets = [0, 1, 2].map(|n: usize| socket(&servers[n], 0));
    let ports = |name: &str, nat| -> HashSet<u16> {
        let home = lab.host_behind(name, nat, Link::default(), Link::default()).unwrap();
        let inner = socket(&home, 0);
        let seen = servers.iter().zip(&sockets).map(|(server, socket)| {
            inner.send_to(b"out", (server.address(), port(socket))).unwrap();
            receive(socket).1.port()
        });
        seen.collect()
    };
    assert_eq!(ports("cone", Nat::PortRestricted).len(), 1);
    // Three draws of one port out of 64,000 are equal once in four billion runs.
    assert!(ports("symmetric", Nat::Symmetric).len() > 1);
}

#[test]
fn two_hosts_behind_port_restricted_nats_open_a_path_to_each_other() {
    let Some(lab) = Lab::for_test("hole punching", 1) else { return };
    let homes =
        ["a", "b"].map(|name| lab.host_behind(name, Nat::PortRestricted, Link::default(), Link::default()).unwrap());
    let meeting = lab.host("meeting", Link::default()).unwrap();
    let place = socket(&meeting, 0);
    let sockets = [0, 1].map(|n: usize| socket(&homes[n], 0));
    let seen = [0, 1].map(|n: usize| {
        sockets[n].send_to(b"here", (meeting.address(), port(&place))).unwrap();
        receive(&place).1
    });
    // It is not let in where the other host has not yet sent anything, and opens the way back.
    sockets[0].send_to(b"opens", seen[1]).unwrap();
    while lab.counters(&homes[0], Way::Up).unwrap().packets < 2 {
        std::thread::yield_now();
    }
    sockets[1].send_to(b"first", seen[0]).unwrap();
    assert_eq!(receive(&sockets[0]), (b"first".to_vec(), seen[1]));
    sockets[0].send_to(b"second", seen[1]).unwrap();
    assert_eq!(receive(&sockets[1]), (b"second".to_vec(), seen[0]));
}

#[test]
fn a_host_reaches_nothing_outside_the_lab_and_learns_it_at_once() {
    let Some(lab) = Lab::for_test("outside", 1) else { return };
    let hosts = [
        lab.host("plain", Link::default()).unwrap(),
        lab.host_behind("home", Nat::PortRestricted, Link::default(), Link::default()).unwrap(),
    ];
    // A listener of this machine, at each address that it has; connecting a UDP socket sends nothing.
    let outside = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = outside.local_addr().unwrap().port();
    let own = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let mut targets = vec![Ipv4Addr::LOCALHOST.into(), "203.0.113.1".parse().unwrap()];
    if own.connect("203.0.113.1:9").is_ok() {
        targets.push(own.local_addr().unwrap().ip());
    }
    for host in &hosts {
        for target in &targets {
            let answer = host.within(|| TcpStream::connect_timeout(&(*target, port).into(), LIMIT)).unwrap();
            let kind = answer.unwrap_err().kind();
            let told = [ErrorKind::ConnectionRefused, ErrorKind::NetworkUnreachable, ErrorKind::HostUnreachable];
            assert!(told.contains(&kind), "{} to {target}: {kind}", host.name());
        }
    }
    outside.set_nonblocking(true).unwrap();
    assert_eq!(outside.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// The namespaces of labs whose names contain this.
fn namespaces(part: &str) -> Vec<String> {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = names.filter_map(|name| name.file_name().into_string().ok());
    names.filter(|name| name.starts_with("starling-lab.") && name.contains(part)).collect()
}

#[test]
fn processes_and_namespaces_end_with_the_lab() {
    let Some(lab) = Lab::for_test("end", 1) else { return };
    let host = lab.host_behind("ends-with-its-lab", Nat::Symmetric, Link::default(), Link::default()).unwrap();
    assert_eq!(namespaces("ends-with-its-lab").len(), 2);
    let mut command = host.command("sh");
    command.args(["-c", "echo here; exec sleep 1000"]);
    let mut process = Process::start("sleeper", command).unwrap();
    process.line(LIMIT).unwrap();
    drop(lab);
    assert!(!process.wait(LIMIT).unwrap().success());
    assert_eq!(namespaces("ends-with-its-lab"), [""; 0]);
    assert!(matches!(host.within(|| ()), Err(LabError::Enter { .. })));
}

#[test]
fn what_a_killed_owner_left_behind_is_removed_by_the_next_lab() {
    let Some(_lab) = Lab::for_test("left behind", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    std::fs::write(&plan, "[hosts.left-behind]\n").unwrap();
    let mut owner = Command::new(BIN);
    owner.arg("run").arg(&plan).args(["--on", "left-behind", "--", "sh", "-c", "echo $$; exec sleep 1000"]);
    let mut owner = Process::start("owner", owner).unwrap();
    let orphan = owner.line(LIMIT).unwrap();
    owner.kill().unwrap();
    let name = format!("starling-lab.{}.", owner.id());
    // Another test's lab may have been faster.
    assert!(namespaces(&name).len() <= 1);
    let _next = Lab::new(1).unwrap();
    assert_eq!(namespaces(&name), [""; 0]);
    // The kernel takes its time to end a process; its new parent, to bury it.
    let ended = || match std::fs::read_to_string(format!("/proc/{orphan}/stat")) {
        Ok(stat) => stat.contains(") Z ") || stat.contains(") X "),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    };
    let began = Instant::now();
    while !ended() {
        assert!(began.elapsed() < LIMIT, "{orphan} outlives its lab");
        std::thread::yield_now();
    }
}

#[test]
fn names_links_and_hosts_that_cannot_be_used_are_refused_with_the_reason() {
    let Some(lab) = Lab::for_test("refusals", 1) else { return };
    let host = lab.host("a", Link::default()).unwrap();
    for name in ["", "A", "a.b", "a/b", "a", &"a".repeat(41)] {
        assert!(matches!(lab.host(name, Link::default()), Err(LabError::Name { .. })), "{name}");
    }
    for link in
        [Link::default().rate(0), Link::default().loss(1.5), Link::default().loss(f64::NAN), Link::delay(ms(60_001))]
    {
        assert!(matches!(lab.host("b", link), Err(LabError::Link { .. })), "{link:?}");
        assert!(matches!(lab.set(&host, Way::Up, link), Err(LabError::Link { .. })), "{link:?}");
    }
    let other = Lab::new(1).unwrap();
    assert!(matches!(
        other.heal().and_then(|()| other.set(&host, Way::Up, Link::default())),
        Err(LabError::Unknown { .. })
    ));
    assert!(matches!(other.partition(&[&host], &[&host]), Err(LabError::Unknown { .. })));
}

#[test]
fn a_plan_runs_a_command_on_a_host_that_knows_all_addresses_and_ends_with_its_exit_code() {
    let Some(_lab) = Lab::for_test("plan", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    let text = format!(
        "seed = 3\n[hosts.far-away]\nlink = {{ delay_ms = 20 }}\nrun = ['{BIN}', 'probe', 'serve']\n[hosts.home]\nnat = 'symmetric'\n\
         [[events]]\nat_s = 0\nset = {{ host = 'far-away', way = 'up', link = {{ delay_ms = 30 }} }}\n"
    );
    std::fs::write(&plan, text).unwrap();
    // The server needs a moment: pings before that are lost, and one that was answered is enough.
    let script =
        format!("until {BIN} probe ping $LAB_FAR_AWAY:7000 --count 1 | grep -q '1 answered'; do :; done; exit 7");
    let report = folder.path().join("report.json");
    let mut run = Command::new(BIN);
    run.arg("run").arg(&plan).args(["--on", "home", "--report"]).arg(&report).args(["--", "sh", "-c", &script]);
    let output = run.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let links = report["links"].as_array().unwrap();
    assert_eq!(links.len(), 4);
    assert!(links.iter().all(|link| link["counters"]["delivered"].as_u64().unwrap() > 0), "{report}");
    assert!(said.contains("Symmetric"), "{said}");

    let missing = Command::new(BIN).arg("run").arg(&plan).args(["--on", "nobody", "--", "true"]).output().unwrap();
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no host \"nobody\""));
}

#[test]
fn the_plans_of_the_book_can_be_read() {
    for plan in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/plans")).unwrap() {
        let text = std::fs::read_to_string(plan.unwrap().path()).unwrap();
        starling_testing::lab::plan::Plan::parse(&text).unwrap();
    }
}

#[test]
fn a_lab_can_be_used_by_several_threads() {
    fn used_by_threads<T: Send + Sync>() {}
    used_by_threads::<Lab>();
    used_by_threads::<Host>();
}
