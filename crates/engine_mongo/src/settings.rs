//! What an operator sets: the URI, our defaults where it is silent, and the
//! parts of it that no message may show.
//!
//! Not here: a connection. Parsing touches the network only for the DNS
//! records of `mongodb+srv`.

use std::time::Duration;

use bson::{RawDocumentBuf, doc, rawdoc};
use engine::CommandError;
use kit::Secret;
use mongodb::options::{ClientOptions, SelectionCriteria};

use crate::error::translate;

/// Wait for a server that can take a command, unless the URI sets
/// `serverSelectionTimeoutMS`.
const SELECTION_MS: u64 = 30_000;
/// Wait for a connection, unless the URI sets `connectTimeoutMS`.
const CONNECT_MS: u64 = 10_000;
/// Wait for one reply, unless the URI sets `socketTimeoutMS`: the time that a
/// whole function call may take.
const REPLY_MS: u64 = kit::limit::CALL_MS_MAX;
/// Connections to one server, unless the URI sets `maxPoolSize`.
const POOL_CONNECTIONS_MAX: u32 = 100;
/// Connections to one server that wait for change events.
const FEED_CONNECTIONS_MAX: u32 = 10_000;
/// Shortest text that is worth blotting out of a message.
const SECRET_CHARS_MIN: usize = 3;

/// How to reach a deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    uri: Secret<String>,
    majority: bool,
}

impl Settings {
    /// For users' data: concerns and read preference are those of the URI.
    pub fn new(uri: impl Into<Secret<String>>) -> Self {
        Self {
            uri: uri.into(),
            majority: false,
        }
    }

    /// The database that the URI names.
    pub fn database(&self) -> Option<String> {
        let (_, path) = after_user_info(self.uri.expose())?.split_once('/')?;
        let name = decoded(path.split('?').next().unwrap_or_default());
        (!name.is_empty()).then_some(name)
    }

    /// Scheme, hosts and database of the URI: what may be shown.
    pub fn shown(&self) -> String {
        let uri = self.uri.expose();
        let scheme = uri.split_once("://").map_or("", |(scheme, _)| scheme);
        let rest = after_user_info(uri).unwrap_or_default();
        let rest = rest.split('?').next().unwrap_or_default();
        let rest = rest.trim_end_matches('/');
        // What comes behind a stray character may be a part of the password.
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.:,[]%/".contains(c);
        let rest = if rest.chars().all(known) { rest } else { "…" };
        format!("{scheme}://{rest}")
    }

    /// For our own state: what is acknowledged is on a majority, and what is
    /// read cannot be rolled back, whatever the URI says.
    pub fn for_state(uri: impl Into<Secret<String>>) -> Self {
        Self {
            majority: true,
            ..Self::new(uri)
        }
    }

    pub(crate) async fn parse(self) -> Result<Parsed, CommandError> {
        let hidden = Hidden::of(self.uri.expose());
        let refuse = |message: &str| {
            Err(CommandError::bad_value(format!(
                "the MongoDB URI is not valid: {message}"
            )))
        };
        if let Some(message) = objection(self.uri.expose()) {
            return refuse(message);
        }
        let (uri, reply) = match without_socket_timeout(self.uri.expose()) {
            Ok(split) => split,
            Err(message) => return refuse(message),
        };
        let mut options = match ClientOptions::parse(&uri).await {
            Ok(options) => options,
            Err(error) => {
                let mut error = hidden.blot(translate(&error));
                let what = match error.code {
                    7 => "the host of the MongoDB URI cannot be found",
                    _ => "the MongoDB URI is not valid",
                };
                error.message = format!("{what}: {}", error.message);
                return Err(error);
            }
        };
        options.app_name.get_or_insert_with(|| "backstitch".into());
        options
            .server_selection_timeout
            .get_or_insert(Duration::from_millis(SELECTION_MS));
        options
            .connect_timeout
            .get_or_insert(Duration::from_millis(CONNECT_MS));
        options.max_pool_size.get_or_insert(POOL_CONNECTIONS_MAX);
        let mut feed_options = options.clone();
        feed_options.max_pool_size = Some(FEED_CONNECTIONS_MAX);
        feed_options.min_pool_size = None;
        let concerns = if self.majority {
            Concerns {
                read: Some(rawdoc! { "level": "majority" }),
                write: Some(rawdoc! { "w": "majority" }),
            }
        } else {
            Concerns {
                read: options
                    .read_concern
                    .as_ref()
                    .and_then(|concern| bson::serialize_to_raw_document_buf(concern).ok()),
                write: options
                    .write_concern
                    .as_ref()
                    .and_then(|concern| bson::serialize_to_raw_document_buf(concern).ok()),
            }
        };
        Ok(Parsed {
            reads: options.selection_criteria.clone(),
            contact: options.server_selection_timeout.unwrap_or_default()
                + options.connect_timeout.unwrap_or_default(),
            retry_reads: options.retry_reads != Some(false),
            retry_writes: options.retry_writes != Some(false),
            reply: reply.unwrap_or(Duration::from_millis(REPLY_MS)),
            concerns,
            hidden,
            options,
            feed_options,
        })
    }
}

