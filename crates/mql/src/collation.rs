//! Collations: how strings compare where binary order is not wanted.
//!
//! MongoDB's collation documents on the Unicode collation algorithm with the
//! locales' own rules. What the library cannot do (`backwards` outside of
//! `fr_CA`, tailorings for searching) is refused.

use std::cmp::Ordering;
use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, doc};
use icu_collator::options::{AlternateHandling, CaseLevel, CollatorOptions, MaxVariable, Strength};
use icu_collator::preferences::{CollationCaseFirst, CollationNumericOrdering, CollationType};
use icu_collator::{CollatorBorrowed, CollatorPreferences};
use icu_locale_core::Locale;

use crate::error::{MqlError, Result};
use crate::matcher::malformed;

/// The version of the collation data that a server of MongoDB 6.0 reports.
const VERSION: &str = "57.1";

/// Locales that a server of MongoDB 6.0 knows.
const LOCALES: &[&str] = &[
    "af",
    "am",
    "ar",
    "as",
    "az",
    "be",
    "bg",
    "bn",
    "bo",
    "bs",
    "bs_Cyrl",
    "ca",
    "chr",
    "cs",
    "cy",
    "da",
    "de",
    "de_AT",
    "dsb",
    "dz",
    "ee",
    "el",
    "en",
    "en_US",
    "en_US_POSIX",
    "eo",
    "es",
    "et",
    "fa",
    "fa_AF",
    "fi",
    "fil",
    "fo",
    "fr",
    "fr_CA",
    "ga",
    "gl",
    "gu",
    "ha",
    "haw",
    "he",
    "hi",
    "hr",
    "hsb",
    "hu",
    "hy",
    "id",
    "ig",
    "is",
    "it",
    "ja",
    "ka",
    "kk",
    "kl",
    "km",
    "kn",
    "ko",
    "kok",
    "ky",
    "lb",
    "lkt",
    "ln",
    "lo",
    "lt",
    "lv",
    "mk",
    "ml",
    "mn",
    "mr",
    "ms",
    "mt",
    "my",
    "nb",
    "ne",
    "nl",
    "nn",
    "om",
    "or",
    "pa",
    "pl",
    "ps",
    "pt",
    "ro",
    "ru",
    "se",
    "si",
    "sk",
    "sl",
    "smn",
    "sq",
    "sr",
    "sr_Latn",
    "sv",
    "sw",
    "ta",
    "te",
    "th",
    "to",
    "tr",
    "ug",
    "uk",
    "ur",
    "vi",
    "wae",
    "yi",
    "yo",
    "zh",
    "zh_Hant",
    "zu",
];

/// Kinds of order that a locale has beside its usual one.
const KINDS: &[(&str, CollationType, &[&str])] = &[
    ("phonebook", CollationType::Phonebk, &["de", "de_AT"]),
    (
        "traditional",
        CollationType::Trad,
        &["bn", "es", "fi", "kn", "vi"],
    ),
    ("dictionary", CollationType::Dict, &["si"]),
    ("compat", CollationType::Compat, &["ar"]),
    ("stroke", CollationType::Stroke, &["zh"]),
    ("zhuyin", CollationType::Zhuyin, &["zh", "zh_Hant"]),
    ("pinyin", CollationType::Pinyin, &["zh_Hant"]),
    (
        "unihan",
        CollationType::Unihan,
        &["ja", "ko", "zh", "zh_Hant"],
    ),
];

/// A collation other than the binary one. Cloning shares it.
#[derive(Clone)]
pub struct Collation {
    inner: Arc<Inner>,
}

struct Inner {
    specification: Document,
    collator: CollatorBorrowed<'static>,
}

impl std::fmt::Debug for Collation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collation({})", self.inner.specification)
    }
}

impl PartialEq for Collation {
    fn eq(&self, other: &Self) -> bool {
        self.inner.specification == other.inner.specification
    }
}

