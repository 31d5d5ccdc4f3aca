//! What apps used, as metrics and as it is billed
//! (admin-api.md §2.13, #102, and §2.17, #152 and #153).

use app::meters::{Billed, Span};
use axum::http::Method;
use bson::DateTime;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::Read;
use web::{Answer, Request};

use crate::{Cx, Row, date, row};

const METRICS: &str = "/groups/{groupId}/apps/{appId}/metrics";
const OF_PROJECT: &str = "/groups/{groupId}/measurements";
const OF_APP: &str = "/groups/{groupId}/apps/{appId}/measurements";

pub(crate) const ROWS: &[Row] = &[
    row("adminGetMetrics", Method::GET, METRICS, Read, |cx, r| {
        Box::pin(metrics(cx, r))
    }),
    row(
        "adminMeasurements",
        Method::GET,
        OF_PROJECT,
        Read,
        |cx, r| Box::pin(of_project(cx, r)),
    ),
    row(
        "adminAppMeasurements",
        Method::GET,
        OF_APP,
        Read,
        |cx, r| Box::pin(of_app(cx, r)),
    ),
];

/// The granularity of measurements unless one is asked for.
const MONTH: &str = "P31D";

/// A value of the query; none when empty.
fn said(request: &Request, name: &str) -> Option<String> {
    request.query_value(name).filter(|text| !text.is_empty())
}

/// A time of the query, in milliseconds.
fn time(request: &Request, name: &str) -> Result<Option<i64>, Problem> {
    let read = |text: String| {
        let time = DateTime::parse_rfc3339_str(&text);
        time.map(DateTime::timestamp_millis)
            .map_err(|_| Problem::invalid_parameter(format!("'{name}' must be a date in ISO 8601")))
    };
    said(request, name).map(read).transpose()
}

fn required(name: &str) -> Problem {
    Problem::missing_parameter(format!("'{name}' is required"))
}

/// A duration as ISO 8601 writes it, in milliseconds: weeks, days, hours,
/// minutes and seconds, in whole numbers. Years and months have no length.
fn duration(text: &str) -> Option<i64> {
    let (mut days, mut times) = (text.strip_prefix('P')?, "");
    if let Some((before, after)) = days.split_once('T') {
        (days, times) = (before, after);
        if times.is_empty() {
            return None;
        }
    }
    let days = sum(days, &[('W', 604_800), ('D', 86_400)])?;
    let times = sum(times, &[('H', 3600), ('M', 60), ('S', 1)])?;
    let seconds = days.checked_add(times)?;
    seconds.checked_mul(1000).filter(|ms| *ms > 0)
}