/// A URI taken apart.
pub(crate) struct Parsed {
    pub(crate) options: ClientOptions,
    /// For change streams: a connection waits there nearly all the time, and
    /// must not be one that a command waits for.
    pub(crate) feed_options: ClientOptions,
    pub(crate) reads: Option<SelectionCriteria>,
    pub(crate) retry_reads: bool,
    pub(crate) retry_writes: bool,
    /// How long to wait for a reply.
    pub(crate) reply: Duration,
    /// How long finding a server and connecting to it may take.
    pub(crate) contact: Duration,
    pub(crate) concerns: Concerns,
    pub(crate) hidden: Hidden,
}

/// Concerns for commands that state none. The driver adds none to raw
/// commands.
#[derive(Debug)]
pub(crate) struct Concerns {
    pub(crate) read: Option<RawDocumentBuf>,
    pub(crate) write: Option<RawDocumentBuf>,
}

/// What of a URI must not be shown.
#[derive(Default)]
pub(crate) struct Hidden(Vec<Secret<String>>);

impl Hidden {
    fn of(uri: &str) -> Self {
        let mut secrets = Vec::new();
        if let Some((_, password)) = user_info(uri).and_then(|info| info.split_once(':')) {
            secrets.push(decoded(password));
            secrets.push(password.to_owned());
        }
        for (name, value) in query(uri) {
            if name.ends_with("password") || name == "authmechanismproperties" {
                secrets.push(decoded(value));
                secrets.push(value.to_owned());
            }
        }
        secrets.retain(|secret| secret.len() >= SECRET_CHARS_MIN);
        Self(secrets.into_iter().map(Secret::new).collect())
    }

    /// The error without secrets, if it is one of reaching the deployment.
    /// What a server answers to a command stays as it is: it may quote the
    /// caller, who must not learn which words we would blot out.
    pub(crate) fn clean(&self, error: CommandError) -> CommandError {
        match error.code {
            6 | 7 | 18 | 89 | 133 | 140 => self.blot(error),
            _ => error,
        }
    }

    fn blot(&self, mut error: CommandError) -> CommandError {
        for secret in &self.0 {
            if error.message.contains(secret.expose()) {
                error.message = error.message.replace(secret.expose(), "…");
            }
        }
        error
    }
}

/// Everything before the last `@`: also where a password holds one of the
/// characters that should have been percent-encoded.
fn user_info(uri: &str) -> Option<&str> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.rsplit_once('@').map(|(info, _)| info)
}

/// Hosts, path and options.
fn after_user_info(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    Some(rest.rsplit_once('@').map_or(rest, |(_, rest)| rest))
}

fn query(uri: &str) -> impl Iterator<Item = (String, &str)> {
    let query = uri.rsplit_once('?').map_or("", |(_, query)| query);
    query
        .split(['&', ';'])
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is wrong with a URI that the driver would take apart in the wrong
/// place and quote from.
fn objection(uri: &str) -> Option<&'static str> {
    if !uri.starts_with("mongodb://") && !uri.starts_with("mongodb+srv://") {
        return Some("it has to begin with mongodb:// or mongodb+srv://");
    }
    let info = user_info(uri)?;
    let reserved = |c: char| matches!(c, '/' | '?' | '#' | '[' | ']' | '@');
    if info.contains(reserved) || info.matches(':').count() > 1 {
        return Some("user name and password have to be percent-encoded");
    }
    None
}

/// The driver refuses `socketTimeoutMS`, which URIs of other drivers carry; we
/// keep that time ourselves.
fn without_socket_timeout(uri: &str) -> Result<(String, Option<Duration>), &'static str> {
    let Some((before, query)) = uri.split_once('?') else {
        return Ok((uri.to_owned(), None));
    };
    let mut reply = None;
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("socketTimeoutMS") => {
                let ms: u64 = value
                    .parse()
                    .map_err(|_| "socketTimeoutMS is a number of milliseconds")?;
                reply = (ms > 0).then(|| Duration::from_millis(ms));
            }
            _ => kept.push(pair),
        }
    }
    Ok((format!("{before}?{}", kept.join("&")), reply))
}