impl Collation {
    /// Reads a collation document; `None` is the binary order (`simple`).
    ///
    /// # Errors
    /// MongoDB's: 2 for values that are not allowed, 14 for wrong types, 161
    /// for another version, 40414 without a locale, 40415 for unknown fields.
    pub fn parse(specification: &RawDocument) -> Result<Option<Self>> {
        let mut settings = Settings::default();
        for entry in specification {
            let (name, value) = entry.map_err(malformed)?;
            if name.as_str() == "strength" && value == RawBsonRef::Null {
                continue;
            }
            settings.read(name.as_str(), value)?;
        }
        settings.finish()
    }

    /// Compares two strings.
    pub fn compare(&self, a: &str, b: &str) -> Ordering {
        self.inner.collator.compare(a, b)
    }

    /// Appends a key: the byte order of two keys is the order of their
    /// strings.
    pub(crate) fn key(&self, text: &str, out: &mut Vec<u8>) {
        let Ok(()) = self.inner.collator.write_sort_key_to(text, out);
    }

    /// The complete specification, as listings show it.
    pub fn specification(&self) -> &Document {
        &self.inner.specification
    }
}

struct Settings {
    locale: Option<String>,
    case_level: bool,
    case_first: String,
    strength: i32,
    numeric: bool,
    alternate: String,
    max_variable: String,
    normalization: bool,
    backwards: Option<bool>,
    version: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            locale: None,
            case_level: false,
            case_first: "off".to_owned(),
            strength: 3,
            numeric: false,
            alternate: "non-ignorable".to_owned(),
            max_variable: "punct".to_owned(),
            normalization: false,
            backwards: None,
            version: None,
        }
    }
}

