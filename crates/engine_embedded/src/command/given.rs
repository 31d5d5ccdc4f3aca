//! The variables that a command's expressions see: its `let`, the constants of
//! an update's statement, and those that every command has, such as `$$NOW`.

use bson::{Bson, DateTime, RawDocument, Timestamp};
use engine::CommandError;
use mql::expression::Variables;
use mql::{Collation, Matcher, Projection};

use super::document;
use crate::layout::Position;
use crate::{Core, mql as mql_error};

/// The moment that a command's expressions see.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    now: DateTime,
    position: Position,
}

impl Moment {
    /// The present one.
    pub(crate) fn of(core: &Core) -> Self {
        Self::at(core, core.clock.now())
    }

    fn at(core: &Core, now: DateTime) -> Self {
        let position = *core.latest.borrow();
        Self { now, position }
    }
}

/// A command whose expressions see variables.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    command: &'a RawDocument,
    moment: Moment,
}

impl<'a> Given<'a> {
    pub(super) fn by(core: &'a Core, command: &'a RawDocument, now: DateTime) -> Self {
        Self::at(Moment::at(core, now), command)
    }

    pub(super) fn at(moment: Moment, command: &'a RawDocument) -> Self {
        Self { command, moment }
    }

    /// The variables; `constants` hide those of `let`.
    ///
    /// # Errors
    /// Those of the expressions in `let`; 9 and 17275 for names of constants.
    pub(super) fn variables(
        &self,
        collation: Option<&Collation>,
        constants: Option<&RawDocument>,
    ) -> Result<Variables, CommandError> {
        let mut variables = Variables::default();
        variables.collate(collation);
        variables.seed(random());
        let Moment { now, position } = self.moment;
        variables.set("NOW", Some(Bson::DateTime(now)));
        let time = Timestamp {
            time: position.time,
            increment: position.increment,
        };
        variables.set("CLUSTER_TIME", Some(Bson::Timestamp(time)));
        if let Some(given) = document(self.command, "let")? {
            variables = variables.with_let(given).map_err(mql_error)?;
        }
        for entry in constants.into_iter().flatten() {
            let (name, value) = entry?;
            let value = Bson::try_from(value)?;
            variables
                .set_constant(name.as_str(), value)
                .map_err(mql_error)?;
        }
        Ok(variables)
    }

    /// Parses a query; a missing one matches everything. An upsert's may have no
    /// `$expr`, whether it comes to an insert or not.
    ///
    /// # Errors
    /// Those of the language, and of [`Given::variables`].
    pub(super) fn matcher(
        &self,
        query: Option<&RawDocument>,
        collation: Option<&Collation>,
        (constants, upsert): (Option<&RawDocument>, bool),
    ) -> Result<Matcher, CommandError> {
        let Some(query) = query else {
            return Ok(Matcher::all());
        };
        if upsert {
            let matcher = Matcher::parse_plain(query).map_err(|error| match error.code {
                224 => CommandError::new(
                    224,
                    "$expr is not allowed in the query predicate for an upsert",
                ),
                _ => mql_error(error),
            })?;
            return Ok(matcher.collated(collation));
        }
        let mut matcher = Matcher::parse_open(query).map_err(mql_error)?;
        if matcher.has_expression() {
            let variables = self.variables(collation, constants)?;
            matcher.bind(&variables).map_err(mql_error)?;
        }
        Ok(matcher.collated(collation))
    }

    /// Parses a projection of what a query finds.
    ///
    /// # Errors
    /// Those of the language, and of [`Given::variables`]; 224 for a positional
    /// one where the query has an `$expr` or `$jsonSchema`.
    pub(super) fn projection(
        &self,
        projection: &RawDocument,
        query: Option<&RawDocument>,
        collation: Option<&Collation>,
    ) -> Result<Projection, CommandError> {
        let variables = self.variables(collation, None)?;
        let parsed =
            Projection::parse_with(projection, collation, &variables).map_err(mql_error)?;
        if let Some(query) = query.filter(|_| parsed.is_positional()) {
            Matcher::check_positional(query).map_err(mql_error)?;
        }
        Ok(parsed)
    }

    /// Whether a projection is one before what it computes is.
    ///
    /// # Errors
    /// Those of [`Given::variables`].
    pub(super) fn is_projection(
        &self,
        projection: &RawDocument,
        collation: Option<&Collation>,
    ) -> Result<bool, CommandError> {
        let variables = self.variables(collation, None)?.literal();
        Ok(Projection::parse_with(projection, collation, &variables).is_ok())
    }

    /// Computes `let`, which is done whether it is asked for or not.
    ///
    /// # Errors
    /// Those of [`Given::variables`].
    pub(super) fn check(&self, collation: Option<&Collation>) -> Result<(), CommandError> {
        if document(self.command, "let")?.is_some() {
            self.variables(collation, None)?;
        }
        Ok(())
    }
}

/// A number that nobody can foretell.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&bson::Uuid::new().bytes()[..8]);
    // The version bits of a UUID come after.
    u64::from_le_bytes(bytes) & 0x0000_ffff_ffff_ffff
}
