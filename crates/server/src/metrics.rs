//! Counters of what the server does, in Prometheus' text form.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use app::{Backstitch, ClusterHealth};

/// Upper bounds of the latency histogram, in microseconds.
const BOUNDS_US: [u64; 10] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000,
];
const SURFACES: [&str; 4] = ["client", "admin", "other", "site"];

/// The counters.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Requests by surface and status class.
    requests: [[AtomicU64; 5]; SURFACES.len()],
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
    /// Requests in flight.
    pub(crate) in_flight: AtomicU64,
    /// Open connections.
    pub(crate) connections: AtomicU64,
}

/// One of what a gauge counts, until it is dropped.
pub(crate) struct Counted<'g>(&'g AtomicU64);

impl<'g> Counted<'g> {
    pub(crate) fn new(gauge: &'g AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts an answered request.
    pub(crate) fn count(&self, surface: usize, status: u16, time: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.requests[surface][class].fetch_add(1, Ordering::Relaxed);
        let us = time.as_micros() as u64;
        let bucket = BOUNDS_US
            .iter()
            .position(|bound| us <= *bound)
            .unwrap_or(BOUNDS_US.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// The text that `/metrics` answers.
    pub(crate) fn render(&self, core: &Backstitch, health: &[ClusterHealth]) -> String {
        let mut text = String::new();
        let mut put = |line: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        };
        put(format_args!("# TYPE backstitch_requests_total counter"));
        for (surface, classes) in SURFACES.iter().zip(&self.requests) {
            for (class, count) in classes.iter().enumerate() {
                put(format_args!(
                    "backstitch_requests_total{{surface=\"{surface}\",status=\"{}xx\"}} {}",
                    class + 1,
                    count.load(Ordering::Relaxed)
                ));
            }
        }
        put(format_args!("# TYPE backstitch_request_seconds histogram"));
        let mut total = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            match BOUNDS_US.get(index) {
                Some(bound) => put(format_args!(
                    "backstitch_request_seconds_bucket{{le=\"{}\"}} {total}",
                    *bound as f64 / 1e6
                )),
                None => put(format_args!(
                    "backstitch_request_seconds_bucket{{le=\"+Inf\"}} {total}"
                )),
            }
        }
        let sum = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        put(format_args!("backstitch_request_seconds_sum {sum}"));
        put(format_args!("backstitch_request_seconds_count {total}"));
        put(format_args!("# TYPE backstitch_cluster_up gauge"));
        for cluster in health {
            put(format_args!(
                "backstitch_cluster_up{{cluster=\"{}\",own_records=\"{}\"}} {}",
                cluster.name,
                cluster.is_state,
                u8::from(cluster.answers.is_ok())
            ));
        }
        put(format_args!("# TYPE backstitch_cluster_seconds gauge"));
        for cluster in health {
            if let Ok(time) = &cluster.answers {
                put(format_args!(
                    "backstitch_cluster_seconds{{cluster=\"{}\",own_records=\"{}\"}} {}",
                    cluster.name,
                    cluster.is_state,
                    time.as_secs_f64()
                ));
            }
        }
        for (name, value) in [
            ("requests_in_flight", self.in_flight.load(Ordering::Relaxed)),
            ("connections", self.connections.load(Ordering::Relaxed)),
            ("function_calls_running", core.pool().running() as u64),
            ("function_calls_waiting", core.pool().waiting() as u64),
        ] {
            put(format_args!(
                "# TYPE backstitch_{name} gauge\nbackstitch_{name} {value}"
            ));
        }
        text
    }
}
