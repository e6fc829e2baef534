//! Which worker of a server gets a request, where several share its port.

/// 2³² divided by the golden ratio, odd: multiplying by it spreads keys that lie close together, or apart by a power of
/// two, over all words (Knuth, The Art of Computer Programming, volume 3, 6.4).
pub const SPREAD: u32 = 0x9e37_79b1;

/// Name of the constant with which an object compiled ahead of time knows how many workers there are, a `u32`.
pub const WORKER_COUNT: &str = "WORKER_COUNT";

/// Most workers of a server.
pub const MOST_WORKERS: u32 = 64;

/// The worker, from 0 up, that the requests for a key go to.
///
/// The spread key is a fraction of 2³², and the worker that fraction of all of them: a multiplication and a shift where
/// a remainder would be a division.
pub const fn worker_of(key: u32, workers: u32) -> u32 {
    ((key.wrapping_mul(SPREAD) as u64 * workers as u64) >> u32::BITS) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_has_its_share_of_keys_however_they_are_chosen() {
        let steps: [fn(u32) -> u32; 4] = [|n| n, |n| 4 * n, |n| n << 20, |n| 10 * n + 7];
        for step in steps {
            for workers in [1, 2, 3, 4, 7, 16] {
                let mut shares = [0_u32; 16];
                for n in 0..4096 {
                    shares[worker_of(step(n), workers) as usize] += 1;
                }
                let fair = 4096 / workers;
                let shares = &shares[..workers as usize];
                assert!(shares.iter().all(|share| (fair / 2..=2 * fair).contains(share)), "{shares:?}");
            }
        }
    }

    #[test]
    fn one_worker_gets_everything() {
        assert_eq!([0, 1, u32::MAX].map(|key| worker_of(key, 1)), [0; 3]);
    }
}
