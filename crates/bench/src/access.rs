//! What rules cost: `cargo xtask bench rules`. The same requests through the
//! door to data as the system, under an owner rule, which goes into the query,
//! and under field permissions, which every document is asked for; on each
//! engine, in turns. One client; both engines acknowledge a write when it is on
//! the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use app::data::{Access, Calls, Data, ServiceRules, UserAccess};
use bson::{Document, RawArrayBuf, RawBson, RawDocumentBuf, doc, rawdoc};
use engine::BoxFuture;
use kit::{Problem, SystemClock};
use testkit::given::Given;

use crate::waist::{Failed, Side};

const DOCUMENTS: i32 = 100_000;
/// Documents of one group, which are one owner's.
const GROUP: i32 = 20;
const BATCH: usize = 1000;
/// A turn of one kind of access, and how often each has one.
const TURN: Duration = Duration::from_millis(300);
const TURNS: usize = 11;

const OWNER: &str =
    r#"{"name":"owner","apply_when":{"owner":"%%user.id"},"read":true,"write":true}"#;
const FIELDS: &str = r#"{"name":"owner","apply_when":{"owner":"%%user.id"},
    "fields":{"secret":{"read":false},"amount":{"write":true}},"additional_fields":{"read":true}}"#;

/// The kinds of access: the first is what the others are compared with.
const KINDS: [&str; 3] = ["system", "owner rule", "field permissions"];

#[derive(Clone, Copy)]
enum Row {
    FindOne,
    Find,
    Update,
    Aggregate,
}

const ROWS: [(Row, &str); 4] = [
    (Row::FindOne, "findOne by _id"),
    (Row::Find, "find 20 of 100,000 by an index"),
    (Row::Update, "updateOne by _id"),
    (Row::Aggregate, "aggregate 20 into a sum"),
];

struct NoFunctions;

impl Calls for NoFunctions {
    fn call(
        &self,
        function: Arc<str>,
        _arguments: RawArrayBuf,
    ) -> BoxFuture<'_, Result<Option<RawBson>, Problem>> {
        Box::pin(async move { Err(Problem::bad_request(format!("no function '{function}'"))) })
    }
}

/// Measures on both engines the rows whose titles begin with one of `rows`, or
/// every row.
pub(crate) fn run(rows: &[&str]) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut sides = vec![Side::embedded()?];
        match Side::mongod().await? {
            Some(mongod) => sides.push(mongod),
            None => eprintln!("bench: no mongod (BACKSTITCH_MONGOD, PATH): the embedded engine alone"),
        }
        println!(
            "{TURNS} turns of {} ms each, one client: median microseconds of a request, ratio to the system's",
            TURN.as_millis()
        );
        for side in &sides {
            fill(side).await?;
            table(side, rows).await?;
        }
        Ok(())
    })
}

async fn fill(side: &Side) -> Result<(), Failed> {
    let key = doc! { "key": { "group": 1 }, "name": "group_1" };
    side.run(doc! { "createIndexes": "c", "indexes": [key] })
        .await?;
    let all: Vec<Document> = (0..DOCUMENTS)
        .map(|n| {
            doc! {
                "_id": n, "group": n / GROUP, "owner": owner(n / GROUP),
                "amount": f64::from(n % 977), "title": "t".repeat(60), "secret": "s".repeat(60),
                "tags": ["a", "b", "c"], "at": bson::DateTime::from_millis(i64::from(n)),
            }
        })
        .collect();
    for batch in all.chunks(BATCH) {
        side.run(doc! { "insert": "c", "documents": batch.to_vec() })
            .await?;
    }
    Ok(())
}

/// Nine of ten groups are the caller's.
fn owner(group: i32) -> &'static str {
    if group % 10 == 9 { "bob" } else { "ann" }
}

