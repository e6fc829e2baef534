//! Running guards as a picture that goes on: rates, and what is dropped why.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    time::Instant,
};

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize as _},
    text::Line,
    widgets::{Cell, Paragraph, Row, Sparkline, Table},
};
use weir_service::{DecisionStatus, GuardStatus, GuardVerdict};

use super::shown::rule;

/// Looks that a sparkline is made of.
const HISTORY: usize = 120;

/// Columns of a service's line before its sparkline.
const LINE: u16 = 56;

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TopOrder {
    /// Packets a second, the most first.
    #[default]
    Rate,
    /// Packets in all, the most first.
    Packets,
    /// Drops before others, then as by rate.
    Drops,
    /// Service, then as the guard's file has them.
    Service,
}

impl TopOrder {
    const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Packets => "packets",
            Self::Drops => "drops",
            Self::Service => "service",
        }
    }
}

/// What is shown.
#[derive(Debug, Default)]
pub(crate) struct Top {
    pub(crate) order: TopOrder,
    pub(crate) is_paused: bool,
    /// Why nothing new is shown.
    pub(crate) failure: Option<String>,
    services: Vec<TopService>,
    /// The one that keys are about, by its place.
    chosen: usize,
    rows: Vec<TopRow>,
    /// What each decision had come to, and when that was.
    before: Option<(Instant, HashMap<TopKey, u64>)>,
    drops: HashMap<ServiceKey, VecDeque<u64>>,
}

/// A service of a process.
type ServiceKey = (u32, String);

/// A decision of a service: its name, its message, its limit, and what becomes of it, since rules may change.
type TopKey = (ServiceKey, String, Option<String>, Option<usize>, GuardVerdict);

#[derive(Debug)]
struct TopService {
    key: ServiceKey,
    mode: String,
    hook: String,
    is_attached: bool,
    /// Packets a second, of which the rules drop some.
    rate: f64,
    dropped: f64,
}

#[derive(Debug)]
struct TopRow {
    service: String,
    message: String,
    rule: String,
    verdict: GuardVerdict,
    packets: u64,
    rate: f64,
}

impl Top {
    /// Takes what guards said at that moment. While it is paused, what is shown stays.
    pub(crate) fn take(&mut self, at: Instant, guards: &[GuardStatus]) {
        if self.is_paused {
            return;
        }
        let before = self.before.take();
        let elapsed = before.as_ref().map(|(then, _)| at.saturating_duration_since(*then).as_secs_f64());
        let mut counts = HashMap::new();
        self.services.clear();
        self.rows.clear();
        for (guard, service) in
            guards.iter().flat_map(|guard| guard.services.iter().map(move |each| (guard, each)))
        {
            let key = (guard.process, service.service.clone());
            let (mut rate_of_all, mut dropped) = (0.0, 0.0);
            for decision in &service.decisions {
                let DecisionStatus { decision: name, message, limit, verdict, .. } = decision;
                let key = (key.clone(), name.clone(), message.clone(), *limit, *verdict);
                let known = before.as_ref().and_then(|(_, counts)| counts.get(&key).copied());
                // A program that was loaded anew counts from 0 on.
                let more = decision.packets.saturating_sub(known.unwrap_or(decision.packets));
                let rate =
                    elapsed.filter(|elapsed| *elapsed > 0.0).map_or(0.0, |elapsed| more as f64 / elapsed);
                rate_of_all += rate;
                dropped += if decision.verdict == GuardVerdict::Accept { 0.0 } else { rate };
                counts.insert(key, decision.packets);
                if decision.packets > 0 {
                    self.rows.push(TopRow {
                        service: service.service.clone(),
                        message: decision.message.clone().unwrap_or_default(),
                        rule: rule(&decision.rule).to_owned(),
                        verdict: decision.verdict,
                        packets: decision.packets,
                        rate,
                    });
                }
            }
            let drops = self.drops.entry(key.clone()).or_default();
            drops.push_back(dropped.round() as u64);
            drops.drain(..drops.len().saturating_sub(HISTORY));
            self.services.push(TopService {
                key,
                mode: service.mode.clone(),
                hook: service.hook.clone(),
                is_attached: !service.places.is_empty(),
                rate: rate_of_all,
                dropped,
            });
        }
        self.chosen = self.chosen.min(self.services.len().saturating_sub(1));
        self.drops.retain(|key, _| self.services.iter().any(|service| service.key == *key));
        self.before = Some((at, counts));
    }

