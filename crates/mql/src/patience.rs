//! Being stopped in the middle of a long computation. What is pure has no clock:
//! whoever has one gives a function that is asked now and then.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::error::Result;

/// Elements that are computed between two questions.
const STEPS_PER_QUESTION: u32 = 16;

type Ask = Rc<dyn Fn() -> Result<()>>;

thread_local! {
    static ASKED: RefCell<Option<Ask>> = const { RefCell::new(None) };
    static STEPS: Cell<u32> = const { Cell::new(0) };
}

/// Does `work`; what it computes on this thread fails with what `ask` fails
/// with, soon after it does.
pub fn within<T>(ask: impl Fn() -> Result<()> + 'static, work: impl FnOnce() -> T) -> T {
    /// Puts back what was asked before, also after a panic.
    struct Before(Option<Ask>);
    impl Drop for Before {
        fn drop(&mut self) {
            ASKED.set(self.0.take());
        }
    }
    let _before = Before(ASKED.replace(Some(Rc::new(ask))));
    work()
}

/// One element of many is computed.
///
/// # Errors
/// What whoever is waiting stops it with.
pub(crate) fn step() -> Result<()> {
    let steps = STEPS.get().wrapping_add(1);
    STEPS.set(steps);
    if !steps.is_multiple_of(STEPS_PER_QUESTION) {
        return Ok(());
    }
    let ask = ASKED.with_borrow(Clone::clone);
    ask.map_or(Ok(()), |ask| ask())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bson::{Bson, RawDocumentBuf, doc};

    use super::*;
    use crate::error::MqlError;
    use crate::expression::{Expression, Scope};

    #[test]
    fn a_long_expression_is_stopped_when_it_is_asked_to_be() {
        let numbers = Bson::from(doc! { "$range": [0, 100_000] });
        let last = Bson::from("$$this");
        for (name, operand) in [
            (
                "$reduce",
                doc! { "input": numbers.clone(), "initialValue": 0, "in": last.clone() },
            ),
            (
                "$map",
                doc! { "input": numbers.clone(), "in": last.clone() },
            ),
            ("$filter", doc! { "input": numbers, "cond": last }),
        ] {
            let expression = Bson::from(doc! { name: operand });
            let expression = Expression::parse_bson(&expression).expect("an expression");
            let document = RawDocumentBuf::new();
            let evaluate = || expression.evaluate(&Scope::of(&document));
            let questions = Rc::new(Cell::new(0));
            let asked = questions.clone();
            let ask = move || {
                asked.set(asked.get() + 1);
                if asked.get() == 10 {
                    return Err(MqlError::new(50, "enough"));
                }
                Ok(())
            };
            let error = within(ask, evaluate).expect_err("it is stopped");
            assert_eq!((error.code, questions.get()), (50, 10), "{name}");
            // Nobody is asked after that.
            assert!(evaluate().is_ok(), "{name}");
        }
    }
}
