//! The chain's six scenarios for Yuma 3, and its bond reset: three validators, servers from uid 3, bonds and dividends
//! after every epoch to within a thousandth.

use super::Subnet;
use crate::epoch::{LiquidAlpha, Mode};

/// The servers that the three validators put their weight on (an index into the servers).
type Votes = [u16; 3];

struct Scenario {
    name: &'static str,
    stake: [u64; 3],
    liquid: bool,
    /// Votes before each epoch.
    votes: [Votes; 6],
    /// Per epoch and validator: bonds on the two servers.
    bonds: [[[f64; 2]; 3]; 6],
    /// Per epoch: the validators' dividends.
    dividends: [[f64; 3]; 6],
}

const TOLERANCE: f64 = 1e-3;
const ALL_FIRST: Votes = [0, 0, 0];
const ALL_SECOND: Votes = [1, 1, 1];

fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "the large validator moves first",
            stake: [8, 1, 1],
            liquid: true,
            votes: [ALL_FIRST, [1, 0, 0], [1, 1, 0], ALL_SECOND, ALL_SECOND, ALL_SECOND],
            bonds: [
                [[0.1013, 0.0], [0.1013, 0.0], [0.1013, 0.0]],
                [[0.0908, 0.1013], [0.3697, 0.0], [0.3697, 0.0]],
                [[0.0815, 0.1924], [0.3170, 0.1013], [0.5580, 0.0]],
                [[0.0731, 0.2742], [0.2765, 0.1924], [0.4306, 0.1013]],
                [[0.0656, 0.3478], [0.2435, 0.2742], [0.3589, 0.1924]],
                [[0.0588, 0.4139], [0.2157, 0.3478], [0.3089, 0.2742]],
            ],
            dividends: [
                [0.8, 0.1, 0.1],
                [1.0, 0.0, 0.0],
                [0.9382, 0.0618, 0.0],
                [0.8819, 0.0773, 0.0407],
                [0.8564, 0.0844, 0.0592],
                [0.8418, 0.0884, 0.0697],
            ],
        },
        Scenario {
            name: "the large validator moves second",
            stake: [8, 1, 1],
            liquid: true,
            votes: [ALL_FIRST, [0, 1, 0], [1, 1, 0], ALL_SECOND, ALL_SECOND, ALL_SECOND],
            bonds: [
                [[0.1013, 0.0], [0.1013, 0.0], [0.1013, 0.0]],
                [[0.1924, 0.0], [0.0908, 0.2987], [0.1924, 0.0]],
                [[0.1715, 0.1013], [0.0815, 0.3697], [0.4336, 0.0]],
                [[0.1531, 0.1924], [0.0731, 0.4336], [0.3608, 0.1013]],
                [[0.1369, 0.2742], [0.0656, 0.4910], [0.3103, 0.1924]],
                [[0.1225, 0.3478], [0.0588, 0.5426], [0.2712, 0.2742]],
            ],
            dividends: [
                [0.8, 0.1, 0.1],
                [0.8446, 0.0498, 0.1056],
                [0.6868, 0.3132, 0.0],
                [0.7421, 0.2090, 0.0489],
                [0.7625, 0.1706, 0.0669],
                [0.7730, 0.1508, 0.0762],
            ],
        },
        Scenario {
            name: "the large validator moves last",
            stake: [8, 1, 1],
            liquid: true,
            votes: [ALL_FIRST, [0, 1, 0], [0, 1, 1], ALL_SECOND, ALL_SECOND, ALL_SECOND],
            bonds: [
                [[0.1013, 0.0], [0.1013, 0.0], [0.1013, 0.0]],
                [[0.1924, 0.0], [0.0908, 0.2987], [0.1924, 0.0]],
                [[0.2742, 0.0], [0.0815, 0.5081], [0.1715, 0.2987]],
                [[0.2416, 0.1013], [0.0731, 0.5580], [0.1531, 0.3697]],
                [[0.2141, 0.1924], [0.0656, 0.6028], [0.1369, 0.4336]],
                [[0.1903, 0.2742], [0.0588, 0.6430], [0.1225, 0.4910]],
            ],
            dividends: [
                [0.8, 0.1, 0.1],
                [0.8446, 0.0498, 0.1056],
                [0.8966, 0.0333, 0.0701],
                [0.4663, 0.3210, 0.2127],
                [0.5976, 0.2340, 0.1683],
                [0.6592, 0.1932, 0.1475],
            ],
        },
        Scenario {
            name: "one validator strays for one epoch",
            stake: [33, 33, 34],
            liquid: true,
            votes: [ALL_FIRST, ALL_FIRST, [0, 0, 1], ALL_FIRST, ALL_FIRST, ALL_FIRST],
            bonds: [
                [[0.1013, 0.0], [0.1013, 0.0], [0.1013, 0.0]],
                [[0.1924, 0.0], [0.1924, 0.0], [0.1924, 0.0]],
                [[0.2742, 0.0], [0.2742, 0.0], [0.1715, 0.2987]],
                [[0.3478, 0.0], [0.3478, 0.0], [0.2554, 0.2618]],
                [[0.4139, 0.0], [0.4139, 0.0], [0.3309, 0.2312]],
                [[0.4733, 0.0], [0.4733, 0.0], [0.3987, 0.2051]],
            ],
            dividends: [
                [0.33, 0.33, 0.34],
                [0.33, 0.33, 0.34],
                [0.3782, 0.3782, 0.2436],
                [0.3628, 0.3628, 0.2745],
                [0.3541, 0.3541, 0.2917],
                [0.3487, 0.3487, 0.3026],
            ],
        },
        Scenario {
            name: "one validator strays for one epoch, at one rate for all",
            stake: [33, 33, 34],
            liquid: false,
            votes: [ALL_FIRST, ALL_FIRST, [0, 0, 1], ALL_FIRST, ALL_FIRST, ALL_FIRST],
            bonds: [
                [[0.0250, 0.0], [0.0250, 0.0], [0.0250, 0.0]],
                [[0.0494, 0.0], [0.0494, 0.0], [0.0494, 0.0]],
                [[0.0731, 0.0], [0.0731, 0.0], [0.0481, 0.0250]],
                [[0.0963, 0.0], [0.0963, 0.0], [0.0719, 0.0244]],
                [[0.1189, 0.0], [0.1189, 0.0], [0.0951, 0.0238]],
                [[0.1409, 0.0], [0.1409, 0.0], [0.1178, 0.0232]],
            ],
            dividends: [
                [0.33, 0.33, 0.34],
                [0.33, 0.33, 0.34],
                [0.3734, 0.3734, 0.2532],
                [0.3611, 0.3611, 0.2779],
                [0.3541, 0.3541, 0.2919],
                [0.3495, 0.3495, 0.3009],
            ],
        },
    ]
}

