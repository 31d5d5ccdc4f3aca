//! Histories of transactions: clients that append to lists and move money at
//! the same time, and whether what they saw is snapshot isolation.
//!
//! Every value is appended once, so that a list tells in which order its
//! transactions came. From that follows who depends on whom: a writer on the
//! writer before (ww), a reader on the writer whose value it saw last (wr),
//! and a reader that saw too little on the next writer (rw). A circle without
//! two rw in a row is what a snapshot cannot explain; one with two is write
//! skew, which it allows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bson::{Bson, RawDocumentBuf, doc, rawdoc};
use engine::{Collection, CommandError, Found, Session, SharedEngine};

/// Runs both kinds of clients on an engine and looks at what they saw.
///
/// # Panics
/// When that is no snapshot isolation, or too little was committed to tell.
pub async fn hold(engine: SharedEngine) {
    let history = append(&engine, "appends").await;
    let committed = history.iter().filter(|t| t.end == End::Committed).count();
    println!("{committed} of {} committed", history.len());
    assert!(committed > 30, "{committed} of {}", history.len());
    let anomalies = check(&history);
    assert!(anomalies.is_empty(), "{anomalies:?} in {history:#?}");
    let sums = sums(&engine, "bank").await;
    assert!(sums.len() > 30, "{}", sums.len());
    assert!(sums.iter().all(|sum| *sum == expected_sum()), "{sums:?}");
}

/// What one transaction did with one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The list as it was seen.
    Read(i32, Vec<i64>),
    /// A value put at its end.
    Append(i32, i64),
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Committed.
    Committed,
    /// Aborted, or refused.
    Aborted,
    /// Nobody knows.
    Unknown,
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// How it ended.
    pub end: End,
}

/// What is wrong with a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// A circle of writes.
    G0,
    /// A value of an aborted transaction, or of none, was seen.
    G1a,
    /// A value was seen that its transaction went on from.
    G1b,
    /// A circle of writes and reads.
    G1c,
    /// A circle in which no two readers in a row saw too little: read skew.
    GSingle,
    /// A committed value is in no later list.
    LostUpdate,
    /// Two lists of a key are not each other's beginning, or have a value twice.
    Order,
    /// A transaction did not see its own writes, or saw a list change.
    Internal,
}

/// The anomalies of a history whose last transaction has read every list.
pub fn check(history: &[Transaction]) -> BTreeSet<Anomaly> {
    let mut found = BTreeSet::new();
    let mut writer = HashMap::new();
    let mut last_of = HashMap::new();
    for (index, transaction) in history.iter().enumerate() {
        for step in &transaction.steps {
            if let Step::Append(key, value) = step {
                writer.insert((*key, *value), index);
                last_of.insert((*key, index), *value);
            }
        }
    }
    let committed = || {
        let all = history.iter().enumerate();
        all.filter(|(_, transaction)| transaction.end == End::Committed)
    };
    // The longest list of each key is the order of its values.
    let mut order: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for (index, transaction) in committed() {
        if !is_consistent(&transaction.steps) {
            found.insert(Anomaly::Internal);
        }
        for (key, list) in reads(&transaction.steps) {
            let foreign = foreign(&transaction.steps, key, &list);
            if list.iter().collect::<HashSet<_>>().len() != list.len() {
                found.insert(Anomaly::Order);
            }
            for value in &list {
                match writer
                    .get(&(key, *value))
                    .map(|writer| history[*writer].end)
                {
                    Some(End::Committed | End::Unknown) => {}
                    _ if foreign.contains(value) => {
                        found.insert(Anomaly::G1a);
                    }
                    _ => {}
                }
            }
            if let Some(last) = foreign.last()
                && let Some(by) = writer.get(&(key, *last))
                && *by != index
                && last_of.get(&(key, *by)) != Some(last)
            {
                found.insert(Anomaly::G1b);
            }
            let longest = order.entry(key).or_default();
            let (short, long) = if list.len() < longest.len() {
                (&list, &*longest)
            } else {
                (&*longest, &list)
            };
            if !long.starts_with(short) {
                found.insert(Anomaly::Order);
            }
            if list.len() > longest.len() {
                *longest = list;
            }
        }
    }
    for (_, transaction) in committed() {
        for step in &transaction.steps {
            if let Step::Append(key, value) = step
                && !order.get(key).is_some_and(|list| list.contains(value))
            {
                found.insert(Anomaly::LostUpdate);
            }
        }
    }
    let mut graph = Graph::default();
    for (key, list) in &order {
        let by = |at: usize| {
            let value = list.get(at)?;
            writer.get(&(*key, *value)).copied()
        };
        for at in 1..list.len() {
            graph.edge(by(at - 1), by(at), Kind::Write);
        }
        for (index, transaction) in committed() {
            for (read, seen) in reads(&transaction.steps) {
                if read != *key {
                    continue;
                }
                let seen = foreign(&transaction.steps, read, &seen).len();
                if seen > 0 {
                    graph.edge(by(seen - 1), Some(index), Kind::Read);
                }
                graph.edge(Some(index), by(seen), Kind::Anti);
            }
        }
    }
    if graph.has_circle(&[Kind::Write]) {
        found.insert(Anomaly::G0);
    } else if graph.has_circle(&[Kind::Write, Kind::Read]) {
        found.insert(Anomaly::G1c);
    } else if graph.has_circle(&[Kind::Write, Kind::Read, Kind::Anti]) {
        found.insert(Anomaly::GSingle);
    }
    found
}

