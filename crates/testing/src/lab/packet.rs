//! The little of IPv4 that the router reads and writes: addresses, and the message that an address does not exist (RFC 792).

use std::net::Ipv4Addr;

/// An IPv4 header without options, bytes.
const HEADER: usize = 20;
/// Source and destination of an IPv4 packet; `None` for anything else.
pub fn ends(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let header = packet.first_chunk::<HEADER>()?;
    if header[0] >> 4 != 4 {
        return None;
    }
    let [.., a, b, c, d, e, f, g, h] = *header;
    Some((Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h)))
}

/// What the router answers to a packet for an address that no host has: "network unreachable", so that programs that look for
/// the world outside fail at once. `None` where no answer may be sent: to an answer of this kind, to a fragment's rest, to a broadcast.
pub fn unreachable(router: Ipv4Addr, packet: &[u8]) -> Option<Vec<u8>> {
    let (source, destination) = ends(packet)?;
    let icmp = packet[9] == 1;
    let rest = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff != 0;
    if icmp || rest || destination.is_multicast() || destination.is_broadcast() || source.is_unspecified() {
        return None;
    }
    // The header and the first 8 bytes behind it say which socket sent the packet.
    let quoted = &packet[..packet.len().min(usize::from(packet[0] & 15) * 4 + 8)];
    let length = u16::try_from(HEADER + 8 + quoted.len()).ok()?;
    let mut answer = Vec::with_capacity(length.into());
    answer.extend([0x45, 0]);
    answer.extend(length.to_be_bytes());
    // Identification, flags, time to live, protocol ICMP; then the checksum's place.
    answer.extend([0, 0, 0, 0, 64, 1, 0, 0]);
    answer.extend(router.octets());
    answer.extend(source.octets());
    let sum = checksum(&answer);
    answer[10..12].copy_from_slice(&sum.to_be_bytes());
    // Type 3, code 0, checksum, unused.
    answer.extend([3, 0, 0, 0, 0, 0, 0, 0]);
    answer.extend(quoted);
    let sum = checksum(&answer[HEADER..]);
    answer[HEADER + 2..HEADER + 4].copy_from_slice(&sum.to_be_bytes());
    Some(answer)
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn udp(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend(source);
        packet.extend(destination);
        packet.extend([0; 12]);
        packet
    }

    #[test]
    fn the_answer_goes_to_the_sender_and_its_checksums_are_right() {
        let answer = unreachable(Ipv4Addr::new(198, 18, 0, 1), &udp([198, 18, 0, 2], [8, 8, 8, 8])).unwrap();
        assert_eq!(ends(&answer), Some((Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2))));
        // A checksum over bytes that hold their own checksum is zero.
        assert_eq!((checksum(&answer[..20]), checksum(&answer[20..])), (0, 0));
        assert_eq!(unreachable(Ipv4Addr::new(198, 18, 0, 1), &answer), None, "no answer to an answer");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(answer) = unreachable(Ipv4Addr::LOCALHOST, &bytes) {
                prop_assert!(answer.len() <= 20 + 8 + 68);
            }
        }
    }
}