/// A subnet with the scenarios' hyperparameters, after the epoch that grants permits.
fn subnet(stake: &[u64], liquid: bool) -> Subnet {
    let mut subnet = Subnet::new(stake);
    subnet.input.max_validators = 3;
    subnet.input.bonds_penalty = 0;
    subnet.input.bonds_moving_average = 975_000;
    let alpha = LiquidAlpha { low: 6_553, high: 19_660, steepness: 1_000 };
    subnet.input.mode = Mode::Yuma3 { liquid: liquid.then_some(alpha) };
    subnet.run();
    subnet
}

/// Sets the weights, steps a block, runs an epoch, and compares.
fn step(subnet: &mut Subnet, rows: &[Vec<(u16, u16)>], expected: Option<(&[[f64; 3]], [f64; 3])>, what: &str) {
    for (uid, row) in (0..).zip(rows) {
        subnet.set_weights(uid, row);
    }
    subnet.input.block += 1;
    let output = subnet.run();
    let Some((bonds, dividends)) = expected else { return };
    for (validator, dividend) in dividends.iter().enumerate() {
        close(f64::from(output.dividends[validator]), *dividend, &format!("{what}: dividend of {validator}"));
    }
    for (server, column) in bonds.iter().enumerate() {
        for (validator, bond) in column.iter().enumerate() {
            let got = subnet.bond(validator as u16, 3 + server as u16);
            close(f64::from(got), *bond, &format!("{what}: bond of {validator} on server {server}"));
        }
    }
    assert!(output.dividends[3..].iter().all(|dividend| *dividend == 0));
}

fn close(got: f64, expected: f64, what: &str) {
    let got = got / 65_535.0;
    assert!((got - expected).abs() <= TOLERANCE, "{what} is {got:.4}, the chain's table says {expected}");
}

/// All weight on one of two servers; the other is named with zero, as the chain's tests submit it.
fn vote(server: u16) -> Vec<(u16, u16)> {
    vec![(3, if server == 0 { 65_535 } else { 0 }), (4, if server == 1 { 65_535 } else { 0 })]
}

/// A table of bonds by validator, as columns by server.
fn columns<const SERVERS: usize>(bonds: [[f64; SERVERS]; 3]) -> Vec<[f64; 3]> {
    (0..SERVERS).map(|server| bonds.map(|row| row[server])).collect()
}

