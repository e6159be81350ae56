//! What the simulated internet promises about who reaches whom.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

fn host(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, n + 2)
}

fn packet(from: Ipv4Addr, to: Ipv4Addr, number: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([0; 8]);
    packet.push(number);
    packet
}

fn three(link: Link) -> Internet {
    let mut internet = Internet::new(1);
    for n in 0..3 {
        internet.add(&format!("host-{n}"), host(n), link, link);
    }
    internet
}

#[test]
fn a_packet_goes_up_one_link_and_down_another_one() {
    let mut internet = Internet::new(1);
    let ms = Duration::from_millis;
    internet.add("a", host(0), Link::delay(ms(3)), Link::delay(ms(100)));
    internet.add("b", host(1), Link::delay(ms(100)), Link::delay(ms(4)));
    let mut arrived = Vec::new();
    internet.send(0, 0, &packet(host(0), host(1), 9), &mut arrived);
    internet.advance(6_999_999, &mut arrived);
    assert!(arrived.is_empty());
    assert_eq!(internet.next(), Some(7_000_000));
    internet.advance(7_000_000, &mut arrived);
    assert_eq!((arrived[0].from, arrived[0].to, arrived[0].bytes.last()), (Some(0), 1, Some(&9)));
}

#[test]
fn a_caller_that_comes_late_finds_what_it_would_have_found_in_time() {
    let link = Link::delay(Duration::from_millis(5)).jitter(Duration::from_millis(5)).rate(10_000_000).loss(0.3);
    let run = |steps: u64| {
        let mut internet = three(link);
        let mut arrived = Vec::new();
        for number in 0..100u8 {
            let from = number % 3;
            internet.send(0, from.into(), &packet(host(from), host((from + 1) % 3), number), &mut arrived);
        }
        (1..=steps).for_each(|step| internet.advance(step * 100_000_000 / steps, &mut arrived));
        assert_eq!(internet.next(), None);
        arrived
    };
    assert_eq!(run(1), run(10_000));
}

#[test]
fn a_partition_stops_what_enters_and_what_is_on_its_way_and_only_between_its_sides() {
    let mut internet = three(Link::delay(Duration::from_millis(5)));
    let mut arrived = Vec::new();
    internet.send(0, 0, &packet(host(0), host(1), 1), &mut arrived);
    internet.block(0, 1);
    internet.send(1, 0, &packet(host(0), host(1), 2), &mut arrived);
    internet.send(2, 1, &packet(host(1), host(0), 3), &mut arrived);
    internet.send(3, 0, &packet(host(0), host(2), 4), &mut arrived);
    internet.advance(50_000_000, &mut arrived);
    let numbers = |arrived: &[Packet]| arrived.iter().map(|p| *p.bytes.last().unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers(&arrived), [3, 4]);
    assert_eq!(internet.refused.partitioned, 2);
    internet.heal();
    internet.send(60_000_000, 0, &packet(host(0), host(1), 5), &mut arrived);
    internet.advance(100_000_000, &mut arrived);
    assert_eq!(numbers(&arrived), [3, 4, 5]);
}

#[test]
fn a_packet_from_a_foreign_address_or_to_nobody_or_of_another_protocol_reaches_no_host() {
    let mut internet = three(Link::default());
    let mut arrived = Vec::new();
    internet.send(0, 0, &packet(host(2), host(1), 1), &mut arrived);
    internet.send(0, 0, &[0x60; 40], &mut arrived);
    internet.send(0, 0, &[], &mut arrived);
    assert!(arrived.is_empty());
    internet.send(0, 0, &packet(host(0), Ipv4Addr::new(8, 8, 8, 8), 1), &mut arrived);
    assert_eq!(internet.refused, Refused { malformed: 3, unroutable: 1, partitioned: 0 });
    // The sender learns that nobody is there.
    assert_eq!((arrived.len(), arrived[0].to, packet::ends(&arrived[0].bytes)), (1, 0, Some((ROUTER, host(0)))));
}

#[test]
fn each_host_and_direction_has_draws_of_its_own_that_depend_on_the_name_and_not_on_the_order() {
    let survivors = |seed: u64, names: [&str; 2], name: &str| {
        let mut internet = Internet::new(seed);
        for (n, name) in names.iter().enumerate() {
            internet.add(name, host(n as u8), Link::default().loss(0.5), Link::default());
        }
        let from = names.iter().position(|n| *n == name).unwrap();
        let mut arrived = Vec::new();
        for number in 0..100 {
            internet.send(0, from, &packet(host(from as u8), host(1 - from as u8), number), &mut arrived);
        }
        arrived.iter().map(|p| *p.bytes.last().unwrap()).collect::<Vec<_>>()
    };
    let first = survivors(1, ["a", "b"], "a");
    assert_eq!(first, survivors(1, ["b", "a"], "a"));
    assert_ne!(first, survivors(1, ["a", "b"], "b"));
    assert_ne!(first, survivors(2, ["a", "b"], "a"));
}
