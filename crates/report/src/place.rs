//! Places of the grid: where a cell lies along every dimension, and how that is written.

use weir_results::{
    cell::{Cell, Dimension, Value},
    number::count,
};

/// Where a cell lies along every dimension, in the order of [`Dimension::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place([Value; Dimension::ALL.len()]);

impl Place {
    /// The place of `cell`.
    pub(super) fn of(cell: &Cell) -> Self {
        Self(Dimension::ALL.map(|dimension| dimension.of(cell)))
    }

    /// Where it lies along `dimension`.
    pub(super) fn along(&self, dimension: Dimension) -> Value {
        self.0[index(dimension)]
    }

    /// The place elsewhere along `dimension`.
    pub(super) fn moved(mut self, dimension: Dimension, value: Value) -> Self {
        self.0[index(dimension)] = value;
        self
    }

    /// Only what tells it along `dimensions`: places that differ in nothing else become equal.
    pub(super) fn only(&self, dimensions: &[Dimension]) -> Self {
        let forgotten = Dimension::ALL.into_iter().filter(|dimension| !dimensions.contains(dimension));
        forgotten.fold(self.clone(), |place, dimension| place.moved(dimension, Value::Usual))
    }

    /// Its values along `dimensions` as a table's cells, under their [`head`]s.
    pub(super) fn row(&self, dimensions: &[Dimension]) -> Vec<String> {
        dimensions.iter().map(|&dimension| value_text(dimension, self.along(dimension))).collect()
    }

    /// Its values along `dimensions` inside a sentence: "99 % invalid, 200 000 packets".
    pub(super) fn phrase(&self, dimensions: &[Dimension]) -> String {
        let phrases: Vec<_> =
            dimensions.iter().map(|&dimension| phrase(dimension, self.along(dimension))).collect();
        phrases.join(", ")
    }

    /// A name for files, of the values along `dimensions`; empty without one.
    pub(super) fn slug(&self, dimensions: &[Dimension]) -> String {
        let part = |&dimension: &Dimension| match (dimension, self.along(dimension)) {
            (Dimension::InvalidPercent, Value::Number(percent)) => format!("-{percent}-percent"),
            (_, Value::Number(number)) => format!("-{}-{number}", dimension.key()),
            (_, Value::Usual) => format!("-{}-usual", dimension.key()),
            (_, Value::Mix(mix)) => format!("-{}", mix.to_string().replace(':', "-")),
            (_, value) => format!("-{}-{}", dimension.key(), value.plain().replace(' ', "-")),
        };
        dimensions.iter().map(part).collect::<String>().replace('_', "-")
    }
}

fn index(dimension: Dimension) -> usize {
    Dimension::ALL.iter().position(|&one| one == dimension).expect("ALL has every dimension")
}

/// The head of a column, with the unit of the numbers below it.
pub(super) fn head(dimension: Dimension) -> String {
    match dimension.unit() {
        "" => dimension.title().to_owned(),
        "%" => format!("{} %", dimension.title()),
        unit => format!("{}, {unit}", dimension.title()),
    }
}

/// A value under its [`head`].
pub(super) fn value_text(dimension: Dimension, value: Value) -> String {
    match value {
        Value::Number(number) => count(number),
        _ => dimension.text(value),
    }
}

fn phrase(dimension: Dimension, value: Value) -> String {
    let number = |number, what: &str| format!("{} {what}", count(number));
    match (dimension, value) {
        (Dimension::InvalidPercent, Value::Number(percent)) => number(percent, "% invalid"),
        (Dimension::Packets, Value::Number(packets)) => number(packets, "packets"),
        (Dimension::Rate, Value::Number(rate)) => number(rate, "packets/s offered"),
        (Dimension::Rate, _) | (Dimension::Pinned, Value::Name(_)) => value_text(dimension, value),
        (_, Value::Number(value)) => {
            format!("{} {}", dimension.title(), number(value, dimension.unit()).trim_end())
        }
        _ => format!("{} {}", dimension.title(), dimension.text(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_a_phrase() {
        let place = Place([Value::Usual; Dimension::ALL.len()])
            .moved(Dimension::InvalidPercent, Value::Number(99))
            .moved(Dimension::Background, Value::Name("both"));
        let check = |dimensions: &[Dimension], expected: &str| assert_eq!(place.phrase(dimensions), expected);
        check(&[Dimension::InvalidPercent], "99 % invalid");
        check(&[Dimension::Background, Dimension::Rate], "background load both, as fast as can be");
        assert_eq!(
            place.slug(&[Dimension::Background, Dimension::InvalidPercent]),
            "-background-both-99-percent"
        );
    }
}
