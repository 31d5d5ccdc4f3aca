//! What logging in costs: `cargo xtask bench identity`. Refreshing and checking
//! tokens next to a bare axum server, logins with passwords while functions keep
//! a core busy, and what becomes of other requests while everybody logs in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Load, Sample};
use crate::subject::{Asked, Subject};
use crate::{ROUND, ROUNDS, WARM_UP, hello, median, rates};

/// Users with passwords, who log in at the same time.
const USERS: usize = 48;
/// Sessions whose tokens are checked for the first time.
const SESSIONS: usize = 2000;
/// Connections of those who only want an answer during a storm of logins.
const OTHERS: usize = 2;
/// How much longer a load goes on than what is measured beside it.
const AFTER: Duration = Duration::from_millis(300);
const PASSWORD: &str = "a password of the bench";

type Error = Box<dyn std::error::Error>;

pub(crate) fn run() -> Result<(), Error> {
    let hello = hello::Hello::start()?;
    let mut subject = Subject::launch()?;
    subject.deploy(&app())?;
    let people = people(&subject)?;
    let nothing = Value::Null;
    let of = |token, method, path| Asked {
        token,
        method,
        path,
        body: &nothing,
    };
    let first = people.first().ok_or("no users")?;
    rates(&[
        ("bare axum hello", hello.load()),
        (
            "location, of nobody",
            subject.load_of(&[of("", "GET", "location")]),
        ),
        (
            "profile, of a user",
            subject.load_of(&[of(&first.access, "GET", "/auth/profile")]),
        ),
        (
            "access token for a refresh token",
            subject.load_of(&[of(&first.refresh, "POST", "/auth/session")]),
        ),
    ])?;
    checks(&subject)?;
    let logins: Vec<Value> = people.iter().map(Person::credentials).collect();
    let logins: Vec<Asked<'_>> = logins
        .iter()
        .map(|body| Asked {
            token: "",
            method: "POST",
            path: "auth/providers/local-userpass/login",
            body,
        })
        .collect();
    let logins = subject.load_of(&logins);
    let sum = json!({ "name": "sum", "arguments": [1, 2] });
    let call = subject.load_of(&[Asked {
        token: &first.access,
        method: "POST",
        path: "functions/call",
        body: &sum,
    }]);
    let profile = subject.load_of(&[of(&first.access, "GET", "/auth/profile")]);
    busy(&logins, &call)?;
    storm(
        &logins,
        &[("profile", profile), ("function call: sum(1, 2)", call)],
    )
}

struct Person {
    email: String,
    access: String,
    refresh: String,
}

impl Person {
    fn credentials(&self) -> Value {
        json!({ "username": self.email, "password": PASSWORD })
    }
}

fn people(subject: &Subject) -> Result<Vec<Person>, Error> {
    let person = |n| {
        let email = format!("user{n}@example.com");
        let account = json!({ "email": email, "password": PASSWORD });
        subject.client("auth/providers/local-userpass/register", &account)?;
        let mut person = Person {
            email,
            access: String::new(),
            refresh: String::new(),
        };
        let login = subject.client("auth/providers/local-userpass/login", &person.credentials())?;
        let token = |name: &str| login[name].as_str().unwrap_or_default().to_owned();
        (person.access, person.refresh) = (token("access_token"), token("refresh_token"));
        Ok(person)
    };
    (0..USERS).map(person).collect()
}

/// What the server computes for a token that it meets for the first time, and
/// for one that it knows.
fn checks(subject: &Subject) -> Result<(), Error> {
    let nothing = Value::Null;
    let mut tokens = Vec::new();
    for _ in 0..SESSIONS {
        let login = subject.client("auth/providers/anon-user/login", &json!({}))?;
        tokens.push(
            login["access_token"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    let load = |path: &'static str, named: bool| {
        let asked: Vec<Asked<'_>> = tokens
            .iter()
            .map(|token| Asked {
                token: if named { token } else { "" },
                method: "GET",
                path,
                body: &nothing,
            })
            .collect();
        subject.load_of(&asked)
    };
    let profile = load("/auth/profile", true);
    let (unknown, known) = (profile.once_each()?, profile.once_each()?);
    let location = load("location", false).once_each()?;
    println!("\n{SESSIONS} requests on one connection: us that the server computes for one");
    for (title, cpu) in [
        ("location, of nobody", location),
        ("profile, token known", known),
        ("profile, token met first", unknown),
    ] {
        println!("{title:<34} {:>10.1}", cpu * 1e6);
    }
    Ok(())
}

/// Logins while functions are called from one connection without a pause.
fn busy(logins: &Load, call: &Load) -> Result<(), Error> {
    let alone = logins.run(USERS, ROUND)?;
    let (beside, call) = beside(call, 1, || logins.run(USERS, ROUND))?;
    println!("\nlogins with passwords, {USERS} users at a time");
    for (title, sample) in [("alone", &alone), ("beside function calls", &beside)] {
        println!(
            "{title:<34} {:>6.1} logins/s, p50 {:.0} ms, p99 {:.0} ms",
            sample.per_second,
            sample.p50_us / 1e3,
            sample.p99_us / 1e3
        );
    }
    println!("{:<34} {:>6.0} calls/s", "the calls", call.per_second);
    Ok(())
}

/// What becomes of others while everybody logs in.
fn storm(logins: &Load, others: &[(&str, Load)]) -> Result<(), Error> {
    println!("\n{USERS} users log in without a pause; {OTHERS} connections of others: p50, p99 us");
    for (title, load) in others {
        load.run(OTHERS, WARM_UP)?;
        let (mut idle, mut stormy) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            idle.push(load.run(OTHERS, ROUND)?);
            stormy.push(beside(logins, USERS, || load.run(OTHERS, ROUND))?.0);
        }
        let figures = |samples: &[Sample]| {
            (
                median(samples, |sample| sample.p50_us),
                median(samples, |sample| sample.p99_us),
            )
        };
        let ((p50, p99), (p50_stormy, p99_stormy)) = (figures(&idle), figures(&stormy));
        println!(
            "{title:<34} idle {p50:>6.0} {p99:>6.0}, storm {p50_stormy:>6.0} {p99_stormy:>6.0}, \
             p99 ratio {:.2}",
            p99_stormy / p99
        );
    }
    Ok(())
}

/// Runs `measured` while another load goes on, which begins with it and ends
/// after it.
fn beside(
    load: &Load,
    connections: usize,
    measured: impl FnOnce() -> std::io::Result<Sample>,
) -> Result<(Sample, Sample), Error> {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| load.run(connections, ROUND + AFTER));
        let measured = measured();
        let other = other.join().map_err(|_| "the other load panicked")?;
        Ok((measured?, other?))
    })
}

fn app() -> Value {
    json!({
        "auth_providers": [
            { "name": "anon-user", "type": "anon-user", "disabled": false },
            {
                "name": "local-userpass", "type": "local-userpass", "disabled": false,
                "config": { "autoConfirm": true, "resetPasswordUrl": "https://example.com/reset" },
            },
        ],
        "functions": [{ "name": "sum", "private": false, "source": "exports = (a, b) => a + b;" }],
    })
}