#[test]
fn five_scenarios_with_two_servers() {
    for scenario in scenarios() {
        let [a, b, c] = scenario.stake;
        let mut subnet = subnet(&[a, b, c, 0, 0], scenario.liquid);
        for (epoch, votes) in scenario.votes.iter().enumerate() {
            let what = format!("{}, epoch {epoch}", scenario.name);
            let bonds = columns(scenario.bonds[epoch]);
            step(&mut subnet, &votes.map(vote), Some((&bonds, scenario.dividends[epoch])), &what);
        }
    }
}

#[test]
fn a_server_that_everyone_keeps_is_bonded_as_if_nothing_else_moved() {
    let half = |servers: [u16; 2]| -> Vec<(u16, u16)> {
        (3..6).map(|uid| (uid, if servers.contains(&uid) { 32_767 } else { 0 })).collect()
    };
    let (old, new) = (half([3, 5]), half([4, 5]));
    let votes = [
        [old.clone(), old.clone(), old.clone()],
        [old.clone(), new.clone(), old.clone()],
        [new.clone(), new.clone(), old.clone()],
        [new.clone(), new.clone(), new.clone()],
        [new.clone(), new.clone(), new.clone()],
        [new.clone(), new.clone(), new.clone()],
    ];
    let bonds = [
        [[0.0507, 0.0, 0.0507], [0.0507, 0.0, 0.0507], [0.0507, 0.0, 0.0507]],
        [[0.0962, 0.0, 0.0962], [0.0455, 0.1000, 0.0962], [0.0962, 0.0, 0.0962]],
        [[0.0863, 0.0507, 0.1371], [0.0408, 0.1405, 0.1371], [0.1770, 0.0, 0.1371]],
        [[0.0774, 0.0962, 0.1739], [0.0367, 0.1770, 0.1739], [0.1579, 0.0507, 0.1739]],
        [[0.0694, 0.1371, 0.2069], [0.0329, 0.2097, 0.2069], [0.1411, 0.0962, 0.2069]],
        [[0.0623, 0.1739, 0.2366], [0.0296, 0.2391, 0.2366], [0.1263, 0.1371, 0.2366]],
    ];
    let dividends = [
        [0.8, 0.1, 0.1],
        [0.8226, 0.0745, 0.1028],
        [0.7750, 0.1685, 0.0565],
        [0.7864, 0.1372, 0.0764],
        [0.7912, 0.1241, 0.0847],
        [0.7937, 0.1173, 0.0890],
    ];
    let mut subnet = subnet(&[8, 1, 1, 0, 0, 0], true);
    for epoch in 0..votes.len() {
        let expected = (&columns(bonds[epoch])[..], dividends[epoch]);
        step(&mut subnet, &votes[epoch], Some(expected), &format!("stable server, epoch {epoch}"));
    }
}

#[test]
fn resetting_the_bonds_on_a_server_lets_the_small_validators_lead_again() {
    let expected = |epoch: u32| -> Option<([[f64; 2]; 3], [f64; 3])> {
        Some(match epoch {
            0 => ([[0.1013, 0.0], [0.1013, 0.0], [0.1013, 0.0]], [0.8, 0.1, 0.1]),
            1 => ([[0.1924, 0.0], [0.0908, 0.2987], [0.0908, 0.2987]], [0.8944, 0.0528, 0.0528]),
            2 => ([[0.1715, 0.1013], [0.0815, 0.3697], [0.0815, 0.3697]], [0.5230, 0.2385, 0.2385]),
            19 => ([[0.0269, 0.8539], [0.0131, 0.8975], [0.0131, 0.8975]], [0.7919, 0.1040, 0.1040]),
            20 => ([[0.0, 0.8687], [0.0, 0.9079], [0.0, 0.9079]], [0.7928, 0.1036, 0.1036]),
            21 => ([[0.0, 0.8820], [0.2987, 0.6386], [0.2987, 0.6386]], [0.8467, 0.0766, 0.0766]),
            40 => ([[0.8687, 0.0578], [0.9079, 0.0523], [0.9079, 0.0523]], [0.7928, 0.1036, 0.1036]),
            _ => return None,
        })
    };
    let mut subnet = subnet(&[8, 1, 1, 0, 0], true);
    for epoch in 0..=40 {
        let votes: Votes = match epoch {
            0 => ALL_FIRST,
            1 => [0, 1, 1],
            2..=20 => ALL_SECOND,
            21 => [1, 0, 0],
            _ => ALL_FIRST,
        };
        if epoch == 20 {
            for row in &mut subnet.input.bonds {
                row.retain(|(uid, _)| *uid != 3);
            }
        }
        let expected = expected(epoch).map(|(bonds, dividends)| (columns(bonds), dividends));
        let expected = expected.as_ref().map(|(bonds, dividends)| (&bonds[..], *dividends));
        step(&mut subnet, &votes.map(vote), expected, &format!("bond reset, epoch {epoch}"));
    }
}
