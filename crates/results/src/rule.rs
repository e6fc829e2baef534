//! Rules for verdicts: claims, and when they are believed, written down in a definition before anything is run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    cell::{Cell, Dimension, Value},
    figure::Figure,
    number::number,
};

/// A claim and when it is believed: a `[[verdicts]]` of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The hypothesis or open question that it answers, such as `T3`.
    pub hypothesis: String,
    /// The claim, in a sentence.
    pub claim: String,
    /// The figure that decides, such as `server-cpu`.
    pub figure: Figure,
    /// What is compared with what.
    pub compare: Compare,
    /// Where the number must lie for the claim to hold.
    pub direction: ClaimDirection,
    /// The smallest effect that matters: percent, or percentage points where the figure is itself in percent.
    pub smallest_effect: f64,
    /// The cells that count; all where nothing is said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at: BTreeMap<Where, At>,
}

/// Reads and writes an enum of some words and the dimensions' names; `verb` is what a verdict can't do with another one.
macro_rules! or_along {
    ($type:ident, $verb:literal, $($variant:ident = $word:literal),+) => {
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                match value {
                    $($type::$variant => $word.to_owned(),)+
                    $type::Along(dimension) => dimension.key().to_owned(),
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(name: String) -> Result<Self, String> {
                match name.as_str() {
                    $($word => Ok(Self::$variant),)+
                    name => Dimension::named(name).map(Self::Along).ok_or_else(|| {
                        let words = [$($word),+].join(", ");
                        let dimensions = Dimension::ALL.map(Dimension::key).join(", ");
                        format!("a verdict can't {} '{name}'; there are: {words}, {dimensions}", $verb)
                    }),
                }
            }
        }
    };
}

/// What a rule can choose cells by: a dimension's name, `placement`, `hook` or `toolkit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Where {
    /// Where the decision is made.
    Placement,
    /// At which hook.
    Hook,
    /// By which toolkit, or `guard`.
    Toolkit,
    /// A value along a dimension.
    Along(Dimension),
}

or_along!(Where, "choose cells by", Placement = "placement", Hook = "hook", Toolkit = "toolkit");

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Compare {
    /// `kernel-user`: the program decides, against the server behind the accept-all program.
    Placements,
    /// `toolkits`: the same filter by two toolkits, or by a guard and a toolkit.
    Toolkits,
    /// `hooks`: the same filter by the same toolkit at another hook, against the socket.
    Hooks,
    /// A dimension's name: the last value along it against the first.
    Along(Dimension),
}

or_along!(Compare, "compare", Placements = "kernel-user", Toolkits = "toolkits", Hooks = "hooks");

/// Where the number must lie for the claim to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimDirection {
    /// Lower by more than the smallest effect.
    Below,
    /// Higher by more than the smallest effect.
    Above,
    /// Not higher by the smallest effect.
    NotAbove,
    /// Not lower by the smallest effect.
    NotBelow,
    /// Different by less than the smallest effect.
    Equal,
}

/// A value along a dimension, as a definition writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum At {
    /// A number, such as `99`.
    Number(u64),
    /// Whether it is so: `pinned`.
    Is(bool),
    /// A name, such as `"veth"`.
    Name(String),
}

impl Rule {
    /// Whether it can be applied at all.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let figure = self.figure.slug();
        if self.smallest_effect.is_nan() || self.smallest_effect < 0.0 {
            return Err(format!("smallest_effect = {}: it must be 0 or more", self.smallest_effect));
        }
        match self.figure.goal() {
            Some(_) if self.compare != Compare::Placements => Err(format!(
                "compare = '{}': figure '{figure}', which a search finds, can be compared 'kernel-user' only",
                String::from(self.compare)
            )),
            _ => Ok(()),
        }
    }

    /// Whether the number is a difference rather than a ratio: a loss may be zero on either side.
    pub fn is_difference(&self) -> bool {
        self.figure.unit() == "%"
    }

    /// The values for which the claim holds, open at both ends.
    pub fn holds_between(&self) -> (f64, f64) {
        let (none, unit) = if self.is_difference() { (0.0, 1.0) } else { (1.0, 100.0) };
        let effect = self.smallest_effect / unit;
        match self.direction {
            ClaimDirection::Below => (f64::NEG_INFINITY, none - effect),
            ClaimDirection::Above => (none + effect, f64::INFINITY),
            ClaimDirection::NotAbove => (f64::NEG_INFINITY, none + effect),
            ClaimDirection::NotBelow => (none - effect, f64::INFINITY),
            ClaimDirection::Equal => (none - effect, none + effect),
        }
    }

    /// The rule in words.
    pub fn text(&self) -> String {
        let unit = if self.is_difference() { " percentage points" } else { "" };
        let text = |value: f64| format!("{}{unit}", number(value, 3));
        let holds = match self.holds_between() {
            (f64::NEG_INFINITY, high) => format!("below {}", text(high)),
            (low, f64::INFINITY) => format!("above {}", text(low)),
            (low, high) => format!("between {} and {}", number(low, 3), text(high)),
        };
        let what = if self.is_difference() { "difference" } else { "ratio" };
        format!(
            "Supported where the {what}'s whole interval lies {holds}, contradicted where none of it does."
        )
    }

    /// Whether `cell` is one of those that it is about.
    pub fn counts(&self, cell: &Cell) -> bool {
        self.at.iter().all(|(choice, wanted)| {
            let found = match choice {
                Where::Placement => Value::Name(cell.placement.name()),
                Where::Hook => Value::Name(cell.hook.as_str()),
                Where::Toolkit => Value::Name(cell.written_with()),
                Where::Along(dimension) => dimension.of(cell),
            };
            match (wanted, found) {
                (At::Number(wanted), Value::Number(found)) => *wanted == found,
                (At::Name(_), Value::Number(_) | Value::Usual) => false,
                (At::Name(wanted), found) => *wanted == found.plain(),
                (At::Is(wanted), Value::Name(found)) => *wanted == (found == "pinned"),
                _ => false,
            }
        })
    }
}
