//! What is in a mail: texts with `{{places}}`, those that are built in or those of
//! a folder, which the operator may change.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use kit::limit;

use crate::users::TokenFor;

/// The templates of a server, and those of single apps.
#[derive(Clone)]
pub struct Templates {
    all: Set,
    apps: HashMap<String, Set>,
}

#[derive(Clone)]
struct Set([Template; 4]);

/// The files: what each is called, is for, and is.
const FILES: [(&str, TokenFor, bool, &str); 4] = [
    (
        "confirm.txt",
        TokenFor::Confirmation,
        false,
        include_str!("confirm.txt"),
    ),
    (
        "confirm.html",
        TokenFor::Confirmation,
        true,
        include_str!("confirm.html"),
    ),
    (
        "reset.txt",
        TokenFor::Reset,
        false,
        include_str!("reset.txt"),
    ),
    (
        "reset.html",
        TokenFor::Reset,
        true,
        include_str!("reset.html"),
    ),
];

/// What the places are filled with.
pub(super) struct Filling<'f> {
    /// The name of the app.
    pub(super) app: &'f str,
    /// The address.
    pub(super) email: &'f str,
    /// The link with both parts of the token.
    pub(super) link: &'f str,
    /// The token.
    pub(super) token: &'f str,
    /// The token's id.
    pub(super) token_id: &'f str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    App,
    Email,
    Link,
    Token,
    TokenId,
    Minutes,
}

const PLACES: [(&str, Place); 6] = [
    ("app", Place::App),
    ("email", Place::Email),
    ("link", Place::Link),
    ("token", Place::Token),
    ("tokenId", Place::TokenId),
    ("minutes", Place::Minutes),
];

#[derive(Clone)]
enum Part {
    Text(String),
    Place(Place),
}

#[derive(Clone)]
struct Template(Vec<Part>);

impl Default for Templates {
    fn default() -> Self {
        // The built-in ones are well-formed: a test reads them.
        let read = |(.., text): (_, _, _, &str)| {
            Template::parse(text).unwrap_or_else(|_| Template(vec![Part::Place(Place::Link)]))
        };
        Self {
            all: Set(FILES.map(read)),
            apps: HashMap::new(),
        }
    }
}

impl Templates {
    /// The templates of a folder: `confirm.txt`, `confirm.html`, `reset.txt` and
    /// `reset.html`, and such files in a folder named by a client app id for one
    /// app. What is not there is as built in.
    ///
    /// # Errors
    /// What cannot be read or is no template, with the file.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let mut templates = Self::default();
        let folders = templates.all.read(folder)?;
        for path in folders {
            let mut set = templates.all.clone();
            set.read(&path)?;
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                templates.apps.insert(name.to_owned(), set);
            }
        }
        Ok(templates)
    }

    /// Text and HTML of a mail.
    pub(super) fn fill(
        &self,
        client_app_id: &str,
        purpose: TokenFor,
        filling: &Filling<'_>,
    ) -> [String; 2] {
        let set = self.apps.get(client_app_id).unwrap_or(&self.all);
        let of = |html: bool| {
            let files = FILES.iter().zip(&set.0);
            let mut fit =
                files.filter(|((_, of, is_html, _), _)| *of == purpose && *is_html == html);
            let template = fit.next().map(|(_, template)| template);
            template.map_or_else(String::new, |template| template.fill(filling, html))
        };
        [of(false), of(true)]
    }
}

