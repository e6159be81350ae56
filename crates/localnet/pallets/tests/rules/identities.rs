//! What coldkeys and subnets say about themselves.

use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};
use starling_pallets::{
    subtensor::{self as s, Error, Event},
    types::SubnetIdentityV3,
};

use super::support::*;

type E = Error<Test>;

fn set(cold: u8, name: usize, description: usize) -> DispatchResult {
    let text = |n: usize| vec![b'x'; n];
    let none = Vec::new;
    Subtensor::set_identity(
        signed(&account(cold)),
        text(name),
        none(),
        none(),
        none(),
        none(),
        text(description),
        none(),
    )
}

fn set_subnet(cold: u8, netuid: u16, name: usize) -> DispatchResult {
    let none = Vec::new;
    let name = vec![b'n'; name];
    let who = signed(&account(cold));
    Subtensor::set_subnet_identity(who, netuid, name, none(), none(), none(), none(), none(), none(), none())
}

#[test]
fn a_coldkey_with_a_registered_hotkey_says_who_it_is() {
    open(|| {
        assert_noop!(set(2, 3, 3), E::HotKeyNotRegisteredInNetwork);
        register(2);
        assert_noop!(set(2, 257, 0), E::InvalidIdentity);
        assert_noop!(set(2, 0, 1_025), E::InvalidIdentity);
        assert_ok!(set(2, 256, 1_024));
        assert!(events().contains(&Event::ChainIdentitySet(account(2))));
        let shown = Subtensor::metagraph(NET).unwrap().identities[1].clone().unwrap();
        assert_eq!((shown.name.len(), shown.description.len()), (256, 1_024));
    });
}

#[test]
fn the_owner_says_what_the_subnet_is() {
    open(|| {
        assert_noop!(set_subnet(1, 9, 3), E::SubnetNotExists);
        assert_noop!(set_subnet(2, NET, 3), E::NotSubnetOwner);
        assert_noop!(set_subnet(1, NET, 257), E::InvalidIdentity);
        assert_ok!(set_subnet(1, NET, 3));
        assert!(events().contains(&Event::SubnetIdentitySet(NET)));
        assert_eq!(Subtensor::metagraph(NET).unwrap().name.len(), 3);
    });
}

#[test]
fn a_subnet_is_registered_with_its_identity_or_not_at_all() {
    open(|| {
        let call = |name: usize| {
            let identity = SubnetIdentityV3 { subnet_name: vec![b'n'; name], ..Default::default() };
            Subtensor::register_network_with_identity(signed(&account(2)), hotkey(2), Some(identity))
        };
        assert_noop!(call(257), E::InvalidIdentity);
        assert_ok!(call(4));
        assert_eq!(s::SubnetIdentitiesV3::<Test>::get(2).unwrap().subnet_name, b"nnnn");
        assert_ok!(Subtensor::register_network_with_identity(signed(&account(3)), hotkey(3), None));
        assert!(s::SubnetIdentitiesV3::<Test>::get(3).is_none());
    });
}
