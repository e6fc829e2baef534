//! Sets of cores as sysfs writes them: hexadecimal words of 32 bits, the highest first, separated by commas.

/// Bits of a word.
const WORD: usize = 32;

/// The mask that has the bits of `cores`.
pub(super) fn of(cores: &[usize]) -> String {
    let words = cores.iter().max().map_or(1, |highest| highest / WORD + 1);
    let mut mask = vec![0_u32; words];
    for core in cores {
        mask[core / WORD] |= 1 << (core % WORD);
    }
    let words: Vec<_> = mask.iter().rev().map(|word| format!("{word:08x}")).collect();
    words.join(",")
}

/// The cores whose bits a mask has; nothing where `text` is no mask.
pub(super) fn cores(text: &str) -> Option<Vec<usize>> {
    let words: Vec<_> =
        text.trim().rsplit(',').map(|word| u32::from_str_radix(word, 16).ok()).collect::<Option<_>>()?;
    let of_word = |(place, word): (usize, &u32)| {
        let word = *word;
        (0..WORD).filter(move |bit| word >> bit & 1 == 1).map(move |bit| place * WORD + bit)
    };
    Some(words.iter().enumerate().flat_map(of_word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cores: &[usize], mask: &str) {
        assert_eq!(of(cores), mask);
        assert_eq!(super::cores(mask).as_deref(), Some(cores));
    }

    #[test]
    fn a_mask_is_written_and_read_back() {
        check(&[], "00000000");
        check(&[0], "00000001");
        check(&[0, 1, 5], "00000023");
        check(&[31, 32, 95], "80000000,00000001,80000000");
    }

    #[test]
    fn a_mask_is_read_as_the_kernel_shortens_it() {
        assert_eq!(cores("3\n"), Some(vec![0, 1]));
        assert_eq!(cores("f,00000000\n"), Some(vec![32, 33, 34, 35]));
        assert_eq!(cores("eth0"), None);
    }
}
