//! What a dependency asks for: a version, a range, a tag, or one of them of a
//! package by another name (`npm:name@range`).

use nodejs_semver::{Range, Version};

use crate::Failed;

/// Longest name of a package.
const NAME_BYTES_MAX: usize = 214;
/// Longest version, range or tag.
const WANTED_BYTES_MAX: usize = 1024;

/// A dependency.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The package's name at the registry.
    pub(crate) package: String,
    pub(crate) wanted: Wanted,
    /// As it was written.
    text: String,
}

#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    Any,
    Exactly(Version),
    Within(Range),
    Tagged(String),
}

impl Spec {
    /// Of a dependency's name and text.
    ///
    /// # Errors
    /// For what is not at a registry.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Failed> {
        let wanted = text.trim();
        let (package, wanted) = match wanted.strip_prefix("npm:") {
            // The first character may be the @ of a scope.
            Some(alias) => match alias.char_indices().skip(1).find(|(_, c)| *c == '@') {
                Some((at, _)) => (&alias[..at], &alias[at + 1..]),
                None => (alias, ""),
            },
            None => (name, wanted),
        };
        for name in [name, package] {
            if !is_package_name(name) {
                let shown: String = name.escape_debug().take(200).collect();
                return Err(Failed::new(format!("\"{shown}\" is no package's name")));
            }
        }
        let wanted = read(wanted).ok_or_else(|| {
            let shown: String = text.escape_debug().take(200).collect();
            Failed::new(format!(
                "{name}: \"{shown}\" is no version, range or tag; packages come from the registry \
                 only, not from repositories, URLs or folders"
            ))
        })?;
        Ok(Self {
            package: package.to_owned(),
            wanted,
            text: text.to_owned(),
        })
    }

    /// Whether a package is what is asked for.
    pub(crate) fn fits(&self, package: &str, version: &Version) -> bool {
        self.package == package && self.wanted.allows(version)
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.text.is_empty() {
            "*"
        } else {
            &self.text
        })
    }
}

impl Wanted {
    /// Whether a version is allowed. What has a tag is known only to the
    /// registry; whatever came from there is.
    pub(crate) fn allows(&self, version: &Version) -> bool {
        match self {
            Self::Any | Self::Tagged(_) => true,
            Self::Exactly(wanted) => wanted == version,
            Self::Within(range) => range.satisfies(version),
        }
    }
}

fn read(text: &str) -> Option<Wanted> {
    let text = text.trim();
    if text.len() > WANTED_BYTES_MAX {
        return None;
    }
    if matches!(text, "" | "*") {
        return Some(Wanted::Any);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    let exact = text.trim_start_matches(['=', 'v', ' ']);
    // The parser overlooks what comes after a version.
    if let Some(version) = Version::parse(exact)
        .ok()
        .filter(|version| version.to_string() == exact)
    {
        return Some(Wanted::Exactly(version));
    }
    if text.contains([':', '/', '\\']) {
        return None;
    }
    // One of several that says nothing allows everything.
    let empty = text.split("||").any(|one| one.trim().is_empty());
    if let Ok(range) = Range::parse(if empty { "*" } else { text }) {
        return Some(Wanted::Within(range));
    }
    (!text.starts_with('.') && text.chars().all(plain)).then(|| Wanted::Tagged(text.to_owned()))
}

/// Whether a version of a package is one that a dependency's text asks for.
/// Texts that ask for nothing that a registry has are only equal to themselves.
pub fn fits(name: &str, wanted: &str, version: &str) -> bool {
    wanted == version
        || match (Spec::parse(name, wanted), Version::parse(version)) {
            (Ok(spec), Ok(version)) => {
                !matches!(spec.wanted, Wanted::Tagged(_)) && spec.wanted.allows(&version)
            }
            _ => false,
        }
}

/// Whether a text is `name` or `@scope/name`.
pub fn is_package_name(name: &str) -> bool {
    let part = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        !part.is_empty() && !part.starts_with('.') && part.chars().all(fits)
    };
    if name.len() > NAME_BYTES_MAX {
        return false;
    }
    match name.strip_prefix('@') {
        Some(scoped) => scoped
            .split_once('/')
            .is_some_and(|(scope, name)| part(scope) && part(name)),
        None => part(name) && !name.eq_ignore_ascii_case("node_modules"),
    }
}

#[cfg(test)]
mod tests {
    use nodejs_semver::Version;

    use super::{Spec, Wanted, fits, is_package_name};

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn what_dependencies_ask_for() {
        for (text, yes, no) in [
            ("1.2.3", "1.2.3", "1.2.4"),
            ("=1.2.3", "1.2.3", "1.2.4"),
            ("v1.2.3", "1.2.3", "1.2.4"),
            ("^1.2.3", "1.9.0", "2.0.0"),
            ("^0.2.3", "0.2.9", "0.3.0"),
            ("~1.2", "1.2.9", "1.3.0"),
            ("1.x || >=2.5.0 <3", "2.6.0", "2.4.0"),
            ("1.2.3 - 2.3", "2.3.9", "2.4.0"),
            (">= 1.0", "5.0.0", "0.9.0"),
            ("1 ||", "5.0.0", "5.0.0-beta"),
            ("^1.0.0", "1.0.0", "1.1.0-beta.1"),
            ("^1.1.0-alpha", "1.1.0-beta.1", "1.2.0-beta.1"),
            ("npm:other@^2", "2.1.0", "1.0.0"),
            ("npm:@scope/other@2", "2.1.0", "1.0.0"),
        ] {
            let spec = Spec::parse("name", text).unwrap();
            let package = spec.package.clone();
            assert!(spec.fits(&package, &version(yes)), "{text}");
            assert!(!spec.fits(&package, &version(no)), "{text}");
            assert!(!spec.fits("elsewhere", &version(yes)), "{text}");
        }
        for text in ["", "*", " "] {
            let spec = Spec::parse("name", text).unwrap();
            assert!(spec.fits("name", &version("1.0.0-beta")), "{text:?}");
        }
        let spec = Spec::parse("name", "npm:@scope/other").unwrap();
        assert_eq!(spec.package, "@scope/other");
        let spec = Spec::parse("name", "next-11").unwrap();
        assert!(matches!(spec.wanted, Wanted::Tagged(tag) if tag == "next-11"));
    }

    #[test]
    fn what_is_not_at_a_registry_is_refused() {
        for text in [
            "git+https://example.com/a.git",
            "git@example.com:a/b.git",
            "github:a/b",
            "a/b",
            "a/b#semver:^1",
            "https://example.com/a.tgz",
            "file:../a",
            "../a",
            "./a",
            "~/a",
            "link:a",
            "workspace:*",
            "npm:../a@1",
            "npm:",
            "a b",
            "<script>",
        ] {
            assert!(Spec::parse("name", text).is_err(), "{text}");
        }
        assert!(Spec::parse("name", &"1".repeat(2000)).is_err());
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "@a",
            "@/b",
            "@a/..",
            "a b",
            "node_modules",
            "é",
        ] {
            assert!(!is_package_name(name), "{name}");
        }
        assert!(is_package_name("JSONStream") && is_package_name("@a-b/c.d_e"));
    }

    #[test]
    fn installed_versions_fit_what_was_asked_for() {
        assert!(fits("a", "^1.0.0", "1.2.3"));
        assert!(!fits("a", "^1.0.0", "2.0.0"));
        assert!(fits("a", "git+ssh://x", "git+ssh://x"));
        assert!(!fits("a", "latest", "1.0.0"));
    }
}