fn reads(steps: &[Step]) -> impl Iterator<Item = (i32, Vec<i64>)> {
    steps.iter().filter_map(|step| match step {
        Step::Read(key, list) => Some((*key, list.clone())),
        Step::Append(..) => None,
    })
}

/// A list without what the transaction itself put there.
fn foreign(steps: &[Step], key: i32, list: &[i64]) -> Vec<i64> {
    let own = |value: &i64| steps.contains(&Step::Append(key, *value));
    list.iter().copied().filter(|value| !own(value)).collect()
}

/// Whether a transaction saw one state and on top of it its own writes.
fn is_consistent(steps: &[Step]) -> bool {
    let mut known: HashMap<i32, Vec<i64>> = HashMap::new();
    let mut own: HashMap<i32, Vec<i64>> = HashMap::new();
    steps.iter().all(|step| match step {
        Step::Append(key, value) => {
            own.entry(*key).or_default().push(*value);
            if let Some(list) = known.get_mut(key) {
                list.push(*value);
            }
            true
        }
        Step::Read(key, list) => {
            let own = own.get(key).map_or(&[][..], Vec::as_slice);
            let before = known.insert(*key, list.clone());
            before.map_or(list.ends_with(own), |before| before == *list)
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Write,
    Read,
    Anti,
}

#[derive(Default)]
struct Graph(HashMap<usize, HashSet<(usize, Kind)>>);

impl Graph {
    fn edge(&mut self, from: Option<usize>, to: Option<usize>, kind: Kind) {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            self.0.entry(from).or_default().insert((to, kind));
        }
    }

    /// Whether there is a circle of these edges without two `Anti` in a row.
    fn has_circle(&self, kinds: &[Kind]) -> bool {
        let mut done = HashSet::new();
        for &start in self.0.keys() {
            for anti in [false, true] {
                if self.leads_back((start, anti), kinds, &mut done) {
                    return true;
                }
            }
        }
        false
    }

    fn next(&self, (node, anti): (usize, bool), kinds: &[Kind]) -> Vec<(usize, bool)> {
        let edges = self.0.get(&node).into_iter().flatten();
        edges
            .filter(|(_, kind)| kinds.contains(kind) && !(anti && *kind == Kind::Anti))
            .map(|(to, kind)| (*to, *kind == Kind::Anti))
            .collect()
    }

    /// Depth first; `done` are places from which nothing leads back.
    fn leads_back(
        &self,
        start: (usize, bool),
        kinds: &[Kind],
        done: &mut HashSet<(usize, bool)>,
    ) -> bool {
        if done.contains(&start) {
            return false;
        }
        let mut way = vec![(start, self.next(start, kinds))];
        let mut on_way = HashSet::from([start]);
        while let Some((place, rest)) = way.last_mut() {
            match rest.pop() {
                Some(next) if on_way.contains(&next) => return true,
                Some(next) if done.contains(&next) => {}
                Some(next) => {
                    on_way.insert(next);
                    way.push((next, self.next(next, kinds)));
                }
                None => {
                    on_way.remove(place);
                    done.insert(*place);
                    way.pop();
                }
            }
        }
        false
    }
}

/// Clients at the same time.
const CLIENTS: i64 = 8;
/// Transactions that each of them tries.
const TRIES: i64 = 40;
/// Lists, and accounts.
const KEYS: i32 = 5;
/// What each account has at first.
const MONEY: i64 = 100;

/// Lets clients append to lists in `database` and returns what they saw.
///
/// # Panics
/// When a command fails in another way than by losing to another.
pub async fn append(engine: &SharedEngine, database: &str) -> Vec<Transaction> {
    let lists = Collection::new(engine, database, "lists");
    let empty: Vec<RawDocumentBuf> = (0..KEYS)
        .map(|key| rawdoc! { "_id": key, "l": [] })
        .collect();
    lists.insert_many(&empty).await.expect("lists");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let lists = lists.clone();
            tokio::spawn(async move {
                let mut random = Random::new(client);
                let mut history = Vec::new();
                for n in 0..TRIES {
                    history.push(attempt(&lists, client * 1_000 + n * 10, &mut random).await);
                }
                history
            })
        })
        .collect();
    let mut history = Vec::new();
    for client in clients {
        history.extend(client.await.expect("a client"));
    }
    let mut steps = Vec::new();
    for key in 0..KEYS {
        steps.push(Step::Read(key, read(&lists, key).await.expect("a list")));
    }
    history.push(Transaction {
        steps,
        end: End::Committed,
    });
    history
}

