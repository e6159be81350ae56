//! A home router before a host: a namespace of its own that masquerades (RFC 4787 gives the words) and lets nothing in that was not asked for.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::{
    LabError,
    namespace::{DEVICE, Namespace, within},
};

/// How a host's connections look from outside. Both kinds let packets in only from an address and port that the host has sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// The host's port is kept, and is the same towards everybody, so two such hosts can open a path to each other ("port-restricted
    /// cone"): most home routers.
    PortRestricted,
    /// Each peer sees another port, drawn at random, so nobody can be told where to send ("symmetric"): mobile networks. Such a host
    /// needs a relay to be reached by another one behind a NAT.
    Symmetric,
}

/// The two ends of the network behind the `n`-th NAT of a lab: router and host.
fn inside(n: u8) -> (Ipv4Addr, Ipv4Addr) {
    (Ipv4Addr::new(192, 168, n, 1), Ipv4Addr::new(192, 168, n, 2))
}

/// Put `gate`, which has its device to the internet already, before `host`, which has none. Answers the host's address inside.
pub fn install(nat: Nat, n: u8, gate: &Namespace, host: &Namespace) -> Result<Ipv4Addr, LabError> {
    let (router, address) = inside(n);
    gate.ip(&format!("link add lan0 type veth peer name lan0 netns {}\n", host.name))?;
    gate.ip(&format!("link set dev lan0 addrgenmode none\naddr add {router}/24 dev lan0\nlink set lan0 up\n"))?;
    host.ip(&format!(
        "link set dev lan0 addrgenmode none\naddr add {address}/24 dev lan0\nlink set lan0 up\nroute add default via {router}\n"
    ))?;
    let forward = "/proc/sys/net/ipv4/ip_forward";
    within(&gate.name, || std::fs::write(forward, "1"))?
        .map_err(|e| LabError::Command { command: format!("write 1 to {forward}"), reason: e.to_string() })?;
    let how = match nat {
        Nat::PortRestricted => "masquerade",
        Nat::Symmetric => "masquerade fully-random",
    };
    gate.run(
        "nft",
        &["-f", "-"],
        &format!(
            "table ip lab {{
                chain translate {{ type nat hook postrouting priority srcnat; oifname {DEVICE} {how}; }}
                chain through {{
                    type filter hook forward priority filter; policy drop;
                    iifname lan0 accept; ct state established,related accept;
                }}
                chain own {{
                    type filter hook input priority filter; policy drop;
                    iifname lo accept; iifname lan0 accept; ct state established,related accept;
                }}
            }}\n"
        ),
    )?;
    Ok(address)
}