/// The seconds of parts such as `1H30M`, whose units come in this order.
fn sum(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut seconds = 0_i64;
    for (unit, length) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            let number: i64 = number.parse().ok().filter(|_| is_number)?;
            seconds = seconds.checked_add(number.checked_mul(*length)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(seconds)
}

fn step(granularity: &str) -> Result<i64, Problem> {
    duration(granularity).ok_or_else(|| {
        Problem::invalid_parameter(
            "'granularity' must be a duration in ISO 8601, such as PT5M, PT1H or P1D",
        )
    })
}

/// The points of a series.
fn points<T: Into<Value>>(span: Span, values: impl Iterator<Item = T>) -> Value {
    let points = span.points().zip(values);
    points
        .map(|(at, value)| json!({ "timestamp": date(at), "value": value.into() }))
        .collect()
}

async fn metrics(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let start = time(&request, "start")?.ok_or_else(|| required("start"))?;
    let end = time(&request, "end")?.ok_or_else(|| required("end"))?;
    let granularity = said(&request, "granularity").ok_or_else(|| required("granularity"))?;
    let span = Span::new(start, end, step(&granularity)?)?;
    let series = app.metrics(span, &request.query_list("metrics")).await?;
    let measurements = series.into_iter().map(|series| {
        json!({
            "name": series.name, "units": series.unit,
            "data_points": points(span, series.values.into_iter()),
        })
    });
    Ok(Answer::ok(&json!({
        "app_id": app.id, "app_name": app.record().name, "group_id": app.project_id,
        "start": date(span.start()), "end": date(span.end()), "granularity": granularity,
        "measurements": measurements.collect::<Value>(),
    })))
}

/// The span that a query asks for, and its granularity: the month up to now
/// unless it says otherwise.
fn billing_span(cx: &Cx, request: &Request) -> Result<(Span, String), Problem> {
    let granularity = said(request, "granularity").unwrap_or_else(|| MONTH.to_owned());
    if ![MONTH, "PT1H"].contains(&&*granularity) {
        return Err(Problem::invalid_parameter(
            "'granularity' must be P31D or PT1H",
        ));
    }
    let now = cx.core.clock().now_ms();
    let end = time(request, "end")?.unwrap_or(now);
    let start = match time(request, "start")? {
        Some(start) => start,
        None => month_of(end).ok_or_else(|| required("start"))?,
    };
    Ok((Span::new(start, end, step(&granularity)?)?, granularity))
}

/// When the month of a time began; at the very beginning, the one before.
fn month_of(at: i64) -> Option<i64> {
    let text = date(at.checked_sub(1)?);
    let month = text.get(..7)?;
    let first = DateTime::parse_rfc3339_str(format!("{month}-01T00:00:00Z")).ok()?;
    Some(first.timestamp_millis())
}

fn billed(span: Span, used: &[Billed], with_memory: bool) -> Vec<Value> {
    let series = |name: &str, units: &str, value: fn(&Billed) -> Value| {
        json!({
            "name": name, "units": units, "data_points": points(span, used.iter().map(value)),
        })
    };
    let mut all = vec![
        series("request_count", "", |used| json!(used.requests)),
        series("compute_time", "HOURS", |used| json!(used.compute_h)),
        series("data_out", "GIGABYTES", |used| json!(used.out_gb)),
        // Device Sync is not there yet.
        series("sync_time", "HOURS", |_| json!(0)),
    ];
    if with_memory {
        all.push(series("mem_usage", "GIGABYTE_SECONDS", |used| {
            json!(used.memory_gb_s)
        }));
    }
    all
}

async fn of_project(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (span, granularity) = billing_span(&cx, &request)?;
    let project = request.parameter("groupId");
    let used = cx.core.project_usage(project, span).await?;
    Ok(Answer::ok(&json!({
        "start": date(span.start()), "end": date(span.end()), "granularity": granularity,
        "group_id": project, "measurements": billed(span, &used, false),
    })))
}

async fn of_app(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (span, granularity) = billing_span(&cx, &request)?;
    let app = cx.app()?;
    let used = app.usage(span).await?;
    Ok(Answer::ok(&json!({
        "start": date(span.start()), "end": date(span.end()), "granularity": granularity,
        "group_id": app.project_id, "appId": app.id, "appName": app.record().name,
        "measurements": billed(span, &used, true),
    })))
}

#[cfg(test)]
mod tests {
    use super::{duration, month_of};

    #[test]
    fn durations_are_those_of_iso_8601() {
        for (text, seconds) in [
            ("PT5M", 300),
            ("PT1H", 3600),
            ("PT1H30M", 5400),
            ("P1DT1S", 86_401),
            ("P31D", 31 * 86_400),
            ("P2W", 14 * 86_400),
        ] {
            assert_eq!(duration(text), Some(seconds * 1000), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "PT0M",
            "PT-5M",
            "PT+5M",
            "PT1M1H",
            "1H",
            "PT1.5H",
            "P1M",
            "P1Y",
            "PT5",
            "PTM",
            "PT99999999999999999999H",
            "P9999999999999999W",
            "PT5Mx",
            "pt5m",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_month_begins_on_its_first() {
        assert_eq!(month_of(1_700_000_000_000), Some(1_698_796_800_000));
        assert_eq!(month_of(1_698_796_800_000), Some(1_696_118_400_000));
        assert_eq!(month_of(i64::MIN), None);
    }
}
