//! Document validation: a collection's validator, when it applies and what a
//! breach does.

use bson::{Document, RawDocument, RawDocumentBuf, doc};
use engine::CommandError;
use mql::{Collation, Validator};

/// What a collection asks of its documents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Validation {
    pub(crate) validator: Option<Validator>,
    /// `strict`, `moderate` or `off`; `None` is strict.
    pub(crate) level: Option<String>,
    /// `error` or `warn`; `None` is error.
    pub(crate) action: Option<String>,
}

impl Validation {
    /// Refuses a document that the validator does not accept. `before` is what
    /// an update found.
    ///
    /// # Errors
    /// 121, with what is wrong as `errInfo`.
    pub(crate) fn check(
        &self,
        before: Option<&RawDocument>,
        after: &RawDocument,
    ) -> Result<(), CommandError> {
        let Some(validator) = &self.validator else {
            return Ok(());
        };
        // A warning is a line in the server's log, which nobody has asked for.
        let level = self.level.as_deref();
        if level == Some("off") || self.action.as_deref() == Some("warn") {
            return Ok(());
        }
        let excused = level == Some("moderate") && before.is_some_and(|b| !validator.accepts(b));
        if excused || validator.accepts(after) {
            return Ok(());
        }
        let mut error = CommandError::new(121, "Document failed validation");
        error.details =
            RawDocumentBuf::try_from(&doc! { "errInfo": validator.explain(after) }).ok();
        Err(error)
    }

    /// Whether the validator does not accept a document, also where nothing
    /// follows from that.
    pub(crate) fn refuses(&self, document: &RawDocument) -> bool {
        let validator = self.validator.as_ref();
        validator.is_some_and(|validator| !validator.accepts(document))
    }

    /// Reads the settings of a collection's options.
    pub(crate) fn from_options(
        options: &Document,
        collation: Option<&Collation>,
    ) -> Result<Self, CommandError> {
        let text = |name: &str| options.get_str(name).ok().map(str::to_owned);
        let validator = match options.get_document("validator") {
            Ok(validator) if !validator.is_empty() => {
                let raw = RawDocumentBuf::try_from(validator)?;
                Some(Validator::parse(&raw, collation).map_err(crate::mql)?)
            }
            _ => None,
        };
        Ok(Self {
            validator,
            level: text("validationLevel"),
            action: text("validationAction"),
        })
    }

    /// Appends the settings to a collection's options.
    pub(crate) fn describe(&self, options: &mut Document) {
        if let Some(validator) = &self.validator {
            options.insert("validator", validator.source().clone());
        }
        if let Some(level) = &self.level {
            options.insert("validationLevel", level);
        }
        if let Some(action) = &self.action {
            options.insert("validationAction", action);
        }
    }
}