async fn attempt(lists: &Collection, first: i64, random: &mut Random) -> Transaction {
    let session = Session::start();
    let inside = lists.within(&session);
    let mut steps = Vec::new();
    for n in 0..=random.below(4) {
        random.pause().await;
        let key = random.below(u64::from(KEYS.unsigned_abs())) as i32;
        let done = if random.below(2) == 0 {
            read(&inside, key)
                .await
                .map(|list| steps.push(Step::Read(key, list)))
        } else {
            let value = first + n as i64;
            // It may have been done also when it fails.
            steps.push(Step::Append(key, value));
            let push = doc! { "$push": { "l": value } };
            inside.update_one(doc! { "_id": key }, push).await.map(drop)
        };
        if let Err(error) = done {
            lost(&error);
            let _ = session.abort(lists.engine()).await;
            let end = End::Aborted;
            return Transaction { steps, end };
        }
    }
    let end = match session.commit(lists.engine()).await {
        Ok(()) => End::Committed,
        Err(error) if error.is_outcome_unknown() => End::Unknown,
        Err(error) => {
            lost(&error);
            End::Aborted
        }
    };
    Transaction { steps, end }
}

fn lost(error: &CommandError) {
    assert!(error.is_transient(), "{error:?}");
}

async fn read(lists: &Collection, key: i32) -> Result<Vec<i64>, CommandError> {
    let found = lists.find_one(doc! { "_id": key }).await?;
    let found = found.expect("the list is there");
    let list = found.get_array("l").expect("a list");
    Ok(list
        .into_iter()
        .filter_map(|value| value.ok()?.as_i64())
        .collect())
}

/// Lets clients move money between accounts in `database`, and others look at
/// all of them: the sums that these saw, and the one at the end.
///
/// # Panics
/// When a command fails in another way than by losing to another.
pub async fn sums(engine: &SharedEngine, database: &str) -> Vec<i64> {
    let accounts = Collection::new(engine, database, "accounts");
    let all: Vec<RawDocumentBuf> = (0..KEYS)
        .map(|key| rawdoc! { "_id": key, "n": MONEY })
        .collect();
    accounts.insert_many(&all).await.expect("accounts");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let accounts = accounts.clone();
            tokio::spawn(async move {
                let mut random = Random::new(client + 100);
                let mut seen = Vec::new();
                for _ in 0..TRIES {
                    let session = Session::start();
                    let inside = accounts.within(&session);
                    let result = if client % 2 == 0 {
                        transfer(&inside, &mut random).await
                    } else {
                        total(&inside, Some(&mut random)).await.map(Some)
                    };
                    match result {
                        Ok(sum) => {
                            seen.extend(sum);
                            if let Err(error) = session.commit(accounts.engine()).await {
                                lost(&error);
                            }
                        }
                        Err(error) => {
                            lost(&error);
                            let _ = session.abort(accounts.engine()).await;
                        }
                    }
                }
                seen
            })
        })
        .collect();
    let mut seen = Vec::new();
    for client in clients {
        seen.extend(client.await.expect("a client"));
    }
    seen.push(total(&accounts, None).await.expect("a sum"));
    seen
}