/// The wire's form of a read preference, for the driver.
pub(crate) fn read_preference(
    value: &bson::RawDocument,
) -> Result<SelectionCriteria, CommandError> {
    let mut fields = doc! {};
    for field in value {
        let (name, value) = field?;
        // The wire and the driver's own form differ in this one name.
        let name = match name.as_str() {
            "tags" => "tagSets",
            name => name,
        };
        fields.insert(name, bson::Bson::try_from(value)?);
    }
    if fields.get_str("mode").is_ok_and(|mode| mode == "primary") {
        // Tags may come with any mode and mean nothing with this one.
        fields = doc! { "mode": "primary" };
    }
    bson::deserialize_from_document(fields)
        .map_err(|error| CommandError::bad_value(format!("$readPreference: {error}")))
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;
    use engine::CommandError;
    use mongodb::options::{ReadPreference, SelectionCriteria};

    use super::{Hidden, Settings, decoded, read_preference};

    async fn refused(uri: &str) -> CommandError {
        match Settings::new(uri.to_owned()).parse().await {
            Err(error) => error,
            Ok(_) => panic!("{uri} is refused"),
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_without_the_password() {
        for (uri, says) in [
            ("http://localhost", "begin with mongodb://"),
            ("mongodb://joe:hun/ter2@host", "percent-encoded"),
            ("mongodb://joe:hun@ter2@host", "percent-encoded"),
            ("mongodb://joe:hunter2:x@host", "percent-encoded"),
            ("mongodb://joe:hunter2%zz@host", "password"),
            ("mongodb://joe:hunter2@", "hostname"),
            ("mongodb://joe:hunter2@host:port", "port"),
            ("mongodb://joe:hunter2@host/?w=x&wtimeoutMS=z", "wtimeout"),
            ("mongodb://joe:hunter2@h/?socketTimeoutMS=z", "milliseconds"),
            (
                "mongodb://h/?tlsCertificateKeyFilePassword=hunter2&ssl=z",
                "",
            ),
        ] {
            let error = refused(uri).await;
            let message = error.message.to_lowercase();
            assert!(message.contains("uri is not valid"), "{uri}: {message}");
            assert!(message.contains(says), "{uri}: {message}");
            assert!(!message.contains("hunter2"), "{uri}: {message}");
            assert!(!message.contains("ter2"), "{uri}: {message}");
        }
    }

    #[tokio::test]
    async fn the_uri_wins_over_our_defaults() {
        let uri = "mongodb://h/?socketTimeoutMS=700&maxPoolSize=3&appName=x&w=2\
                   &readPreference=secondaryPreferred&retryWrites=false";
        let parsed = Settings::new(uri.to_owned()).parse().await.ok().unwrap();
        assert_eq!(parsed.reply.as_millis(), 700);
        assert_eq!(parsed.options.max_pool_size, Some(3));
        assert_eq!(parsed.options.app_name.as_deref(), Some("x"));
        assert_eq!(parsed.concerns.write, Some(rawdoc! { "w": 2_i32 }));
        assert!(parsed.reads.is_some() && parsed.retry_reads && !parsed.retry_writes);
        let uri = "mongodb://h/?w=1".to_owned();
        let parsed = Settings::for_state(uri).parse().await.ok().unwrap();
        assert_eq!(parsed.concerns.write, Some(rawdoc! { "w": "majority" }));
        assert_eq!(parsed.concerns.read, Some(rawdoc! { "level": "majority" }));
        assert_eq!(parsed.options.app_name.as_deref(), Some("backstitch"));
        assert_eq!(parsed.options.max_pool_size, Some(100));
    }

    #[test]
    fn what_is_shown_has_no_secrets() {
        for (uri, shown, database) in [
            ("mongodb://h", "mongodb://h", None),
            ("mongodb://u:pw@h:1,i:2/?w=1", "mongodb://h:1,i:2", None),
            (
                "mongodb+srv://u:p%40w@h/d%41",
                "mongodb+srv://h/d%41",
                Some("dA"),
            ),
            ("mongodb://u:p@w@h/d?x=secret", "mongodb://h/d", Some("d")),
            ("mongodb://u:pw@h/?app=a@b&x=secret", "mongodb://…", None),
            ("mongodb://[::1]:5/d", "mongodb://[::1]:5/d", Some("d")),
            ("secret", "://", None),
        ] {
            let settings = Settings::new(uri.to_owned());
            assert_eq!(settings.shown(), shown, "{uri}");
            assert_eq!(settings.database().as_deref(), database, "{uri}");
        }
    }

    #[test]
    fn secrets_are_blotted_out_as_written_and_as_meant() {
        let hidden = Hidden::of("mongodb://joe:p%40ss%2Fword@host");
        let error = CommandError::new(6, "p@ss/word or p%40ss%2Fword");
        assert_eq!(hidden.clean(error).message, "… or …");
        let quoted = CommandError::new(2, "unknown operator: $p@ss/word");
        assert_eq!(
            hidden.clean(quoted.clone()),
            quoted,
            "no guess is confirmed"
        );
        assert_eq!(decoded("%4"), "%4");
    }

    #[test]
    fn a_wire_read_preference_is_understood() {
        let wire = rawdoc! {
            "mode": "nearest",
            "tags": [{ "dc": "ny" }, {}],
            "maxStalenessSeconds": 120,
        };
        match read_preference(&wire).unwrap() {
            SelectionCriteria::ReadPreference(ReadPreference::Nearest { options }) => {
                let options = options.unwrap();
                assert_eq!(options.tag_sets.unwrap().len(), 2);
                assert_eq!(options.max_staleness.unwrap().as_secs(), 120);
            }
            other => panic!("{other:?}"),
        }
        let primary = rawdoc! { "mode": "primary", "tags": [] };
        assert!(read_preference(&primary).is_ok());
        assert_eq!(
            read_preference(&rawdoc! { "mode": "far" })
                .unwrap_err()
                .code,
            2
        );
    }
}