    /// Goes on from what is there now: rates are those from the next look on.
    pub(crate) fn pause_or_go_on(&mut self) {
        self.is_paused = !self.is_paused;
        self.before = None;
    }

    /// Chooses the service before the chosen one, or behind it.
    pub(crate) fn choose(&mut self, is_next: bool) {
        let last = self.services.len().saturating_sub(1);
        self.chosen = if is_next { (self.chosen + 1).min(last) } else { self.chosen.saturating_sub(1) };
    }

    /// The chosen service, and the process that guards it.
    pub(crate) fn chosen(&self) -> Option<(u32, String)> {
        self.services.get(self.chosen).map(|service| service.key.clone())
    }

    /// Draws all that there is room for.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>) {
        let most_services = (frame.area().height / 3).max(1);
        let services = (self.services.len() as u16).clamp(1, most_services);
        let areas = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1 + services),
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(1),
        ]);
        let [head, list, _, table, foot] = areas.areas(frame.area());
        frame.render_widget(self.head(), head);
        self.draw_services(frame, list);
        frame.render_widget(self.table(), table);
        let keys = " q quit  space pause  sort: r rate p packets d drops s service  ↑↓ E enforce O observe";
        let short = " q quit  space pause  sort: r p d s  ↑↓ choose  E enforce  O observe";
        let fits = keys.chars().count() <= foot.width.into();
        frame.render_widget(Line::from(if fits { keys } else { short }).dim(), foot);
    }

    fn head(&self) -> Line<'_> {
        let state = match (&self.failure, self.is_paused) {
            (Some(failure), _) => return Line::from(format!("weir guard top: {failure}")).red().bold(),
            (None, true) => ", paused",
            (None, false) => "",
        };
        let count = match self.services.len() {
            1 => "1 service".to_owned(),
            count => format!("{count} services"),
        };
        Line::from(format!("weir guard top: {count}, sorted by {}{state}", self.order.name())).bold()
    }

    fn draw_services(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines = area.rows().skip(1);
        let [head, above] = Layout::horizontal([Constraint::Length(LINE), Constraint::Min(1)])
            .areas(Rect { height: 1, ..area });
        let titles = format!("{:<16} {:<8} {:<9} {:>9} {:>9}", "SERVICE", "MODE", "HOOK", "ALL/s", "DROPS/s");
        frame.render_widget(Line::from(titles).reversed(), head);
        frame.render_widget(Line::from("DROPS").reversed(), above);
        let room = area.height.saturating_sub(1) as usize;
        for (number, (service, line)) in self.services.iter().zip(lines).enumerate() {
            let more = self.services.len() - number;
            if number + 1 == room && more > 1 {
                frame.render_widget(Line::from(format!("and {more} more; name one")), line);
                break;
            }
            let TopService { key, mode, hook, is_attached, rate, dropped } = service;
            let hook = if *is_attached { hook } else { "(waits)" };
            let [rate, lost] = [*rate, *dropped].map(short);
            let text = format!("{:<16} {mode:<8} {hook:<9} {rate:>9} {lost:>9}", cut(&key.1, 16));
            let [text_area, spark_area] =
                Layout::horizontal([Constraint::Length(LINE), Constraint::Min(1)]).areas(line);
            let style = if *is_attached { Style::new() } else { Style::new().fg(Color::Yellow) };
            let is_chosen = number == self.chosen && self.services.len() > 1;
            let style = if is_chosen { style.bold().underlined() } else { style };
            frame.render_widget(Paragraph::new(text).style(style), text_area);
            let drops: Vec<u64> = self.drops.get(key).into_iter().flatten().copied().collect();
            let latest = drops.len().saturating_sub(spark_area.width.into());
            frame.render_widget(Sparkline::default().data(&drops[latest..]).red(), spark_area);
        }
    }

    fn table(&self) -> Table<'_> {
        let head = ["SERVICE", "RULE", "MESSAGE", "VERDICT", "PACKETS", "PACKETS/s"];
        let mut rows: Vec<_> = self.rows.iter().collect();
        let by_rate = |row: &&TopRow| (Reverse(row.rate.to_bits()), Reverse(row.packets));
        match self.order {
            TopOrder::Rate => rows.sort_by_key(by_rate),
            TopOrder::Packets => rows.sort_by_key(|row| Reverse(row.packets)),
            TopOrder::Drops => rows.sort_by_key(|row| (row.verdict == GuardVerdict::Accept, by_rate(row))),
            TopOrder::Service => {}
        }
        let rows = rows.into_iter().map(|row| {
            let cells = [&*row.service, &row.rule, &row.message, row.verdict.as_str()].map(Cell::from);
            let numbers = [row.packets.to_string(), short(row.rate)]
                .map(|number| Cell::from(Line::from(number).right_aligned()));
            Row::new(cells.into_iter().chain(numbers)).style(match row.verdict {
                GuardVerdict::Accept => Style::new(),
                GuardVerdict::Drop => Style::new().fg(Color::Red),
                GuardVerdict::WouldDrop => Style::new().fg(Color::Yellow),
            })
        });
        let widths = [
            Constraint::Length(12),
            Constraint::Fill(1),
            Constraint::Length(12),
            Constraint::Length(10),
            Constraint::Length(11),
            Constraint::Length(9),
        ];
        let head = head.map(|title| match title {
            "PACKETS" | "PACKETS/s" => Cell::from(Line::from(title).right_aligned()),
            _ => Cell::from(title),
        });
        Table::new(rows, widths).header(Row::new(head).reversed())
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A rate in few columns.
fn short(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate if rate < 1e5 => format!("{rate:.0}"),
        rate if rate < 1e8 => format!("{:.0}k", rate / 1e3),
        rate => format!("{:.0}M", rate / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::{Terminal, backend::TestBackend};
    use weir_service::{AttachedPlace, ServiceStatus};

    use super::*;

    fn guard(service: &str, accepted: u64, dropped: u64) -> GuardStatus {
        let decision = |decision: &str, rule: &str, message: Option<&str>, verdict, packets| DecisionStatus {
            decision: decision.to_owned(),
            message: message.map(str::to_owned),
            limit: None,
            rule: rule.to_owned(),
            verdict,
            packets,
        };
        let place = AttachedPlace { place: "lo".to_owned(), since_ms: 0 };
        let service = ServiceStatus {
            service: service.to_owned(),
            listen: "udp/53".to_owned(),
            mode: "observe".to_owned(),
            hook: "tc".to_owned(),
            reason: None,
            places: vec![place],
            said: String::new(),
            error: None,
            commanded: Vec::new(),
            samples: None,
            decisions: vec![
                decision(
                    "no-message",
                    "dropped: no message of the protocol",
                    None,
                    GuardVerdict::WouldDrop,
                    dropped,
                ),
                decision("accepted", "accepted: query", Some("query"), GuardVerdict::Accept, accepted),
                decision("blocked", "dropped: its source is on 'block'", None, GuardVerdict::Drop, 0),
            ],
        };
        GuardStatus {
            version: String::new(),
            file: String::new(),
            process: 1,
            since_ms: 0,
            services: vec![service],
        }
    }

    fn drawn(top: &Top, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it is in memory");
        terminal.draw(|frame| top.draw(frame)).expect("it is in memory");
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect()
    }

    /// Looks a second apart.
    fn looked(top: &mut Top, looks: &[[u64; 2]]) {
        let start = Instant::now();
        for (second, [accepted, dropped]) in (0..).zip(looks) {
            top.take(start + Duration::from_secs(second), &[guard("dns", *accepted, *dropped)]);
        }
    }

    #[test]
    fn rates_and_drops_are_drawn_in_80_columns() {
        let mut top = Top::default();
        looked(&mut top, &[[100, 0], [200, 1000], [1200, 1250]]);
        let lines = drawn(&top, 80, 24);
        assert_eq!(lines[0], "weir guard top: 1 service, sorted by rate");
        let head =
            format!("{:<16} {:<8} {:<9} {:>9} {:>9} DROPS", "SERVICE", "MODE", "HOOK", "ALL/s", "DROPS/s");
        assert_eq!(lines[1], head);
        assert!(
            lines[2].starts_with("dns              observe  tc             1250       250"),
            "{lines:#?}"
        );
        assert_eq!(lines[2].chars().skip(LINE.into()).collect::<String>(), " █▂");
        assert_eq!(
            lines[4],
            "SERVICE      RULE                  MESSAGE      VERDICT        PACKETS PACKETS/s"
        );
        assert_eq!(
            lines[5],
            "dns          query                 query        accept            1200      1000"
        );
        assert_eq!(
            lines[6],
            "dns          no message of the pro              would-drop        1250       250"
        );
        assert_eq!(lines[7], "", "what never was has no row");
        assert!(lines[23].contains("q quit"));
        top.order = TopOrder::Packets;
        assert!(drawn(&top, 80, 24)[5].contains("would-drop"));
        top.order = TopOrder::Drops;
        assert!(drawn(&top, 80, 24)[5].contains("would-drop"));
        top.order = TopOrder::Service;
        assert!(drawn(&top, 80, 24)[5].contains("would-drop"));
    }

    #[test]
    fn what_is_paused_stays_and_goes_on_without_a_jump() {
        let mut top = Top::default();
        looked(&mut top, &[[100, 0], [200, 0]]);
        top.pause_or_go_on();
        looked(&mut top, &[[900, 0]]);
        let lines = drawn(&top, 80, 10);
        assert!(lines[0].ends_with("paused") && lines[5].ends_with("200       100"), "{lines:#?}");
        top.pause_or_go_on();
        looked(&mut top, &[[10_000, 0], [10_007, 0]]);
        assert!(drawn(&top, 80, 10)[5].ends_with("10007       7.0"));
        // A program that was loaded anew.
        looked(&mut top, &[[5, 0]]);
        assert!(drawn(&top, 80, 10)[5].ends_with("5         0"));
    }

    #[test]
    fn a_service_is_chosen_among_those_that_there_are() {
        let mut top = Top::default();
        assert_eq!(top.chosen(), None);
        top.take(Instant::now(), &[guard("dns", 1, 1), guard("ntp", 1, 1)]);
        let chosen = |top: &Top| top.chosen().map(|(_, service)| service);
        assert_eq!(chosen(&top).as_deref(), Some("dns"));
        for expected in ["ntp", "ntp"] {
            top.choose(true);
            assert_eq!(chosen(&top).as_deref(), Some(expected));
        }
        // The other one is gone.
        top.take(Instant::now(), &[guard("dns", 1, 1)]);
        assert_eq!(chosen(&top).as_deref(), Some("dns"));
        top.choose(false);
        assert_eq!(chosen(&top).as_deref(), Some("dns"));
        assert!(drawn(&top, 80, 24)[23].contains("E enforce"));
    }

    #[test]
    fn it_is_drawn_in_any_size() {
        let mut top = Top::default();
        let guards: Vec<_> =
            (0..40).map(|number| guard(&format!("{number}-{}", "é".repeat(30)), 1, 1)).collect();
        top.take(Instant::now(), &guards);
        top.failure = Some("nobody answers".to_owned());
        for (width, height) in [(1, 1), (10, 3), (80, 24), (300, 100)] {
            drawn(&top, width, height);
        }
        let lines = drawn(&top, 80, 24);
        assert_eq!(lines[0], "weir guard top: nobody answers");
        assert!(lines.iter().any(|line| line == "and 33 more; name one"), "{lines:#?}");
    }

    #[test]
    fn a_rate_is_short() {
        let check = |rate, expected| assert_eq!(short(rate), expected);
        check(0.0, "0");
        check(0.5, "0.5");
        check(99.9, "99.9");
        check(12_345.0, "12345");
        check(1_234_567.0, "1235k");
        check(123_456_789.0, "123M");
    }
}
