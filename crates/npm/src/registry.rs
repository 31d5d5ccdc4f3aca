//! The registry: what it is asked, and how much of its answers is taken.

use std::collections::HashMap;
use std::io::Read as _;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit::Secret;
use ureq::Agent;
use ureq::http::header;
use ureq::tls::{RootCerts, TlsConfig};
use url::{Origin, Url};

use crate::package::Described;
use crate::{Failed, Job};

/// Requests that run at once.
const AT_ONCE: usize = 8;
/// Redirects that are followed, one after the other.
const REDIRECTS_MAX: usize = 5;
/// How often an answer is asked for that the network or the server owes.
const TRIES: usize = 3;
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes that are read between two looks at the clock.
const READ_BYTES: u64 = 64 * 1024;

/// A registry of npm packages.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Place>);

#[derive(Debug)]
struct Place {
    base: Url,
    token: Option<Secret>,
}

impl Registry {
    /// At a URL of `http` or `https`; a token is sent to nobody else.
    ///
    /// # Errors
    /// What is wrong with the URL or the token.
    pub fn new(url: &str, token: Option<Secret>) -> Result<Self, String> {
        let mut base = Url::parse(url).map_err(|error| format!("that is no URL: {error}"))?;
        let plain = base.query().is_none() && base.fragment().is_none();
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() || !plain {
            return Err("that is no plain URL of http or https".to_owned());
        }
        if has_credentials(&base) {
            return Err("a registry's URL has no user and no password; give a token".to_owned());
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        if let Some(token) = &token {
            let visible = |b: u8| b.is_ascii_graphic();
            if token.expose().is_empty() || !token.expose().bytes().all(visible) {
                return Err("a registry's token has only visible ASCII characters".to_owned());
            }
        }
        Ok(Self(Arc::new(Place { base, token })))
    }

    fn origin(&self) -> Origin {
        self.0.base.origin()
    }

    /// What a request to a URL says of who asks: nobody but the registry is
    /// shown the token.
    fn authorization(&self, url: &Url) -> Option<String> {
        let token = self.0.token.as_ref()?;
        (url.origin() == self.origin()).then(|| format!("Bearer {}", token.expose()))
    }

    /// Where a package is described.
    fn description(&self, name: &str) -> Result<Url, Failed> {
        // The slash of a scoped name is part of the name.
        let path = name.replace('/', "%2f");
        let url = self.0.base.join(&path);
        url.map_err(|_| Failed::new(format!("\"{name}\" is no package's name")))
    }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// What an install asks a registry.
pub(crate) struct Client<'a> {
    registry: &'a Registry,
    pub(crate) job: &'a Job,
    agent: Agent,
    described: AtomicU64,
    packed: AtomicU64,
}

/// Why there is no answer.
enum Lost {
    /// Another try may help.
    Now(Failed),
    For(Failed),
}

impl<'a> Client<'a> {
    pub(crate) fn new(registry: &'a Registry, job: &'a Job) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // Each is looked at first.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(64 * 1024)
            .timeout_connect(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("backstitch/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            registry,
            job,
            agent: agent.into(),
            described: AtomicU64::default(),
            packed: AtomicU64::default(),
        }
    }

    /// What the registry says of names, several at once.
    pub(crate) fn describe(&self, names: &[String]) -> Vec<Result<Described, Failed>> {
        in_parallel(names, |name| {
            let url = self.registry.description(name)?;
            let limits = &self.job.limits;
            let allowance = Allowance {
                one: limits.description_bytes,
                all: limits.descriptions_bytes,
                used: &self.described,
            };
            let text = self.get(name, url, Kind::Description, &allowance)?;
            Described::parse(name, text)
        })
    }

    /// Packed packages, several at once: each with its name and URL.
    pub(crate) fn packed(&self, wanted: &[(&str, &str)]) -> Vec<Result<Vec<u8>, Failed>> {
        in_parallel(wanted, |(name, url)| {
            let url = Url::parse(url)
                .map_err(|_| Failed::new(format!("the registry names no archive of {name}")))?;
            let limits = &self.job.limits;
            let allowance = Allowance {
                one: limits.tarball_bytes,
                all: limits.tarballs_bytes,
                used: &self.packed,
            };
            self.get(name, url, Kind::Tarball, &allowance)
        })
    }

    fn get(
        &self,
        about: &str,
        url: Url,
        kind: Kind,
        allowance: &Allowance<'_>,
    ) -> Result<Vec<u8>, Failed> {
        let mut last = Failed::new(String::new());
        for _ in 0..TRIES {
            match self.once(about, url.clone(), kind, allowance) {
                Ok(bytes) => return Ok(bytes),
                Err(Lost::For(why)) => return Err(why),
                Err(Lost::Now(why)) => last = why,
            }
        }
        Err(last)
    }

