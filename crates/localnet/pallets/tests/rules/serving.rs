//! Axons and prometheus endpoints (chain.md 8.8).

use frame_support::{assert_noop, assert_ok};
use starling_pallets::subtensor::{self as s, Error, Event};

use super::support::*;

type E = Error<Test>;

const IP: u128 = 0x0102_0304;

fn axon(who: u8, netuid: u16, ip: u128, port: u16, ip_type: u8) -> frame_support::dispatch::DispatchResult {
    Subtensor::serve_axon(signed(&account(who)), netuid, 7, ip, port, ip_type, 4, 1, 2)
}

fn prometheus(who: u8, ip: u128, port: u16) -> frame_support::dispatch::DispatchResult {
    Subtensor::serve_prometheus(signed(&account(who)), NET, 7, ip, port, 4)
}

#[test]
fn an_axon_is_stored_as_given_with_its_block() {
    open(|| {
        register(2);
        run_to(3);
        assert_ok!(axon(102, NET, IP, 8_091, 4));
        let stored = s::Axons::<Test>::get(NET, hotkey(2)).unwrap();
        assert_eq!((stored.block, stored.version, stored.ip, stored.port), (3, 7, IP, 8_091));
        assert_eq!((stored.ip_type, stored.protocol, stored.placeholder1, stored.placeholder2), (4, 4, 1, 2));
        assert!(events().contains(&Event::AxonServed(NET, hotkey(2))));
        assert_ok!(prometheus(102, IP, 9));
        assert_eq!(s::Prometheus::<Test>::get(NET, hotkey(2)).unwrap().block, 3);
        assert!(events().contains(&Event::PrometheusServed(NET, hotkey(2))));
    });
}

#[test]
fn only_neurons_of_the_subnet_serve() {
    open(|| {
        assert_noop!(axon(99, NET, IP, 1, 4), E::HotKeyNotRegisteredInNetwork);
        register(2);
        assert_noop!(axon(102, 9, IP, 1, 4), E::HotKeyNotRegisteredInSubNet);
        assert_noop!(prometheus(99, IP, 1), E::HotKeyNotRegisteredInNetwork);
    });
}

#[test]
fn addresses_that_nobody_can_reach_are_refused() {
    open(|| {
        register(2);
        for ip_type in [0, 5, 7] {
            assert_noop!(axon(102, NET, IP, 1, ip_type), E::InvalidIpType);
        }
        for ip in [0x7f00_0001, 0xffff_ffff, 0x1_0000_0000] {
            assert_noop!(axon(102, NET, ip, 1, 4), E::InvalidIpAddress);
        }
        for ip in [1, u128::MAX] {
            assert_noop!(axon(102, NET, ip, 1, 6), E::InvalidIpAddress);
        }
        assert_noop!(axon(102, NET, IP, 0, 4), E::InvalidPort);
        assert_noop!(prometheus(102, 0, 1), E::InvalidIpAddress);
        assert_ok!(axon(102, NET, 0, 1, 4));
        assert_ok!(axon(102, NET, u128::MAX - 1, 1, 6));
    });
}

#[test]
fn serving_again_waits_for_the_rate_limit() {
    open(|| {
        register(2);
        s::ServingRateLimit::<Test>::insert(NET, 5);
        assert_ok!(axon(102, NET, IP, 1, 4));
        run_to(5);
        assert_noop!(axon(102, NET, IP, 2, 4), E::ServingRateLimitExceeded);
        assert_ok!(prometheus(102, IP, 1));
        run_to(6);
        assert_ok!(axon(102, NET, IP, 2, 4));
        assert_noop!(prometheus(102, IP, 2), E::ServingRateLimitExceeded);
    });
}
