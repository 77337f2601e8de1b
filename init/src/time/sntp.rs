//! Client packets of the Simple Network Time Protocol (RFC 4330, RFC 5905). Pure.

use std::time::Duration;

use anyhow::bail;

use crate::time::utc::Utc;

/// A reply can be longer: extensions and signatures follow.
const LENGTH: usize = 48;

/// Leap indicator 0, version 4, mode 3 (client).
const CLIENT: u8 = 4 << 3 | 3;
const MODE_SERVER: u8 = 4;
/// The leap indicator of a server whose clock is not set.
const LEAP_UNKNOWN: u8 = 3;

/// Seconds from 1900, the start of the first era, to 1970.
const SECONDS_TO_1970: u32 = 2_208_988_800;

/// A request with `nonce` in place of our time, which the server returns unchanged.
pub(crate) fn make_request(nonce: u64) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    let (head, transmit) = (packet.first_mut(), nonce.to_be_bytes());
    if let Some(head) = head {
        *head = CLIENT;
    }
    if let Some(field) = packet.last_chunk_mut() {
        *field = transmit;
    }
    packet
}

/// Whether this is a reply to the request with this nonce, which other senders do not know.
pub(crate) fn is_reply(packet: &[u8], nonce: u64) -> bool {
    let [head, _, _, originate, ..] = packet.as_chunks::<8>().0 else { return false };
    packet.len() >= LENGTH && head[0] & 7 == MODE_SERVER && *originate == nonce.to_be_bytes()
}

/// The time since 1970 at which a server sent this reply, or why it is invalid.
///
/// The 32 bits of seconds overflow in 2036 and every 136 years. The result is the time nearest to
/// `floor`; a time before `floor` is rejected.
pub(crate) fn parse_reply(packet: &[u8], floor: Duration) -> anyhow::Result<Duration> {
    let [head, _, _, _, _, transmit, ..] = packet.as_chunks::<8>().0 else {
        bail!("its reply has {} bytes, not {LENGTH}", packet.len());
    };
    let [flags, stratum, ..] = *head;
    if stratum == 0 {
        bail!("it rejects requests ({})", kiss_code(packet));
    }
    if stratum > 15 || flags >> 6 == LEAP_UNKNOWN {
        bail!("its own clock is not set");
    }
    if *transmit == [0; 8] {
        bail!("its reply contains no time");
    }
    parse_time(u64::from_be_bytes(*transmit), floor)
}

/// Four letters in place of the reference (RFC 5905, section 7.4).
fn kiss_code(packet: &[u8]) -> String {
    let code = packet.get(12..16).unwrap_or_default();
    code.escape_ascii().to_string()
}

