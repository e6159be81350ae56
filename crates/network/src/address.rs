//! Where a peer is: endpoint id, socket addresses, relay. One copyable token for people.

use std::{fmt, net::SocketAddr, str::FromStr};

use iroh::{EndpointAddr, EndpointId, RelayUrl};
use parity_scale_codec::{Decode, Encode, Error, Input, Output};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most socket addresses of one peer.
const MAX_ADDRESSES: usize = 8;
/// Longest token, bytes.
const MAX_TOKEN: usize = 768;

/// A peer's network address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// Public key of the endpoint.
    pub endpoint: [u8; 32],
    /// Direct addresses, at most eight.
    pub addresses: Vec<SocketAddr>,
    /// Relay, where the peer uses one.
    pub relay: Option<String>,
}

/// The text is not a peer's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a peer's address ({reason}): copy the whole token, such as 3f…9a@127.0.0.1:40123")]
pub struct AddressError {
    text: String,
    reason: String,
}

impl PeerAddress {
    pub(crate) fn of(addr: &EndpointAddr) -> Self {
        Self {
            endpoint: *addr.id.as_bytes(),
            addresses: addr.ip_addrs().copied().take(MAX_ADDRESSES).collect(),
            relay: addr.relay_urls().next().map(ToString::to_string),
        }
    }

    pub(crate) fn endpoint_addr(&self) -> Result<EndpointAddr, String> {
        let id =
            EndpointId::from_bytes(&self.endpoint).map_err(|e| format!("the endpoint id is no public key: {e}"))?;
        let mut addr = EndpointAddr::new(id);
        for socket in &self.addresses {
            addr = addr.with_ip_addr(*socket);
        }
        if let Some(relay) = &self.relay {
            let url: RelayUrl = relay.parse().map_err(|e| format!("the relay is no URL: {e}"))?;
            addr = addr.with_relay_url(url);
        }
        Ok(addr)
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", hex::encode(self.endpoint))?;
        for (i, a) in self.addresses.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{a}")?;
        }
        if let Some(relay) = &self.relay {
            write!(f, "@{relay}")?;
        }
        Ok(())
    }
}

impl FromStr for PeerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bad = |reason: &str| AddressError { text: text.chars().take(200).collect(), reason: reason.to_owned() };
        let text = text.trim();
        if text.len() > MAX_TOKEN || text.contains(char::is_whitespace) {
            return Err(bad("it is one word of at most 768 characters"));
        }
        let mut parts = text.splitn(3, '@');
        let mut endpoint = [0; 32];
        hex::decode_to_slice(parts.next().unwrap_or_default(), &mut endpoint)
            .map_err(|_| bad("64 hexadecimal digits come first"))?;
        let list = parts.next().unwrap_or_default();
        let addresses: Vec<SocketAddr> = list
            .split(',')
            .filter(|s| !s.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| bad("after @ come ip:port pairs"))?;
        if addresses.len() > MAX_ADDRESSES {
            return Err(bad("more than eight addresses"));
        }
        let found = Self { endpoint, addresses, relay: parts.next().map(str::to_owned) };
        found.endpoint_addr().map_err(|reason| bad(&reason))?;
        Ok(found)
    }
}

impl Encode for PeerAddress {
    fn encode_to<O: Output + ?Sized>(&self, out: &mut O) {
        self.to_string().encode_to(out);
    }
}

impl Decode for PeerAddress {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        String::decode(input)?.parse().map_err(|_| Error::from("not a peer's address"))
    }
}

impl Serialize for PeerAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
