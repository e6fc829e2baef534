//! What an audit counted, from its map's slots.

use weir_filters::audit::{FRAGMENTS, OTHER_REASON, SLOTS, UNREAD, UNREADABLE};
use weir_records::Drops;

/// What stands for reasons of subsystems, such as a wireless driver's.
const SUBSYSTEM: &str = "SUBSYSTEM";

pub(super) fn drops(counts: &[u64; SLOTS], reasons: &[String], knows_unread: bool, missed: u64) -> Drops {
    let by_number = counts[..OTHER_REASON].iter().zip(reasons).enumerate();
    let named = by_number.map(|(number, (&count, name))| {
        (if name.is_empty() { number.to_string() } else { name.clone() }, count)
    });
    let subsystem = (SUBSYSTEM.to_owned(), counts[OTHER_REASON]);
    Drops {
        by_reason: named.chain([subsystem]).filter(|(_, count)| *count > 0).collect(),
        unread: knows_unread.then_some(counts[UNREAD]),
        fragments: counts[FRAGMENTS],
        unreadable: counts[UNREADABLE],
        missed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(counted: &[(usize, u64)]) -> Drops {
        let mut counts = [0; SLOTS];
        counted.iter().for_each(|&(slot, count)| counts[slot] = count);
        let mut reasons = vec![String::new(); OTHER_REASON];
        reasons[5] = "SOCKET_FILTER".to_owned();
        reasons[6] = "SOCKET_RCVBUFF".to_owned();
        drops(&counts, &reasons, true, 0)
    }

    #[test]
    fn every_count_has_its_place_and_reasons_without_a_name_their_number() {
        let all = counted(&[(5, 10), (6, 20), (7, 1), (OTHER_REASON, 2), (UNREAD, 4), (FRAGMENTS, 8)]);
        assert_eq!((all.socket_filter(), all.receive_buffer(), all.elsewhere()), (10, 20, 3));
        assert_eq!((all.reason("7"), all.reason(SUBSYSTEM), all.unread, all.fragments), (1, 2, Some(4), 8));
        assert_eq!(all.total(), 37);
        assert!(all.is_complete() && !counted(&[(UNREADABLE, 1)]).is_complete());
    }

    #[test]
    fn the_difference_of_two_reads_is_what_came_between() {
        let (earlier, later) = (counted(&[(5, 10), (UNREAD, 1)]), counted(&[(5, 10), (6, 3), (UNREAD, 2)]));
        assert_eq!(&later - &earlier, counted(&[(6, 3), (UNREAD, 1)]));
    }
}
