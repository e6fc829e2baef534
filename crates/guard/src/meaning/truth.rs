//! Kleene's three values.

/// What a condition comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It doesn't hold.
    False,
    /// A byte that would tell is absent.
    Absent,
    /// It holds.
    True,
}

impl Truth {
    /// Of a comparison, which is absent where one of its sides is.
    pub fn of(told: Option<bool>) -> Self {
        match told {
            None => Self::Absent,
            Some(false) => Self::False,
            Some(true) => Self::True,
        }
    }

    /// Whether it is true, and not absent.
    pub const fn is_true(self) -> bool {
        matches!(self, Self::True)
    }

    /// False where one of them is; else absent where one of them is.
    pub fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        conditions.into_iter().fold(Self::True, |all, each| match (all, each) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Absent, _) | (_, Self::Absent) => Self::Absent,
            (Self::True, Self::True) => Self::True,
        })
    }

    /// True where one of them is; else absent where one of them is.
    pub fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        !Self::all(conditions.into_iter().map(|each| !each))
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    /// What is absent stays absent.
    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Absent => Self::Absent,
            Self::True => Self::False,
        }
    }
}
