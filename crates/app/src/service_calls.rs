//! Actions of data sources that clients call: run, and logged like calls of
//! functions (triggers-ops.md §7).

use bson::{Bson, Document, RawBson, RawDocument, doc};
use kit::{Problem, limit};

use crate::call::Started;
use crate::{App, Cx};

impl App {
    /// Runs one action of a data source for a client.
    ///
    /// # Errors
    /// As for [`Cx::data`].
    pub async fn run_action(
        &self,
        cx: &Cx,
        service: &str,
        action: &str,
        arguments: &RawDocument,
    ) -> Result<RawBson, Problem> {
        let started = Started::now(self);
        let result = cx.data(service, action, arguments).await;
        let details = details(service, action, arguments);
        let problem = result.as_ref().err();
        self.log(cx, "SERVICE_FUNCTION", &started, details, problem);
        result
    }
}

/// What a log entry tells of an action.
pub(crate) fn details(service: &str, action: &str, arguments: &RawDocument) -> Document {
    // What the log would leave out anyway is not taken apart for it.
    let arguments = if arguments.as_bytes().len() > limit::LOG_ENTRY_BYTES_MAX {
        Bson::from("(too large for the log)")
    } else {
        Document::try_from(arguments).map_or(Bson::Null, |arguments| {
            Bson::Array(vec![Bson::Document(arguments)])
        })
    };
    doc! { "function_name": action, "service": service, "arguments": arguments }
}