/// The sum that there is all the time.
pub fn expected_sum() -> i64 {
    i64::from(KEYS) * MONEY
}

async fn transfer(accounts: &Collection, random: &mut Random) -> Result<Option<i64>, CommandError> {
    let keys = u64::from(KEYS.unsigned_abs());
    let (from, to) = (random.below(keys) as i32, random.below(keys) as i32);
    let amount = random.below(10) as i64;
    for (key, by) in [(from, -amount), (to, amount)] {
        random.pause().await;
        let change = doc! { "$inc": { "n": by } };
        accounts.update_one(doc! { "_id": key }, change).await?;
    }
    Ok(None)
}

async fn total(
    accounts: &Collection,
    mut random: Option<&mut Random>,
) -> Result<i64, CommandError> {
    // One by one, so that others have time in between.
    let mut sum = 0;
    for key in 0..KEYS {
        if let Some(random) = &mut random {
            random.pause().await;
        }
        let found = accounts.find(doc! { "_id": key }, Found::default()).await?;
        let found = found.first().expect("the account is there");
        sum += match Bson::try_from(found.get("n").ok().flatten().expect("money")) {
            Ok(Bson::Int64(n)) => n,
            Ok(Bson::Int32(n)) => n.into(),
            other => panic!("no money: {other:?}"),
        };
    }
    Ok(sum)
}

/// The same numbers each time.
struct Random(u64);