impl Settings {
    fn read(&mut self, name: &str, value: RawBsonRef<'_>) -> Result<()> {
        const OPTIONAL: &[&str] = &[
            "locale",
            "caseLevel",
            "caseFirst",
            "strength",
            "numericOrdering",
            "alternate",
            "maxVariable",
            "normalization",
            "backwards",
            "version",
        ];
        match name {
            // As if it were not there.
            known if value == RawBsonRef::Null && OPTIONAL.contains(&known) => {}
            "locale" => self.locale = Some(text(name, value)?.to_owned()),
            "caseLevel" => self.case_level = flag(name, value)?,
            "caseFirst" => self.case_first = choice(name, value, &["upper", "lower", "off"])?,
            "strength" => self.strength = strength(value)?,
            "numericOrdering" => self.numeric = flag(name, value)?,
            "alternate" => {
                self.alternate = choice(name, value, &["non-ignorable", "shifted"])?;
            }
            "maxVariable" => self.max_variable = choice(name, value, &["punct", "space"])?,
            "normalization" => self.normalization = flag(name, value)?,
            "backwards" => self.backwards = Some(flag(name, value)?),
            "version" => self.version = Some(text(name, value)?.to_owned()),
            other => {
                return Err(MqlError::new(
                    40415,
                    format!("BSON field 'collation.{other}' is an unknown field."),
                ));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Option<Collation>> {
        let Some(locale) = &self.locale else {
            return Err(MqlError::new(
                40414,
                "BSON field 'collation.locale' is missing but a required field",
            ));
        };
        // The rest is not looked at.
        if locale == "simple" {
            return Ok(None);
        }
        if self.strength == 0 {
            return Err(MqlError::bad_value(
                "Enumeration value '0' for field 'collation.strength' is not a valid value.",
            ));
        }
        let refused = |why: String| {
            Err(MqlError::bad_value(format!(
                "{why} in: {}",
                shown(&self.document(locale))
            )))
        };
        if locale.is_empty() {
            return refused("Field 'locale' cannot be the empty string".to_owned());
        }
        let (base, kind) = locale.split_once("@collation=").unwrap_or((locale, ""));
        if locale.contains('\0') || !LOCALES.contains(&base) {
            return refused("Field 'locale' is invalid".to_owned());
        }
        if let Some(version) = &self.version
            && version != VERSION
        {
            return Err(MqlError::new(
                161,
                format!(
                    "Requested collation version {version} but the only available collator version was \
                     {VERSION}. Requested collation spec: {}",
                    shown(&self.document(locale))
                ),
            ));
        }
        if self.backwards == Some(true) && self.strength == 1 {
            return refused("'backwards' is invalid with 'strength' of 1".to_owned());
        }
        if self.case_first != "off" && !self.case_level && self.strength < 3 {
            return refused(
                "'caseFirst' is invalid unless 'caseLevel' is on or 'strength' is greater than 2"
                    .to_owned(),
            );
        }
        // Only this locale compares accents from the end.
        let backwards = base == "fr_CA";
        if self.backwards.is_some_and(|wanted| wanted != backwards) {
            return refused("this value of 'backwards' is not supported for the locale".to_owned());
        }
        let kind = match kind {
            "" => None,
            "standard" if matches!(base, "sv" | "zh" | "zh_Hant") => Some(CollationType::Standard),
            name => {
                let known = KINDS
                    .iter()
                    .find(|(known, _, bases)| *known == name && bases.contains(&base));
                let Some((_, kind, _)) = known else {
                    return refused("Field 'locale' is invalid or not supported".to_owned());
                };
                Some(*kind)
            }
        };
        let mut specification = self.document(locale);
        specification.insert("backwards", backwards);
        specification.insert("version", VERSION);
        let collator = self.collator(base, kind)?;
        Ok(Some(Collation {
            inner: Arc::new(Inner {
                specification,
                collator,
            }),
        }))
    }

    fn document(&self, locale: &str) -> Document {
        let mut document = doc! {
            "locale": locale, "caseLevel": self.case_level, "caseFirst": &self.case_first,
            "strength": self.strength, "numericOrdering": self.numeric,
            "alternate": &self.alternate, "maxVariable": &self.max_variable,
            "normalization": self.normalization,
        };
        if let Some(backwards) = self.backwards {
            document.insert("backwards", backwards);
        }
        if let Some(version) = &self.version {
            document.insert("version", version);
        }
        document
    }

    fn collator(
        &self,
        base: &str,
        kind: Option<CollationType>,
    ) -> Result<CollatorBorrowed<'static>> {
        let failed = |error: &dyn std::fmt::Display| {
            MqlError::new(96, format!("Failed to create collator: {error}"))
        };
        let locale = base.replace('_', "-");
        let locale = Locale::try_from_str(&locale).map_err(|error| failed(&error))?;
        let mut preferences = CollatorPreferences::from(&locale);
        preferences.collation_type = kind;
        preferences.case_first = Some(match self.case_first.as_str() {
            "upper" => CollationCaseFirst::Upper,
            "lower" => CollationCaseFirst::Lower,
            _ => CollationCaseFirst::False,
        });
        preferences.numeric_ordering = Some(if self.numeric {
            CollationNumericOrdering::True
        } else {
            CollationNumericOrdering::False
        });
        let mut options = CollatorOptions::default();
        options.strength = Some(match self.strength {
            1 => Strength::Primary,
            2 => Strength::Secondary,
            3 => Strength::Tertiary,
            4 => Strength::Quaternary,
            _ => Strength::Identical,
        });
        options.case_level = Some(if self.case_level {
            CaseLevel::On
        } else {
            CaseLevel::Off
        });
        options.alternate_handling = Some(if self.alternate == "shifted" {
            AlternateHandling::Shifted
        } else {
            AlternateHandling::NonIgnorable
        });
        options.max_variable = Some(if self.max_variable == "space" {
            MaxVariable::Space
        } else {
            MaxVariable::Punctuation
        });
        CollatorBorrowed::try_new(preferences, options).map_err(|error| failed(&error))
    }
}

fn wrong(name: &str, value: RawBsonRef<'_>, wanted: &str) -> MqlError {
    MqlError::type_mismatch(format!(
        "BSON field 'collation.{name}' is the wrong type '{}', expected {wanted}",
        crate::matcher::type_name(value)
    ))
}

fn text<'a>(name: &str, value: RawBsonRef<'a>) -> Result<&'a str> {
    match value {
        RawBsonRef::String(text) => Ok(text),
        other => Err(wrong(name, other, "type 'string'")),
    }
}

