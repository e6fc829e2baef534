//! What is commanded of a running guard besides what its file says.

use std::{collections::BTreeSet, sync::Arc};

use ipnet::IpNet;
use weir_guard::meaning::{Mode, PrefixList, Service};

/// As many prefixes are told one by one.
const SHOWN: usize = 8;

/// What was commanded, until something else is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Commanded {
    /// Whether it drops.
    pub(crate) mode: Option<Mode>,
    /// Sources that are dropped, too.
    pub(crate) blocked: BTreeSet<IpNet>,
    /// Sources that are accepted, too.
    pub(crate) allowed: BTreeSet<IpNet>,
}

impl Commanded {
    /// The service of the file with what was commanded.
    pub(crate) fn over(&self, rules: &Arc<Service>) -> Arc<Service> {
        if *self == Self::default() {
            return Arc::clone(rules);
        }
        let mut service = Service::clone(rules);
        service.mode = self.mode.unwrap_or(service.mode);
        add(&mut service.block, &self.blocked);
        add(&mut service.allow, &self.allowed);
        Arc::new(service)
    }

    /// It in words.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mode = self.mode.map(|mode| format!("{} by command", mode.name()));
        let listed = |how: &str, prefixes: &BTreeSet<IpNet>| {
            let shown: Vec<_> = prefixes.iter().take(SHOWN).map(ToString::to_string).collect();
            let more = prefixes.len() - shown.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            (!shown.is_empty()).then(|| format!("{how} by command: {}{more}", shown.join(", ")))
        };
        let lists = [listed("blocked", &self.blocked), listed("allowed", &self.allowed)];
        mode.into_iter().chain(lists.into_iter().flatten()).collect()
    }
}

fn add(list: &mut PrefixList, more: &BTreeSet<IpNet>) {
    if !more.is_empty() {
        *list = list.prefixes().iter().chain(more).copied().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_prefixes_some_are_told() {
        let prefix = |last: u8| IpNet::from(std::net::IpAddr::from([192, 0, 2, last]));
        let mut commanded = Commanded { mode: Some(Mode::Enforce), ..Commanded::default() };
        commanded.allowed.insert(prefix(1));
        commanded.blocked.extend((1..=9).map(prefix));
        let [mode, blocked, allowed] = &commanded.lines()[..] else { panic!("three lines") };
        assert_eq!(mode, "enforce by command");
        assert!(
            blocked.starts_with("blocked by command: 192.0.2.1/32, ") && blocked.ends_with(" and 1 more")
        );
        assert_eq!(allowed, "allowed by command: 192.0.2.1/32");
    }
}
