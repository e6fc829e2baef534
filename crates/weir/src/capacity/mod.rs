//! Capacity: the highest rate that a server carries, for each place where the decision can be made.

pub mod search;
