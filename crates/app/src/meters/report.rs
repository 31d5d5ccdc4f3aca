//! What the meters tell: the Admin API's metrics and measurements
//! (triggers-ops.md §9 and §10).

use std::collections::HashSet;

use bson::{Document, doc};
use kit::Problem;

use super::used::{self, Area, Areas, Used};
use super::{HOUR_MS, MINUTE_MS, Meters};
use crate::{App, Backstitch, stored};

/// Points of one answer.
const POINTS_MAX: i64 = 10_000;

/// Some time, in steps: one point for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: i64,
    end: i64,
    step: i64,
}

/// A metric over some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// A value for each point.
    pub values: Vec<f64>,
}

/// What is billed of one point.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Billed {
    /// Requests, but logins and what belongs to sessions.
    pub requests: u64,
    /// Hours of work.
    pub compute_h: f64,
    /// Gigabytes of answers.
    pub out_gb: f64,
    /// Gigabytes of memory, times the seconds of the work.
    pub memory_gb_s: f64,
}

/// Where a metric comes from.
enum From {
    Ok(&'static [Area]),
    Failed(&'static [Area]),
    Out(&'static [Area]),
    Compute(&'static [Area]),
    Response(Area),
    Logins,
    Users,
    /// Counted by Device Sync alone, or of what lags behind a cluster: nothing
    /// of it happens in this server.
    Nothing(&'static str),
}

const BYTES: &str = "BYTES_PER_SECOND";
const MILLISECONDS: &str = "MILLISECONDS";
const SCALAR: &str = "SCALAR";
const PER_SECOND: &str = "SCALAR_PER_SECOND";

const METRICS: &[(&str, From)] = {
    use Area::{Auth, Endpoints, Forwarders, Graphql, Mql, Sdk, Sync, Triggers};
    use From::{Compute, Failed, Logins, Nothing, Ok, Out, Response, Users};
    &[
        ("ACTIVE_OPEN_SYNC_SESSIONS", Nothing(SCALAR)),
        ("AUTH_EGRESS_BYTES", Out(&[Auth])),
        ("AUTH_FAILED_REQUESTS", Failed(&[Auth])),
        ("AUTH_RESPONSE_MS", Response(Auth)),
        ("AUTH_SUCCESSFUL_LOGIN", Logins),
        ("AUTH_SUCCESSFUL_REQUESTS", Ok(&[Auth])),
        ("AUTH_TOTAL_USERS", Users),
        ("ENDPOINTS_COMPUTE_MS", Compute(&[Endpoints])),
        ("ENDPOINTS_EGRESS_BYTES", Out(&[Endpoints])),
        ("ENDPOINTS_FAILED_REQUEST", Failed(&[Endpoints])),
        ("ENDPOINTS_RESPONSE_MS", Response(Endpoints)),
        ("ENDPOINTS_SUCCESSFUL_REQUESTS", Ok(&[Endpoints])),
        ("GRAPHQL_RESPONSE_MS", Response(Graphql)),
        ("GRAPHQL_COMPUTE_MS", Compute(&[Graphql])),
        ("GRAPHQL_EGRESS_BYTES", Out(&[Graphql])),
        ("GRAPHQL_FAILED_REQUESTS", Failed(&[Graphql])),
        ("GRAPHQL_SUCCESSFUL_REQUESTS", Ok(&[Graphql])),
        ("LF_RESPONSE_MS", Response(Forwarders)),
        ("OVERALL_COMPUTE_MS", Compute(&Area::ALL)),
        ("OVERALL_EGRESS_BYTES", Out(&Area::ALL)),
        ("OVERALL_FAILED_REQUESTS", Failed(&Area::ALL)),
        ("OVERALL_SUCCESSFUL_REQUESTS", Ok(&Area::ALL)),
        ("OVERALL_SYNC_MINUTES", Nothing(PER_SECOND)),
        ("SDK_COMPUTE_MS", Compute(&[Sdk])),
        ("SDK_EGRESS_BYTES", Out(&[Sdk])),
        ("SDK_FAILED_REQUESTS", Failed(&[Sdk])),
        ("SDK_FNS_RESPONSE_MS", Response(Sdk)),
        ("SDK_MQL_COMPUTE_MS", Compute(&[Mql])),
        ("SDK_MQL_EGRESS_BYTES", Out(&[Mql])),
        ("SDK_MQL_FAILED_REQUESTS", Failed(&[Mql])),
        ("SDK_MQL_RESPONSE_MS", Response(Mql)),
        ("SDK_MQL_SUCCESSFUL_REQUESTS", Ok(&[Mql])),
        ("SDK_SUCCESSFUL_REQUESTS", Ok(&[Sdk])),
        ("SYNC_CLIENT_BOOTSTRAP_MS", Nothing(MILLISECONDS)),
        ("SYNC_CLIENT_UPLOADS_INVALID", Nothing(PER_SECOND)),
        ("SYNC_CURRENT_OPLOG_LAG_MS_SUM", Nothing(MILLISECONDS)),
        ("SYNC_EGRESS_BYTES", Out(&[Sync])),
        ("SYNC_FAILED_REQUESTS", Failed(&[Sync])),
        ("SYNC_HISTORY_WRITE_MS", Nothing(MILLISECONDS)),
        ("SYNC_MINUTES", Nothing(PER_SECOND)),
        ("SYNC_NUM_INTEGRATION_ATTEMPTS", Nothing(PER_SECOND)),
        ("SYNC_NUM_UNSYNCABLE_DOC", Nothing(SCALAR)),
        ("SYNC_OT_MS", Nothing(MILLISECONDS)),
        ("SYNC_SESSIONS_ENDED", Nothing(PER_SECOND)),
        ("SYNC_SESSIONS_STARTED", Nothing(PER_SECOND)),
        ("SYNC_SUCCESSFUL_REQUESTS", Ok(&[Sync])),
        ("SYNC_UPLOAD_PROPS_MS", Nothing(MILLISECONDS)),
        ("TRIGGERS_COMPUTE_MS", Compute(&[Triggers])),
        ("TRIGGERS_CURRENT_OPLOG_LAG_MS_SUM", Nothing(MILLISECONDS)),
        ("TRIGGERS_EGRESS_BYTES", Out(&[Triggers])),
        ("TRIGGERS_FAILED_REQUESTS", Failed(&[Triggers])),
        ("TRIGGERS_RESPONSE_MS", Response(Triggers)),
        ("TRIGGERS_SUCCESSFUL_REQUESTS", Ok(&[Triggers])),
    ]
};

impl Span {
    /// From `start` to before `end`, in steps, all in milliseconds.
    ///
    /// # Errors
    /// `InvalidParameter` when it ends before it starts, for steps of less than
    /// a minute, and for too many of them.
    pub fn new(start: i64, end: i64, step: i64) -> Result<Self, Problem> {
        if end <= start {
            return Err(Problem::invalid_parameter("'start' must be before 'end'"));
        }
        if step < MINUTE_MS {
            return Err(Problem::invalid_parameter(
                "'granularity' must be a minute or more",
            ));
        }
        let span = Self { start, end, step };
        let length = end.checked_sub(start);
        if length.is_none_or(|length| length / step >= POINTS_MAX) {
            return Err(Problem::invalid_parameter(format!(
                "more than {POINTS_MAX} points; 'granularity' must be larger"
            )));
        }
        Ok(span)
    }

    /// Where it starts.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// Where it ends.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// When each of its points begins.
    pub fn points(&self) -> impl Iterator<Item = i64> {
        let (end, step) = (self.end, self.step);
        std::iter::successors(Some(self.start), move |at| at.checked_add(step))
            .take_while(move |at| *at < end)
    }

    /// The point to which something of a time belongs.
    pub(super) fn index(&self, at: i64) -> Option<usize> {
        if !(self.start..self.end).contains(&at) {
            return None;
        }
        usize::try_from((at - self.start) / self.step).ok()
    }

    /// Whether hours lie within its points as a whole.
    fn is_of_hours(&self) -> bool {
        self.step % HOUR_MS == 0 && self.start % HOUR_MS == 0 && self.end % HOUR_MS == 0
    }
}

impl Meters {
    /// What was used in each point of a span, by an app or a project's apps.
    async fn read(&self, of: Document, span: Span) -> Result<Vec<Areas>, Problem> {
        self.write().await?;
        let mut points = vec![Areas::new(); span.points().count()];
        let mut put = |at: i64, areas: &Areas| {
            let point = span.index(at).and_then(|index| points.get_mut(index));
            if let Some(point) = point {
                used::add(point, areas);
            }
        };
        let mut within = of;
        let from = span.start - span.start.rem_euclid(HOUR_MS);
        within.insert("hour", doc! { "$gte": from, "$lt": span.end });
        let order = doc! { "hour": 1, "_id": 1 };
        let mut minutes = within.clone();
        if span.is_of_hours() {
            // What was summed up is read as that.
            minutes.insert("summed", false);
        }
        let minutes = self.state.usage_minutes.list(minutes, order.clone(), 0, 0);
        let minutes = minutes.await.map_err(stored)?;
        let mut seen = HashSet::new();
        for hour in &minutes {
            seen.insert(hour.id.as_str());
            for (name, areas) in &hour.minutes {
                let number = name
                    .strip_prefix('m')
                    .and_then(|text| text.parse::<i64>().ok());
                if let (Some(number), Some(areas)) = (number, areas.as_document()) {
                    put(hour.hour + number * MINUTE_MS, &used::read(areas));
                }
            }
        }
        let hours = self.state.usage_hours.list(within, order, 0, 0);
        for hour in hours.await.map_err(stored)? {
            if !seen.contains(hour.id.as_str()) {
                // A span that starts within the hour has it in its first point.
                put(hour.hour.max(span.start), &used::read(&hour.used));
            }
        }
        Ok(points)
    }

    /// What was billed in each point of a span.
    async fn billed(&self, of: Document, span: Span) -> Result<Vec<Billed>, Problem> {
        let points = self.read(of, span).await?;
        Ok(points.iter().map(bill).collect())
    }
}

fn bill(areas: &Areas) -> Billed {
    const US_PER_HOUR: f64 = 3_600_000_000.0;
    const GIGA: f64 = 1_000_000_000.0;
    let mut billed = Billed::default();
    for (area, used) in areas {
        if *area != Area::Auth {
            billed.requests += used.ok + used.failed;
        }
        billed.compute_h += used.compute_us as f64 / US_PER_HOUR;
        billed.out_gb += used.out_bytes as f64 / GIGA;
        billed.memory_gb_s += used.memory_byte_ms as f64 / GIGA / 1000.0;
    }
    billed
}

impl Backstitch {
    /// What a project's apps used; those that are gone, too.
    ///
    /// # Errors
    /// When the records cannot be reached.
    pub async fn project_usage(
        &self,
        project_id: &str,
        span: Span,
    ) -> Result<Vec<Billed>, Problem> {
        self.meters
            .billed(doc! { "project_id": project_id }, span)
            .await
    }
}

impl App {
    /// What the app used.
    ///
    /// # Errors
    /// When the records cannot be reached.
    pub async fn usage(&self, span: Span) -> Result<Vec<Billed>, Problem> {
        self.core
            .meters
            .billed(doc! { "app_id": &self.id }, span)
            .await
    }

    /// Metrics of the app: those of these names, or all.
    ///
    /// # Errors
    /// `InvalidParameter` for a name that no metric has.
    pub async fn metrics(&self, span: Span, wanted: &[String]) -> Result<Vec<Series>, Problem> {
        let is_known = |name: &&String| METRICS.iter().all(|(known, _)| known != name);
        if let Some(unknown) = wanted.iter().find(is_known) {
            return Err(Problem::invalid_parameter(format!(
                "there is no metric '{unknown}'"
            )));
        }
        let meters = &self.core.meters;
        let points = meters.read(doc! { "app_id": &self.id }, span).await?;
        let mut series = Vec::new();
        for (name, from) in METRICS {
            if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
                continue;
            }
            let values = match from {
                From::Users => self.users_over_time(span, &points).await?,
                from => points.iter().map(|point| from.value(point, span)).collect(),
            };
            let unit = from.unit();
            series.push(Series { name, unit, values });
        }
        Ok(series)
    }

    /// How many users there were at the end of each point: those of now, less
    /// those who came since.
    async fn users_over_time(&self, span: Span, points: &[Areas]) -> Result<Vec<f64>, Problem> {
        let of = doc! { "app_id": &self.id };
        let users = self.core.state.users.count(of.clone()).await;
        let mut users = i64::try_from(users.map_err(stored)?).unwrap_or(i64::MAX);
        let came = |areas: &Areas| areas.get(&Area::Auth).map_or(0, |used| used.users);
        // The minute of now is not over.
        let now = self.core.clock.now_ms() + MINUTE_MS;
        if span.end < now {
            let later = Span {
                start: span.end,
                end: now,
                step: now - span.end,
            };
            let since = self.core.meters.read(of, later).await?;
            users -= since.iter().map(came).sum::<i64>();
        }
        let mut values = Vec::new();
        for point in points.iter().rev() {
            values.push(users.max(0) as f64);
            users -= came(point);
        }
        values.reverse();
        Ok(values)
    }
}

impl From {
    fn unit(&self) -> &'static str {
        match self {
            Self::Out(_) => BYTES,
            Self::Response(_) => MILLISECONDS,
            Self::Users => SCALAR,
            Self::Nothing(unit) => unit,
            Self::Ok(_) | Self::Failed(_) | Self::Compute(_) | Self::Logins => PER_SECOND,
        }
    }

    fn value(&self, point: &Areas, span: Span) -> f64 {
        let sum = |areas: &[Area], of: fn(&Used) -> u64| -> f64 {
            let used = areas.iter().filter_map(|area| point.get(area));
            used.map(of).sum::<u64>() as f64
        };
        let seconds = span.step as f64 / 1000.0;
        match self {
            Self::Ok(areas) => sum(areas, |used| used.ok) / seconds,
            Self::Failed(areas) => sum(areas, |used| used.failed) / seconds,
            Self::Out(areas) => sum(areas, |used| used.out_bytes) / seconds,
            Self::Compute(areas) => sum(areas, |used| used.compute_us) / 1000.0 / seconds,
            Self::Response(area) => point.get(area).map_or(0.0, Used::p95_ms),
            Self::Logins => sum(&[Area::Auth], |used| used.logins) / seconds,
            Self::Users | Self::Nothing(_) => 0.0,
        }
    }
}
