//! Guards: what a UDP service's messages are, who may send which of them, and how many.
//!
//! [`text`] reads protocols and guards, with everything that is wrong with them. [`meaning`] is what they mean: plain data, and an
//! interpreter written for reading, to which every program that is made of a guard is held, on packets that [`examples`] makes of
//! the rules, and of [`random`] guards. [`nft`] says a guard in the words of nftables, as far as they go. Nothing here touches the
//! kernel, a file or the clock: texts, packets and moments are given.

pub mod examples;
pub mod meaning;
pub mod nft;
pub mod protocols;
pub mod random;
pub mod text;