fn access(role: &str) -> Result<Access, Failed> {
    let mut files = config::Files::default();
    let mut put = |path: &str, text: &str| files.insert(path, text.as_bytes().to_vec());
    put(
        "realm_config.json",
        r#"{"config_version":20210101,"app_id":"a-abcde","name":"a"}"#,
    );
    put(
        "data_sources/s/config.json",
        r#"{"name":"s","type":"mongodb-atlas","config":{"clusterName":"c"}}"#,
    );
    put(
        "data_sources/s/bench/c/rules.json",
        &format!(r#"{{"database":"bench","collection":"c","roles":[{role}]}}"#),
    );
    let (config, findings) = config::parse(&files);
    let config = config.ok_or_else(|| format!("{findings:?}"))?;
    let rules = ServiceRules::compile(&config, "s").map_err(|flaws| format!("{flaws:?}"))?;
    Ok(Access::User(UserAccess {
        expansions: Arc::new(Given::user(
            rawdoc! { "id": "ann", "type": "normal", "custom_data": {} },
        )),
        rules: Arc::new(rules),
        calls: Arc::new(NoFunctions),
        null_for_optional: false,
        log: Arc::default(),
    }))
}

async fn table(side: &Side, rows: &[&str]) -> Result<(), Failed> {
    let data = Data::new(side.engine.clone(), Arc::new(SystemClock));
    let kinds = [Access::System, access(OWNER)?, access(FIELDS)?];
    println!("\n{}", side.engine.capabilities().name);
    println!(
        "{:<34} {:>12} {:>12} {:>7} {:>18} {:>7}",
        "", KINDS[0], KINDS[1], "ratio", KINDS[2], "ratio"
    );
    let mut number = 0;
    for (row, title) in ROWS {
        if !rows.is_empty() && !rows.iter().any(|wanted| title.starts_with(wanted)) {
            continue;
        }
        let mut figures = vec![Vec::new(); kinds.len()];
        for turn in 0..=TURNS {
            for (access, figures) in kinds.iter().zip(&mut figures) {
                let (began, mut done) = (Instant::now(), 0);
                while began.elapsed() < TURN {
                    row.once(&data, access, number).await?;
                    number += 1;
                    done += 1;
                }
                // The first turn warms up.
                if turn > 0 {
                    figures.push(began.elapsed().as_secs_f64() * 1e6 / f64::from(done));
                }
            }
        }
        let medians: Vec<f64> = figures
            .iter_mut()
            .map(|figures| {
                figures.sort_by(f64::total_cmp);
                figures[figures.len() / 2]
            })
            .collect();
        println!(
            "{title:<34} {:>12.1} {:>12.1} {:>7.2} {:>18.1} {:>7.2}",
            medians[0],
            medians[1],
            medians[1] / medians[0],
            medians[2],
            medians[2] / medians[0],
        );
    }
    Ok(())
}

impl Row {
    async fn once(self, data: &Data, access: &Access, number: i32) -> Result<(), Failed> {
        // One of the caller's groups, and a document of it.
        let group = number.wrapping_mul(7919).rem_euclid(DOCUMENTS / GROUP / 10) * 10 + number % 9;
        let id = group * GROUP + number % GROUP;
        let mut arguments = rawdoc! { "database": "bench", "collection": "c" };
        let mut put = |rest: RawDocumentBuf| {
            for (name, value) in rest.iter().flatten() {
                arguments.append(name, value);
            }
        };
        let action = match self {
            Self::FindOne => {
                put(rawdoc! { "query": { "_id": id } });
                "findOne"
            }
            Self::Find => {
                put(rawdoc! { "query": { "group": group } });
                "find"
            }
            Self::Update => {
                put(rawdoc! { "query": { "_id": id }, "update": { "$inc": { "amount": 1.0 } } });
                "updateOne"
            }
            Self::Aggregate => {
                put(rawdoc! { "pipeline": [
                    { "$match": { "group": group } },
                    { "$group": { "_id": "$owner", "sum": { "$sum": "$amount" }, "n": { "$sum": 1 } } },
                ] });
                "aggregate"
            }
        };
        let found = data.run(access, action, &arguments, None).await;
        let found = found.map_err(|problem| format!("{action}: {problem}"))?;
        let good = match (self, &found) {
            (Self::FindOne, found) => found.as_document().is_some(),
            (Self::Find, RawBson::Array(list)) => list.into_iter().count() == GROUP as usize,
            (Self::Update, RawBson::Document(done)) => done.get_i32("matchedCount").ok() == Some(1),
            (Self::Aggregate, RawBson::Array(list)) => list.into_iter().count() == 1,
            _ => false,
        };
        if good {
            Ok(())
        } else {
            Err(format!("{action}: {found:?}").into())
        }
    }
}
