//! One packet, given in hex, decided by each program.

use serde::Serialize;
use weir_filters::{Combination, Filter, Hook, Layer, Toolkit, corpus::Case};
use weir_output::exit::UsageError;

use crate::{
    Decided, Plan, Refusal,
    disagreement::{hex, options},
    fields::fields,
    plan::LoadedPrograms,
};

/// What one program said of the packet.
#[derive(Clone, Debug, Serialize)]
pub struct SingleAnswer {
    filter: String,
    toolkit: Toolkit,
    hook: Hook,
    /// What tells it from others of the filter and hook, as options of `weir verify`.
    options: String,
    reference: &'static str,
    /// Null where the kernel doesn't run the program on such a packet, or not at all.
    program: Option<&'static str>,
    /// Why there is no program.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(skip)]
    layer: Layer,
    packet: String,
    #[serde(skip)]
    seen: Vec<u8>,
}

impl SingleAnswer {
    /// Whether both said the same, as far as both could be asked.
    pub fn agrees(&self) -> bool {
        self.refused.is_none() && self.program.is_none_or(|program| program == self.reference)
    }

    /// The packet's headers in words.
    pub fn fields(&self) -> String {
        fields(self.layer, &self.seen)
    }

    /// Both verdicts in a line.
    pub fn line(&self) -> String {
        let Self { filter, toolkit, hook, options, reference, .. } = self;
        let options = if options.is_empty() { String::new() } else { format!(" ({options})") };
        if let Some(reason) = &self.refused {
            return format!(
                "{filter} with {toolkit} at {hook}{options}: the reference says {reference}, refused: {reason}"
            );
        }
        let program = self.program.unwrap_or("nothing: it can't be given that packet here");
        let end = if self.agrees() { "" } else { ": they disagree" };
        format!(
            "{filter} with {toolkit} at {hook}{options}: the reference says {reference}, the program {program}{end}"
        )
    }
}

/// Asks each program of the plan.
///
/// # Errors
/// A program that can't be run, or none that can be loaded.
pub fn ask(plan: &Plan, case: &Case) -> anyhow::Result<Vec<SingleAnswer>> {
    let mut answers = Vec::new();
    for place in plan.places() {
        let site = place.site;
        let LoadedPrograms { programs, refusals } = plan.load(&place, |_| 1);
        let answer = |combination: Combination, filter: &Filter, reference, program, refused| SingleAnswer {
            filter: filter.to_string(),
            toolkit: combination.toolkit,
            hook: site.hook,
            options: options(filter, &site).trim_start().to_owned(),
            reference,
            program,
            refused,
            layer: site.hook.layer(),
            packet: hex(&case.seen),
            seen: case.seen.clone(),
        };
        for mut program in programs {
            let (decided, expected) = program.ask(case)?;
            let said = match decided {
                Decided::Verdict(verdict) => Some(verdict.as_str()),
                Decided::NotRunnable => None,
            };
            answers.push(answer(program.combination, &program.filter, expected.as_str(), said, None));
        }
        for Refusal { combination, filter, reason } in refusals {
            let expected = filter.decide_at(&site, &case.seen, case.segments);
            answers.push(answer(combination, &filter, expected.as_str(), None, Some(reason)));
        }
    }
    Ok(answers)
}

/// The bytes that `text` names by two hexadecimal digits each; blanks between them don't matter.
///
/// # Errors
/// Anything else, and no byte at all.
pub fn packet_from_hex(text: &str) -> Result<Vec<u8>, UsageError> {
    let digits: Vec<char> = text.chars().filter(|digit| !digit.is_whitespace()).collect();
    let value = |digit: char| digit.to_digit(16).map(|value| value as u8);
    let byte = |pair: &[char]| match *pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
        UsageError(format!("'{text}' is no packet in hex: it takes two digits a byte, such as 00ff"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_two_digits_a_byte() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(packet_from_hex(text).ok().as_deref(), expected, "{text}");
        };
        check("00ff", Some(&[0, 255]));
        check("00 FF\n1a", Some(&[0, 255, 0x1a]));
        for wrong in ["", "0", "0g", "0x00", "é0", "+1"] {
            check(wrong, None);
        }
    }
}