impl Set {
    /// Takes what a folder has; answers the folders in it.
    fn read(&mut self, folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
        let failed =
            |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
        let mut folders = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(folder, &error))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let is_one = matches!(name.rsplit_once('.'), Some((_, "txt" | "html")));
            if !is_one || name.starts_with('.') {
                continue;
            }
            let names = FILES.map(|(name, ..)| name);
            let Some(place) = names.iter().position(|known| *known == name) else {
                let text = format!("there is no such mail; there are {}", names.join(", "));
                return Err(failed(&path, &text));
            };
            let long = std::fs::metadata(&path)
                .map_err(|error| failed(&path, &error))?
                .len();
            if long > limit::MAIL_TEMPLATE_BYTES_MAX as u64 {
                let text = format!("it is larger than {} bytes", limit::MAIL_TEMPLATE_BYTES_MAX);
                return Err(failed(&path, &text));
            }
            let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
            let template = Template::parse(&text).map_err(|error| failed(&path, &error))?;
            if let Some(old) = self.0.get_mut(place) {
                *old = template;
            }
        }
        Ok(folders)
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let line = || text.len() - rest.len() + before.len();
            let line = || {
                text.get(..line())
                    .map_or(1, |read| read.matches('\n').count() + 1)
            };
            let (name, behind) = after
                .split_once("}}")
                .ok_or_else(|| format!("line {}: a {{{{ without its }}}}", line()))?;
            let name = name.trim();
            let place = PLACES.iter().find(|(known, _)| *known == name);
            let (_, place) = place.ok_or_else(|| {
                let known = PLACES.map(|(name, _)| format!("{{{{{name}}}}}")).join(", ");
                format!(
                    "line {}: there is no {{{{{name}}}}}; there are {known}",
                    line()
                )
            })?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Place(*place));
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        let has = |wanted| {
            parts
                .iter()
                .any(|part| matches!(part, Part::Place(place) if *place == wanted))
        };
        if !(has(Place::Link) || has(Place::Token) && has(Place::TokenId)) {
            return Err("neither {{link}} nor {{token}} and {{tokenId}} are in it".to_owned());
        }
        Ok(Self(parts))
    }

    fn fill(&self, filling: &Filling<'_>, html: bool) -> String {
        let mut out = String::new();
        let minutes = (limit::USERPASS_TOKEN_S / 60).to_string();
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Place(Place::App) => filling.app,
                Part::Place(Place::Email) => filling.email,
                Part::Place(Place::Link) => filling.link,
                Part::Place(Place::Token) => filling.token,
                Part::Place(Place::TokenId) => filling.token_id,
                Part::Place(Place::Minutes) => &minutes,
            };
            if html {
                escape(value, &mut out);
            } else {
                out.push_str(value);
            }
        }
        out
    }
}

/// What HTML shows as the text, in an attribute too.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FILES, Filling, Template, Templates, TokenFor};

    const FILLING: Filling<'static> = Filling {
        app: "<Shop>",
        email: "ann'o@b",
        link: "https://a/?x=1&token=t",
        token: "t",
        token_id: "i",
    };

    #[test]
    fn built_in_templates_have_the_link_and_escape_it() {
        for (name, purpose, html, text) in FILES {
            assert!(Template::parse(text).is_ok(), "{name}");
            let [plain, page] = Templates::default().fill("any", purpose, &FILLING);
            let text = if html { page } else { plain };
            let link = if html {
                "href=\"https://a/?x=1&#38;token=t\""
            } else {
                "\nhttps://a/?x=1&token=t\n"
            };
            assert!(text.contains(link), "{text}");
            assert_eq!(text.contains("<Shop>"), !html, "{text}");
            assert!(
                text.contains("30 minutes") && !text.contains("{{"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_template_is_told() {
        let wrong = |text: &str| Template::parse(text).err().unwrap_or_default();
        assert_eq!(wrong("a\n{{link"), "line 2: a {{ without its }}");
        assert!(
            wrong("{{link}}\n\n{{nmae}}")
                .starts_with("line 3: there is no {{nmae}}; there are {{app}}, ")
        );
        assert!(wrong("Hello {{email}} {{token}}").starts_with("neither {{link}}"));
        assert_eq!(wrong("{{ token }}/{{tokenId}} {x} }}"), "");
    }

    #[test]
    fn a_folder_has_templates_for_all_and_for_one_app() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir(at("shop-abcde")).unwrap();
        std::fs::write(at("README.md"), "{{").unwrap();
        std::fs::write(at("reset.txt"), "all {{link}}").unwrap();
        std::fs::write(at("shop-abcde/reset.html"), "<p>{{app}} {{link}}").unwrap();
        let templates = Templates::read(folder.path()).unwrap();
        let [text, html] = templates.fill("shop-abcde", TokenFor::Reset, &FILLING);
        assert_eq!(text, "all https://a/?x=1&token=t");
        assert_eq!(html, "<p>&#60;Shop&#62; https://a/?x=1&#38;token=t");
        let [text, html] = templates.fill("other", TokenFor::Reset, &FILLING);
        assert_eq!(text, "all https://a/?x=1&token=t");
        assert!(html.contains("<html"));

        for (path, content, complaint) in [
            (
                "reset.txt",
                "{{no}}",
                "reset.txt: line 1: there is no {{no}}",
            ),
            (
                "welcome.html",
                "{{link}}",
                "welcome.html: there is no such mail",
            ),
            ("shop-abcde/confirm.txt", "", "confirm.txt: neither"),
        ] {
            std::fs::write(at(path), content).unwrap();
            let wrong = Templates::read(folder.path()).err().unwrap();
            assert!(wrong.contains(complaint), "{wrong}");
            std::fs::remove_file(at(path)).unwrap();
        }
        std::fs::write(at("reset.txt"), "{{link}}".repeat(100_000)).unwrap();
        assert!(
            Templates::read(folder.path())
                .err()
                .unwrap()
                .contains("larger")
        );
        assert!(Templates::read(&at("nowhere")).is_err());
    }
}