    fn once(
        &self,
        about: &str,
        mut url: Url,
        kind: Kind,
        allowance: &Allowance<'_>,
    ) -> Result<Vec<u8>, Lost> {
        for _ in 0..=REDIRECTS_MAX {
            self.check(about, &url, kind).map_err(Lost::For)?;
            let left = self.job.left().map_err(Lost::For)?;
            let mut request = self
                .agent
                .get(url.as_str())
                .config()
                .timeout_global(Some(left))
                .build();
            request = match kind {
                Kind::Description => {
                    // The short form has all that is needed, where there is one.
                    let accept = "application/vnd.npm.install-v1+json, application/json;q=0.8";
                    request.header(header::ACCEPT, accept)
                }
                // What it is packed with is part of what it is.
                Kind::Tarball => request.header(header::ACCEPT_ENCODING, "identity"),
            };
            if let Some(bearer) = self.registry.authorization(&url) {
                request = request.header(header::AUTHORIZATION, bearer);
            }
            let said = |what: &dyn std::fmt::Display| Failed::new(format!("{about}: {what}"));
            let mut answer = request.call().map_err(|error| Lost::Now(said(&error)))?;
            let status = answer.status().as_u16();
            match status {
                200 => {
                    let reader = answer.body_mut().as_reader();
                    return allowance.read(about, reader, self.job);
                }
                301 | 302 | 303 | 307 | 308 => {
                    let to = answer.headers().get(header::LOCATION);
                    let to = to.and_then(|to| url.join(to.to_str().ok()?).ok());
                    url = to.ok_or_else(|| Lost::For(said(&"it is moved to nowhere")))?;
                }
                404 => {
                    return Err(Lost::For(said(&"the registry has no such package")));
                }
                401 | 403 => {
                    let why = format!("the registry refuses it (status {status})");
                    return Err(Lost::For(said(&why)));
                }
                status => {
                    let why = said(&format!("the registry answers with status {status}"));
                    let may_pass = matches!(status, 408 | 429 | 500..);
                    return Err(if may_pass {
                        Lost::Now(why)
                    } else {
                        Lost::For(why)
                    });
                }
            }
        }
        Err(Lost::For(Failed::new(format!(
            "{about}: there are more than {REDIRECTS_MAX} redirects"
        ))))
    }

    /// Whether something may be asked for at a place: descriptions only at the
    /// registry itself, files at other servers only over TLS.
    fn check(&self, about: &str, url: &Url, kind: Kind) -> Result<(), Failed> {
        let own = url.origin() == self.registry.origin();
        let secure = url.scheme() == "https" && kind == Kind::Tarball;
        if (own || secure) && !has_credentials(url) {
            return Ok(());
        }
        let place = url.host_str().unwrap_or_default();
        Err(Failed::new(format!(
            "{about}: the registry refers to {}://{place}, from where nothing is fetched",
            url.scheme()
        )))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Description,
    Tarball,
}

/// How many bytes may be read.
struct Allowance<'a> {
    one: u64,
    all: u64,
    used: &'a AtomicU64,
}

impl Allowance<'_> {
    fn read(
        &self,
        about: &str,
        mut reader: impl std::io::Read,
        job: &Job,
    ) -> Result<Vec<u8>, Lost> {
        let mut bytes = Vec::new();
        loop {
            job.left().map_err(Lost::For)?;
            let read = reader.by_ref().take(READ_BYTES).read_to_end(&mut bytes);
            let read = read.map_err(|error| {
                Lost::Now(Failed::new(format!(
                    "{about}: the registry's answer: {error}"
                )))
            })? as u64;
            if read == 0 {
                return Ok(bytes);
            }
            if bytes.len() as u64 > self.one {
                return Err(Lost::For(Failed::new(format!(
                    "{about}: the registry sends more than {} bytes",
                    self.one
                ))));
            }
            if self.used.fetch_add(read, Ordering::Relaxed) + read > self.all {
                return Err(Lost::For(Failed::new(format!(
                    "the registry sends more than {} bytes in all",
                    self.all
                ))));
            }
        }
    }
}

/// Does something with each of a list, several at once, in order.
fn in_parallel<T: Sync, R: Send>(list: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if let [one] = list {
        return vec![work(one)];
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(list.len()) {
            scope.spawn(|| {
                while let Some((at, one)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    list.get(at).map(|one| (at, one))
                } {
                    let made = work(one);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((at, made));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
}

/// What the registry has said already.
#[derive(Default)]
pub(crate) struct Known(HashMap<String, Rc<Result<Described, Failed>>>);

impl Known {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Asks for what is not known yet.
    pub(crate) fn learn(&mut self, client: &Client<'_>, names: impl Iterator<Item = String>) {
        let mut names: Vec<String> = names.filter(|name| !self.has(name)).collect();
        names.sort();
        names.dedup();
        let described = client.describe(&names).into_iter().map(Rc::new);
        self.0.extend(names.into_iter().zip(described));
    }

    /// What is said of a name.
    pub(crate) fn get(&mut self, client: &Client<'_>, name: &str) -> Rc<Result<Described, Failed>> {
        self.learn(client, std::iter::once(name.to_owned()));
        let unknown = || Rc::new(Err(Failed::new(format!("{name}: nothing is known of it"))));
        self.0.get(name).cloned().unwrap_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::Registry;

    #[test]
    fn where_a_registry_is() {
        let registry = Registry::new("https://example.com/npm", None).unwrap();
        let at = |name| registry.description(name).unwrap().to_string();
        assert_eq!(at("a"), "https://example.com/npm/a");
        assert_eq!(at("@a/b"), "https://example.com/npm/@a%2fb");
        let token = Some("t0ken".to_owned().into());
        let registry = Registry::new("https://example.com:8443/npm", token).unwrap();
        for (url, shown) in [
            ("https://example.com:8443/elsewhere", true),
            ("https://example.com/npm/a", false),
            ("http://example.com:8443/npm/a", false),
            ("https://files.example.com:8443/npm/a", false),
        ] {
            let sent = registry.authorization(&url.parse().unwrap());
            assert_eq!(sent.as_deref(), shown.then_some("Bearer t0ken"), "{url}");
        }
        for wrong in [
            "",
            "example.com",
            "ftp://example.com",
            "file:///a",
            "https://example.com/?a",
            "https://example.com/#a",
            "https://user:secret@example.com",
        ] {
            let refused = Registry::new(wrong, None).unwrap_err();
            assert!(!refused.contains("secret"), "{wrong}");
        }
        for token in ["", "a b", "a\r\nb: c"] {
            let token = Some(token.to_owned().into());
            assert!(Registry::new("http://localhost", token).is_err());
        }
    }
}
