//! What running guards say, as Prometheus reads it.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::prometheus_text,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Metric, Registry},
};
use weir_service::{GuardStatus, ServiceStatus, page::Page};

/// The labels of a value, in their order. One that says nothing is empty.
type Labels = Vec<(&'static str, String)>;
type Number = Gauge<f64, AtomicU64>;

/// The page of all metrics of a guard.
pub(crate) fn metrics_page(status: impl Fn() -> GuardStatus) -> Page<impl Fn() -> String> {
    let content_type = prometheus_text::CONTENT_TYPE;
    Page { path: "/metrics", content_type, make: move || metrics(&status()) }
}

/// All metrics of a guard, in Prometheus' text format.
fn metrics(guard: &GuardStatus) -> String {
    let mut registry = Registry::default();
    let mut gauge = |name, help| registered::<Number>(&mut registry, name, help);
    let build = gauge("weir_build_info", "The version of weir, as a label");
    let started = gauge("weir_guard_start_time_seconds", "When weir guard run was started");
    let info = gauge("weir_guard_service_info", "What each service is, as labels");
    let enforcing = gauge("weir_guard_enforcing", "Whether the guard drops: 0 where it observes");
    let attached =
        gauge("weir_guard_attached", "What the program is attached to; 0 where the service is waited for");
    let attached_time = gauge("weir_guard_attached_time_seconds", "Since when the program is attached there");
    let readable = gauge("weir_guard_readable", "Whether the kernel says what was decided");
    let packets: Family<Labels, Counter> =
        registered(&mut registry, "weir_guard_packets", "Packets, by what was decided about them");

    let samples: Family<Labels, Counter> =
        registered(&mut registry, "weir_guard_samples", "Samples of what is dropped, by what became of them");

    let set = |family: &Family<Labels, Number>, labels: Labels, value: f64| {
        family.get_or_create(&labels).set(value);
    };
    set(&build, vec![("version", guard.version.clone())], 1.0);
    set(&started, vec![("file", guard.file.clone())], seconds(guard.since_ms));
    for ServiceStatus { service, listen, mode, hook, places, decisions, error, samples: sampled, .. } in
        &guard.services
    {
        let with = |more: &[(&'static str, &str)]| -> Labels {
            let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
            [("service", service.clone())].into_iter().chain(more).collect()
        };
        set(&info, with(&[("file", &guard.file), ("listen", listen), ("mode", mode), ("hook", hook)]), 1.0);
        set(&enforcing, with(&[]), f64::from(mode == "enforce"));
        set(&readable, with(&[]), f64::from(error.is_none()));
        for each in places {
            let labels = with(&[("hook", hook), ("place", &each.place)]);
            set(&attached, labels.clone(), 1.0);
            set(&attached_time, labels, seconds(each.since_ms));
        }
        if places.is_empty() {
            set(&attached, with(&[("hook", hook), ("place", "")]), 0.0);
        }
        if let Some(each) = sampled {
            for (fate, count) in
                [("written", each.written), ("unwritten", each.unwritten), ("lost", each.lost)]
            {
                samples.get_or_create(&with(&[("fate", fate)])).inc_by(count);
            }
        }
        for each in decisions {
            let labels = with(&[
                ("verdict", each.verdict.as_str()),
                ("decision", &each.decision),
                ("message", each.message.as_deref().unwrap_or_default()),
                ("limit", &each.limit.map(|limit| limit.to_string()).unwrap_or_default()),
            ]);
            packets.get_or_create(&labels).inc_by(each.packets);
        }
    }
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a text grows");
    text
}

fn registered<M: Default>(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, M>
where
    Family<Labels, M>: Metric,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