fn flag(name: &str, value: RawBsonRef<'_>) -> Result<bool> {
    match value {
        RawBsonRef::Boolean(flag) => Ok(flag),
        other => Err(wrong(name, other, "type 'bool'")),
    }
}

fn choice(name: &str, value: RawBsonRef<'_>, choices: &[&str]) -> Result<String> {
    let text = text(name, value)?;
    if !choices.contains(&text) {
        return Err(MqlError::bad_value(format!(
            "Enumeration value '{text}' for field 'collation.{name}' is not a valid value."
        )));
    }
    Ok(text.to_owned())
}

fn strength(value: RawBsonRef<'_>) -> Result<i32> {
    let owned = Bson::try_from(value).map_err(malformed)?;
    let Some(number) = crate::number::double(&owned) else {
        return Err(wrong(
            "strength",
            value,
            "types '[long, int, decimal, double']",
        ));
    };
    let number = number as i32;
    match number {
        0..=5 => Ok(number),
        _ => Err(MqlError::new(
            51024,
            if number > 5 {
                format!("BSON field 'strength' value must be <= 5, actual value '{number}'")
            } else {
                format!("BSON field 'strength' value must be >= 0, actual value '{number}'")
            },
        )),
    }
}

/// A specification as the server writes it in errors.
fn shown(specification: &Document) -> String {
    let parts: Vec<String> = specification
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    format!("{{ {} }}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use bson::RawDocumentBuf;

    use super::*;

    fn parse(specification: Document) -> Result<Option<Collation>> {
        Collation::parse(&RawDocumentBuf::try_from(&specification).expect("encodes"))
    }

    fn collation(specification: Document) -> Collation {
        parse(specification).expect("parses").expect("not simple")
    }

    #[test]
    fn strengths() {
        for (strength, case, accent) in [(1, true, true), (2, true, false), (3, false, false)] {
            let c = collation(doc! { "locale": "en", "strength": strength });
            assert_eq!(c.compare("a", "A").is_eq(), case, "{strength}");
            assert_eq!(c.compare("a", "á").is_eq(), accent, "{strength}");
            let key = |text: &str| {
                let mut out = Vec::new();
                c.key(text, &mut out);
                out
            };
            for (a, b) in [("a", "A"), ("a", "á"), ("b", "ab"), ("", "z"), ("Z", "a")] {
                assert_eq!(key(a).cmp(&key(b)), c.compare(a, b), "{a} {b}");
            }
        }
    }

    #[test]
    fn options() {
        let numeric = collation(doc! { "locale": "en", "numericOrdering": true });
        assert!(numeric.compare("a10", "a9").is_gt());
        let upper = collation(doc! { "locale": "en", "caseFirst": "upper" });
        assert!(upper.compare("A", "a").is_lt());
        let shifted = collation(doc! { "locale": "en", "alternate": "shifted" });
        assert!(shifted.compare("a b", "ab").is_eq());
        let spaces = doc! { "locale": "en", "alternate": "shifted", "maxVariable": "space" };
        assert!(collation(spaces).compare("a-b", "ab").is_ne());
        let case = collation(doc! { "locale": "en", "strength": 1, "caseLevel": true });
        assert!(case.compare("a", "A").is_ne() && case.compare("a", "á").is_eq());
    }

    #[test]
    fn every_locale_has_a_collator() {
        for locale in LOCALES {
            collation(doc! { "locale": *locale });
        }
        for (kind, _, bases) in KINDS {
            for base in *bases {
                collation(doc! { "locale": format!("{base}@collation={kind}") });
            }
        }
        // Locales have their own order.
        assert!(collation(doc! { "locale": "sv" }).compare("ö", "z").is_gt());
        assert!(collation(doc! { "locale": "de" }).compare("ö", "z").is_lt());
        let spanish = collation(doc! { "locale": "es@collation=traditional" });
        assert!(spanish.compare("ch", "cz").is_gt());
    }
}