fn parse_time(stamp: u64, floor: Duration) -> anyhow::Result<Duration> {
    let [high, low] = [stamp >> 32, stamp & u64::from(u32::MAX)];
    let seconds = u32::try_from(high)?.wrapping_sub(SECONDS_TO_1970);
    // The floor in the same 32 bits. The difference is less than 68 years.
    let floor_bits = u32::try_from(floor.as_secs() & u64::from(u32::MAX))?;
    let difference = seconds.wrapping_sub(floor_bits).cast_signed();
    let Ok(forward) = u64::try_from(difference) else {
        let time = floor.as_secs().cast_signed() + i64::from(difference);
        bail!("it says {}, before this initramfs was built", Utc(time));
    };
    let nanoseconds = u32::try_from((low * 1_000_000_000) >> 32)?;
    Ok(Duration::new(floor.as_secs() + forward, nanoseconds))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z
    pub(crate) const FLOOR: Duration = Duration::from_hours(490_896);
    const NONCE: u64 = 0x0123_4567_89ab_cdef;

    /// The reply of a server with this time and these first two bytes.
    pub(crate) fn reply(request: &[u8], head: [u8; 2], seconds: u64) -> Vec<u8> {
        let mut packet = vec![0; LENGTH];
        packet[..2].copy_from_slice(&head);
        packet[12..16].copy_from_slice(b"RATE");
        packet[24..32].copy_from_slice(&request[40..48]);
        let bits = (seconds + u64::from(SECONDS_TO_1970)) & u64::from(u32::MAX);
        packet[40..48].copy_from_slice(&(bits << 32 | 1 << 31).to_be_bytes());
        packet
    }

    fn parse(packet: &[u8]) -> Result<Duration, String> {
        parse_reply(packet, FLOOR).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_contains_its_nonce_and_nothing_else() {
        let packet = make_request(NONCE);
        assert_eq!(packet[0], 0x23);
        assert_eq!(packet[40..], NONCE.to_be_bytes());
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn returns_the_time_of_a_valid_reply() {
        let half = Duration::from_millis(500);
        for (head, seconds) in [
            ([0x24, 1], 1_767_225_600),
            ([0x1c, 15], 1_785_542_399),
            // Leap seconds are announced.
            ([0x64, 2], 1_767_225_601),
            ([0xa4, 2], 1_767_225_602),
        ] {
            let packet = reply(&make_request(NONCE), head, seconds);
            let longer = [packet.clone(), vec![1; 20]].concat();
            for packet in [packet, longer] {
                assert!(is_reply(&packet, NONCE), "{head:x?}");
                assert_eq!(parse(&packet), Ok(Duration::from_secs(seconds) + half), "{head:x?}");
            }
        }
    }

    #[test]
    fn a_reply_has_server_mode_and_the_nonce() {
        let good = reply(&make_request(NONCE), [0x24, 2], FLOOR.as_secs());
        for (at, byte) in [(0, 0x23), (0, 0x25), (0, 0x26), (24, 0), (31, 0)] {
            let mut packet = good.clone();
            packet[at] = byte;
            assert!(!is_reply(&packet, NONCE), "{at}");
        }
        for length in 0..LENGTH {
            assert!(!is_reply(&good[..length], NONCE), "{length}");
            assert!(parse(&good[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn rejects_a_server_without_a_valid_time() {
        let good = reply(&make_request(NONCE), [0x24, 2], FLOOR.as_secs());
        for (at, bytes, expected) in [
            (0, &[0xe4][..], "its own clock is not set"),
            (1, &[0], "it rejects requests (RATE)"),
            (1, &[16], "its own clock is not set"),
            (40, &[0; 8], "its reply contains no time"),
        ] {
            let mut packet = good.clone();
            packet[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(parse(&packet), Err(expected.to_owned()), "{at}");
        }
    }

    #[test]
    fn the_era_is_the_one_nearest_to_the_floor() {
        // 2036-02-07T06:28:16Z, where the 32 bits overflow.
        let turn = (1 << 32) - u64::from(SECONDS_TO_1970);
        for (floor, now) in [
            (FLOOR.as_secs(), turn - 1),
            (FLOOR.as_secs(), turn),
            (FLOOR.as_secs(), turn + 1_000_000_000),
            (turn - 1, turn),
            (turn + 10, turn + 2_000_000_000),
            // 2172, in the third era.
            (turn + (1 << 32), turn + (1 << 32) + 5),
            (0, 2_000_000_000),
        ] {
            let packet = reply(&make_request(NONCE), [0x24, 1], now);
            let found = parse_reply(&packet, Duration::from_secs(floor)).unwrap();
            assert_eq!(found.as_secs(), now, "{floor}");
        }
    }

    #[test]
    fn rejects_a_time_before_the_floor() {
        for (before, date) in [(1, "2025-12-31T23:59:59Z"), (1_136_073_600, "1990-01-01T00:00:00Z")]
        {
            let packet = reply(&make_request(NONCE), [0x24, 1], FLOOR.as_secs() - before);
            let expected = format!("it says {date}, before this initramfs was built");
            assert_eq!(parse(&packet), Err(expected));
        }
        let packet = reply(&make_request(NONCE), [0x24, 1], (1 << 32) - 10);
        assert!(parse_reply(&packet, Duration::ZERO).is_err());
    }
}
