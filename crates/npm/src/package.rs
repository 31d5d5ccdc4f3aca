//! What a registry says of a package: its versions, and what each needs. The
//! text is kept as it came and read again for the versions that are wanted,
//! since most never are.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use nodejs_semver::Version;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use crate::Failed;
use crate::spec::{Spec, Wanted};

/// All that is known of a name.
#[derive(Debug)]
pub(crate) struct Described {
    name: String,
    tags: HashMap<String, String>,
    /// Versions with their texts, and whether they are deprecated.
    versions: Vec<(Version, String, bool)>,
    text: Vec<u8>,
}

/// A version of a package.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its name at the registry.
    pub(crate) name: String,
    pub(crate) version: Version,
    /// What it needs, by the name of the folder.
    pub(crate) needs: BTreeMap<String, Need>,
    /// Packages that its own files bring.
    pub(crate) brings: Vec<String>,
    /// Whether it is for this machine.
    pub(crate) fits_here: bool,
    pub(crate) tarball: String,
    /// Checksums, with their algorithms: `sha512-…`, separated by spaces.
    pub(crate) integrity: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is needed.
    Plain,
    /// It is good to have.
    Optional,
    /// It has to be where whoever needs this package finds it, too.
    Peer,
    /// If it is there, it has to be this one.
    OptionalPeer,
}

#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) kind: Kind,
    /// Or what is wrong with it.
    pub(crate) spec: Result<Spec, Failed>,
}

impl Need {
    pub(crate) fn is_peer(&self) -> bool {
        matches!(self.kind, Kind::Peer | Kind::OptionalPeer)
    }

    pub(crate) fn fits(&self, package: &Package) -> bool {
        self.spec
            .as_ref()
            .is_ok_and(|spec| spec.fits(&package.name, &package.version))
    }
}

#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "dist-tags")]
    tags: HashMap<String, String>,
    #[serde(default)]
    versions: BTreeMap<String, HeadVersion>,
}

#[derive(Deserialize)]
struct HeadVersion {
    #[serde(default)]
    deprecated: Value,
}

impl Described {
    /// Of a registry's answer.
    pub(crate) fn parse(name: &str, text: Vec<u8>) -> Result<Self, Failed> {
        let wrong = |why: &dyn fmt::Display| {
            Failed::new(format!("what the registry says of {name} is wrong: {why}"))
        };
        // A list would do for the fields in their order.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(wrong(&"it is no object"));
        }
        let head: Head = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
        let versions = head.versions.into_iter().filter_map(|(text, of)| {
            let deprecated = match of.deprecated {
                Value::Null | Value::Bool(false) => false,
                Value::String(why) => !why.is_empty(),
                _ => true,
            };
            Some((Version::parse(&text).ok()?, text, deprecated))
        });
        Ok(Self {
            name: name.to_owned(),
            tags: head.tags,
            versions: versions.collect(),
            text,
        })
    }

    /// The version that a dependency gets: what has the tag `latest` if that is
    /// good, else the newest of those that nobody advises against, else the
    /// newest.
    pub(crate) fn pick(&self, wanted: &Wanted) -> Result<Version, Failed> {
        let of = |text: &String| self.versions.iter().find(|known| known.1 == *text);
        let found = match wanted {
            Wanted::Tagged(tag) => self.tags.get(tag).and_then(of),
            Wanted::Exactly(version) => self.versions.iter().find(|known| known.0 == *version),
            Wanted::Any | Wanted::Within(_) => {
                let latest = self.tags.get("latest").and_then(of);
                let latest = latest.filter(|known| !known.2 && wanted.allows(&known.0));
                latest.or_else(|| {
                    // Any is any release, as a range would say it.
                    let fits = |known: &&(Version, String, bool)| match wanted {
                        Wanted::Any => !known.0.is_prerelease(),
                        _ => wanted.allows(&known.0),
                    };
                    let better = |known: &&(Version, String, bool)| (!known.2, known.0.clone());
                    self.versions.iter().filter(fits).max_by_key(better)
                })
            }
        };
        found
            .map(|known| known.0.clone())
            .ok_or_else(|| Failed::new(format!("no version of {} is such", self.name)))
    }

    /// What a version is.
    pub(crate) fn package(&self, version: &Version) -> Result<Package, Failed> {
        let known = self.versions.iter().find(|known| known.0 == *version);
        let text = known.map_or("", |known| &known.1);
        let mut reader = serde_json::Deserializer::from_slice(&self.text);
        let within = ["versions", text];
        let read = Under { within: &within }.deserialize(&mut reader);
        let read = read.ok().flatten().filter(Value::is_object);
        let read = read.ok_or_else(|| {
            Failed::new(format!("what the registry says of {} is wrong", self.name))
        })?;
        Ok(Package::read(&self.name, version.clone(), &read))
    }
}