impl Random {
    fn new(seed: i64) -> Self {
        Self(seed.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Lets others go on, so that transactions overlap.
    async fn pause(&mut self) {
        let most = if self.below(4) == 0 { 1_000 } else { 30 };
        for _ in 0..self.below(most) {
            tokio::task::yield_now().await;
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Append, Read};

    fn committed(steps: Vec<Step>) -> Transaction {
        Transaction {
            steps,
            end: End::Committed,
        }
    }

    fn anomalies(history: Vec<Transaction>) -> Vec<Anomaly> {
        check(&history).into_iter().collect()
    }

    #[test]
    fn a_good_history_is_good() {
        let history = vec![
            committed(vec![Append(1, 1), Read(1, vec![1]), Append(2, 2)]),
            committed(vec![Read(2, vec![]), Read(1, vec![])]),
            committed(vec![Read(1, vec![1]), Append(1, 3), Read(1, vec![1, 3])]),
            Transaction {
                steps: vec![Append(1, 4)],
                end: End::Aborted,
            },
            committed(vec![Read(1, vec![1, 3]), Read(2, vec![2])]),
        ];
        assert_eq!(anomalies(history), []);
    }

    #[test]
    fn write_skew_is_allowed() {
        let history = vec![
            committed(vec![Read(1, vec![]), Append(2, 2)]),
            committed(vec![Read(2, vec![]), Append(1, 1)]),
            committed(vec![Read(1, vec![1]), Read(2, vec![2])]),
        ];
        assert_eq!(anomalies(history), []);
    }

    #[test]
    fn a_circle_of_writes_is_found() {
        let history = vec![
            committed(vec![Append(1, 1), Append(2, 2)]),
            committed(vec![Append(1, 3), Append(2, 4)]),
            committed(vec![Read(1, vec![1, 3]), Read(2, vec![4, 2])]),
        ];
        assert_eq!(anomalies(history), [Anomaly::G0]);
    }

    #[test]
    fn reads_of_what_never_was_are_found() {
        let aborted = Transaction {
            steps: vec![Append(1, 1)],
            end: End::Aborted,
        };
        let history = vec![aborted, committed(vec![Read(1, vec![1])])];
        assert_eq!(anomalies(history), [Anomaly::G1a]);
        let history = vec![committed(vec![Read(1, vec![7])])];
        assert_eq!(anomalies(history), [Anomaly::G1a]);
    }

    #[test]
    fn reads_in_the_middle_of_a_transaction_are_found() {
        let history = vec![
            committed(vec![Append(1, 1), Append(1, 2)]),
            committed(vec![Read(1, vec![1])]),
            committed(vec![Read(1, vec![1, 2])]),
        ];
        assert!(anomalies(history).contains(&Anomaly::G1b));
    }

    #[test]
    fn a_circle_of_reads_is_found() {
        let history = vec![
            committed(vec![Append(1, 1), Read(2, vec![2])]),
            committed(vec![Append(2, 2), Read(1, vec![1])]),
            committed(vec![Read(1, vec![1]), Read(2, vec![2])]),
        ];
        assert_eq!(anomalies(history), [Anomaly::G1c]);
    }

    #[test]
    fn read_skew_is_found() {
        let history = vec![
            committed(vec![Append(1, 1), Append(2, 2)]),
            committed(vec![Read(1, vec![]), Read(2, vec![2])]),
            committed(vec![Read(1, vec![1]), Read(2, vec![2])]),
        ];
        assert_eq!(anomalies(history), [Anomaly::GSingle]);
    }

    #[test]
    fn two_that_saw_too_little_but_not_in_a_row_are_found() {
        // 0 sees before 1, which 2 read; 2 sees before 3, which 0 read.
        let history = vec![
            committed(vec![Read(1, vec![]), Read(4, vec![40])]),
            committed(vec![Append(1, 10), Append(3, 30)]),
            committed(vec![Read(3, vec![30]), Read(2, vec![])]),
            committed(vec![Append(2, 20), Append(4, 40)]),
            committed(vec![
                Read(1, vec![10]),
                Read(2, vec![20]),
                Read(3, vec![30]),
                Read(4, vec![40]),
            ]),
        ];
        assert_eq!(anomalies(history), [Anomaly::GSingle]);
    }

    #[test]
    fn lost_updates_are_found() {
        let history = vec![
            committed(vec![Read(1, vec![]), Append(1, 1)]),
            committed(vec![Read(1, vec![]), Append(1, 2)]),
            committed(vec![Read(1, vec![2])]),
        ];
        assert!(anomalies(history).contains(&Anomaly::LostUpdate));
        // Both are there, but one of them had not seen the other.
        let history = vec![
            committed(vec![Read(1, vec![]), Append(1, 1)]),
            committed(vec![Read(1, vec![]), Append(1, 2)]),
            committed(vec![Read(1, vec![1, 2])]),
        ];
        assert_eq!(anomalies(history), [Anomaly::GSingle]);
    }

    #[test]
    fn lists_that_do_not_agree_are_found() {
        let appends = || committed(vec![Append(1, 1)]);
        let others = || committed(vec![Append(1, 2)]);
        let history = vec![
            appends(),
            others(),
            committed(vec![Read(1, vec![1, 2])]),
            committed(vec![Read(1, vec![2, 1])]),
        ];
        assert!(anomalies(history).contains(&Anomaly::Order));
        let history = vec![appends(), committed(vec![Read(1, vec![1, 1])])];
        assert!(anomalies(history).contains(&Anomaly::Order));
    }

    #[test]
    fn a_transaction_that_sees_its_snapshot_change_is_found() {
        let writer = || committed(vec![Append(1, 1)]);
        let history = vec![
            writer(),
            committed(vec![Read(1, vec![]), Read(1, vec![1])]),
            committed(vec![Read(1, vec![1])]),
        ];
        assert!(anomalies(history).contains(&Anomaly::Internal));
        let history = vec![
            committed(vec![Append(1, 1), Read(1, vec![])]),
            committed(vec![Read(1, vec![1])]),
        ];
        assert!(anomalies(history).contains(&Anomaly::Internal));
    }
}