impl Package {
    fn read(name: &str, version: Version, of: &Value) -> Self {
        let mut needs = BTreeMap::new();
        let optional = |name: &str| of["peerDependenciesMeta"][name]["optional"] == true;
        // What comes later goes before: a dependency that is optional, too, is.
        for (field, kind) in [
            ("peerDependencies", Kind::Peer),
            ("dependencies", Kind::Plain),
            ("optionalDependencies", Kind::Optional),
        ] {
            for (name, text) in of[field].as_object().into_iter().flatten() {
                let kind = match kind {
                    Kind::Peer if optional(name) => Kind::OptionalPeer,
                    kind => kind,
                };
                let text = text.as_str().unwrap_or_default();
                let spec = Spec::parse(name, text);
                needs.insert(name.clone(), Need { kind, spec });
            }
        }
        let bundled = match &of["bundleDependencies"] {
            Value::Null => &of["bundledDependencies"],
            bundled => bundled,
        };
        let brings = match bundled {
            Value::Bool(true) => needs.keys().cloned().collect(),
            bundled => texts(bundled),
        };
        let dist = |field: &str| of["dist"][field].as_str().unwrap_or_default().to_owned();
        let integrity = match dist("integrity") {
            none if none.is_empty() => match hex::decode(dist("shasum")) {
                Ok(sum) if !sum.is_empty() => {
                    use base64::Engine as _;
                    let text = base64::engine::general_purpose::STANDARD.encode(sum);
                    format!("sha1-{text}")
                }
                _ => String::new(),
            },
            integrity => integrity,
        };
        Self {
            name: name.to_owned(),
            version,
            needs,
            brings,
            fits_here: fits_here(of),
            tarball: dist("tarball"),
            integrity,
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    list.iter().filter_map(text).collect()
}

/// Whether a package is for this operating system, processor and C library, in
/// Node's words for them.
fn fits_here(of: &Value) -> bool {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        "x86" => "ia32",
        other => other,
    };
    let libc = match () {
        () if cfg!(target_env = "musl") => "musl",
        () if cfg!(target_os = "linux") => "glibc",
        () => "",
    };
    allowed(&texts(&of["os"]), os)
        && allowed(&texts(&of["cpu"]), cpu)
        && allowed(&texts(&of["libc"]), libc)
}

/// Whether a list of names, or of names that are not (`!name`), has one.
fn allowed(list: &[String], name: &str) -> bool {
    if list.is_empty() || list.iter().any(|one| one == "any") {
        return true;
    }
    let mut denies = list.iter().filter_map(|one| one.strip_prefix('!'));
    if denies.any(|denied| denied == name) {
        return false;
    }
    list.iter().any(|one| one == name) || list.iter().all(|one| one.starts_with('!'))
}

/// Reads what is under keys, one in another.
struct Under<'a> {
    within: &'a [&'a str],
}

impl<'de> DeserializeSeed<'de> for Under<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        if self.within.is_empty() {
            return Value::deserialize(from).map(Some);
        }
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Under<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (first, within) = self
            .within
            .split_first()
            .ok_or_else(|| de::Error::custom("no key"))?;
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == *first {
                found = map.next_value_seed(Under { within })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use nodejs_semver::Version;
    use serde_json::json;

    use super::{Described, Kind, allowed};
    use crate::spec::Spec;

    fn described() -> Described {
        let text = json!({
            "name": "a",
            "dist-tags": { "latest": "2.1.0", "next": "3.0.0-rc.1", "gone": "9.9.9" },
            "versions": {
                "1.0.0": {}, "1.1.0": {}, "1.2.0": { "deprecated": "do not" },
                "2.0.0": {}, "2.1.0": {}, "2.2.0": { "deprecated": false }, "no version": {},
                "3.0.0-rc.1": {
                    "dependencies": { "b": "^1", "c": "1", "d": 7 },
                    "optionalDependencies": { "c": "1" },
                    "peerDependencies": { "e": "*", "f": "*" },
                    "peerDependenciesMeta": { "f": { "optional": true } },
                    "bundleDependencies": ["b"],
                    "os": ["!nowhere"],
                    "dist": { "tarball": "t", "shasum": "00ff" },
                },
            },
        });
        Described::parse("a", text.to_string().into_bytes()).unwrap()
    }

    #[test]
    fn the_version_that_a_dependency_gets() {
        let known = described();
        let pick = |text: &str| {
            let spec = Spec::parse("a", text).unwrap();
            known.pick(&spec.wanted).map(|version| version.to_string())
        };
        for (wanted, picked) in [
            ("", "2.1.0"),
            ("latest", "2.1.0"),
            ("next", "3.0.0-rc.1"),
            ("^2", "2.1.0"),
            ("^1", "1.1.0"),
            ("1.2.x", "1.2.0"),
            ("1.2.0", "1.2.0"),
            (">2.1.0", "2.2.0"),
            (">=3.0.0-rc.0", "3.0.0-rc.1"),
        ] {
            assert_eq!(pick(wanted).as_deref(), Ok(picked), "{wanted}");
        }
        for wanted in ["^4", "1.0.1", "none", "gone"] {
            assert!(pick(wanted).is_err(), "{wanted}");
        }
    }

    #[test]
    fn what_a_version_needs() {
        let version = Version::parse("3.0.0-rc.1").unwrap();
        let package = described().package(&version).unwrap();
        let kinds = |name: &str| package.needs[name].kind;
        assert_eq!((kinds("b"), kinds("c")), (Kind::Plain, Kind::Optional));
        assert_eq!((kinds("e"), kinds("f")), (Kind::Peer, Kind::OptionalPeer));
        assert_eq!(
            (package.brings, package.fits_here),
            (vec!["b".to_owned()], true)
        );
        assert_eq!(package.integrity, "sha1-AP8=");
        for wrong in ["", "[]", "{", r#"{"versions":[]}"#, r#"{"dist-tags":1}"#] {
            assert!(Described::parse("a", wrong.into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn platforms() {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        for (names, fits) in [
            (&[][..], true),
            (&["linux"], true),
            (&["darwin", "linux"], true),
            (&["darwin"], false),
            (&["!linux"], false),
            (&["!win32"], true),
            (&["any"], true),
        ] {
            assert_eq!(allowed(&list(names), "linux"), fits, "{names:?}");
        }
    }
}
