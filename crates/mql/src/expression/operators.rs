//! The operators that there are.

use bson::{Bson, Document};

use super::{
    Args, arrays, bits, convert, dates, iterate, logic, numbers, objects, pattern, ranked, sets,
    strings, trig,
};
use crate::collation::Collation;
use crate::error::Result;

/// Without a limit on arguments.
pub(super) const MANY: usize = usize::MAX;

/// An operator whose arguments are a list.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) name: &'static str,
    /// The least and the most of its arguments.
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) run: Run,
    pub(super) algebra: Algebra,
}

impl Operator {
    /// Whether it is one of those that also take a time zone.
    pub(super) fn is_date_part(&self) -> bool {
        NAMED
            .iter()
            .any(|named| named.shorthand && named.name == self.name)
    }

    /// Whether it is `$toInt` or one of its kin.
    pub(super) fn is_conversion(&self) -> bool {
        self.name.starts_with("$to") && !matches!(self.name, "$toLower" | "$toUpper")
    }
}

/// How an operator takes its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    /// All of them evaluated.
    Values(Values),
    /// All of them evaluated, the last one first.
    Backwards(Values),
    /// All of them evaluated, and how strings compare.
    Collated(Collated),
    /// As it asks for them.
    Lazy(Lazy),
}

/// What may be done with constants among the arguments before any document is
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algebra {
    None,
    /// Neighbours may be put together.
    Associative,
    /// Any may be put together.
    Commutative,
}

type Values = fn(&'static str, &[Option<Bson>]) -> Result<Option<Bson>>;
type Collated = fn(&'static str, &[Option<Bson>], Option<&Collation>) -> Result<Option<Bson>>;
type Lazy = fn(&'static str, &Args<'_, '_>) -> Result<Option<Bson>>;

const fn values(name: &'static str, least: usize, most: usize, run: Values) -> Operator {
    Operator {
        name,
        least,
        most,
        run: Run::Values(run),
        algebra: Algebra::None,
    }
}

const fn lazy(name: &'static str, least: usize, run: Lazy, algebra: Algebra) -> Operator {
    Operator {
        name,
        least,
        most: MANY,
        run: Run::Lazy(run),
        algebra,
    }
}

const fn unary(name: &'static str, run: Values) -> Operator {
    values(name, 1, 1, run)
}

const fn binary(name: &'static str, run: Values) -> Operator {
    values(name, 2, 2, run)
}

/// Of two operands that both fail, MongoDB tells of the second.
const fn backwards(name: &'static str, run: Values) -> Operator {
    Operator {
        name,
        least: 2,
        most: 2,
        run: Run::Backwards(run),
        algebra: Algebra::None,
    }
}

const fn collated(name: &'static str, least: usize, most: usize, run: Collated) -> Operator {
    Operator {
        name,
        least,
        most,
        run: Run::Collated(run),
        algebra: Algebra::None,
    }
}

/// A comparison.
const fn comparison(name: &'static str, run: Collated) -> Operator {
    collated(name, 2, 2, run)
}

const fn joined(name: &'static str, run: Values) -> Operator {
    Operator {
        name,
        least: 0,
        most: MANY,
        run: Run::Values(run),
        algebra: Commutative,
    }
}

use Algebra::{Associative, Commutative};

pub(super) static CALLS: &[Operator] = &[
    unary("$abs", numbers::call),
    lazy("$add", 0, numbers::add, Commutative),
    unary("$allElementsTrue", sets::elements_true),
    lazy("$and", 0, logic::and_or, Commutative),
    unary("$anyElementTrue", sets::elements_true),
    binary("$arrayElemAt", arrays::element_at),
    unary("$arrayToObject", objects::of_array),
    unary("$acos", trig::call),
    unary("$acosh", trig::call),
    unary("$asin", trig::call),
    unary("$asinh", trig::call),
    unary("$atan", trig::call),
    binary("$atan2", trig::atan2),
    unary("$atanh", trig::call),
    values("$avg", 0, MANY, numbers::call),
    unary("$binarySize", bits::binary_size),
    unary("$bsonSize", bits::bson_size),
    unary("$ceil", numbers::call),
    comparison("$cmp", logic::compare),
    lazy("$concat", 0, strings::concat, Associative),
    lazy("$concatArrays", 0, arrays::concat, Associative),
    unary("$cos", trig::call),
    unary("$cosh", trig::call),
    unary("$degreesToRadians", trig::call),
    backwards("$divide", numbers::call),
    comparison("$eq", logic::compare),
    unary("$exp", numbers::call),
    unary("$first", arrays::first_last),
    unary("$floor", numbers::call),
    comparison("$gt", logic::compare),
    comparison("$gte", logic::compare),
    lazy("$ifNull", 2, logic::if_null, Algebra::None),
    comparison("$in", arrays::contains),
    collated("$indexOfArray", 2, 4, arrays::index_of),
    values("$indexOfBytes", 2, 4, strings::index_of),
    values("$indexOfCP", 2, 4, strings::index_of),
    unary("$isArray", arrays::is_array),
    unary("$isNumber", numbers::call),
    unary("$last", arrays::first_last),
    unary("$ln", numbers::call),
    binary("$log", numbers::call),
    unary("$log10", numbers::call),
    comparison("$lt", logic::compare),
    comparison("$lte", logic::compare),
    Operator {
        algebra: Commutative,
        ..collated("$max", 0, MANY, numbers::extreme)
    },
    lazy("$mergeObjects", 0, objects::merge, Associative),
    Operator {
        algebra: Commutative,
        ..collated("$min", 0, MANY, numbers::extreme)
    },
    binary("$mod", numbers::call),
    lazy("$multiply", 0, numbers::multiply, Commutative),
    comparison("$ne", logic::compare),
    unary("$not", logic::not),
    unary("$objectToArray", objects::to_array),
    lazy("$or", 0, logic::and_or, Commutative),
    binary("$pow", numbers::call),
    unary("$radiansToDegrees", trig::call),
    values("$range", 2, 3, arrays::range),
    unary("$reverseArray", arrays::reverse),
    values("$round", 1, 2, numbers::call),
    comparison("$setDifference", sets::difference),
    lazy("$setEquals", 2, sets::equals, Algebra::None),
    lazy("$setIntersection", 0, sets::intersection, Commutative),
    comparison("$setIsSubset", sets::is_subset),
    lazy("$setUnion", 0, sets::union, Commutative),
    unary("$sin", trig::call),
    unary("$sinh", trig::call),
    unary("$size", arrays::size),
    values("$slice", 2, 3, arrays::slice),
    binary("$split", strings::split),
    unary("$sqrt", numbers::call),
    values("$stdDevPop", 0, MANY, numbers::deviation),
    values("$stdDevSamp", 0, MANY, numbers::deviation),
    binary("$strcasecmp", strings::strcasecmp),
    unary("$strLenBytes", strings::length),
    unary("$strLenCP", strings::length),
    values("$substr", 3, 3, strings::substring_bytes),
    values("$substrBytes", 3, 3, strings::substring_bytes),
    values("$substrCP", 3, 3, strings::substring_points),
    backwards("$subtract", numbers::call),
    joined("$sum", numbers::call),
    unary("$tan", trig::call),
    unary("$tanh", trig::call),
    unary("$toBool", convert::to),
    unary("$toDate", convert::to),
    unary("$toDecimal", convert::to),
    unary("$toDouble", convert::to),
    unary("$toInt", convert::to),
    unary("$toLong", convert::to),
    unary("$toLower", strings::cased),
    unary("$toObjectId", convert::to),
    unary("$toString", convert::to),
    unary("$toUpper", strings::cased),
    values("$trunc", 1, 2, numbers::call),
    unary("$tsIncrement", bits::timestamp),
    unary("$tsSecond", bits::timestamp),
    unary("$type", convert::type_of),
    unary("$dayOfMonth", dates::part_of),
    unary("$dayOfWeek", dates::part_of),
    unary("$dayOfYear", dates::part_of),
    unary("$hour", dates::part_of),
    unary("$isoDayOfWeek", dates::part_of),
    unary("$isoWeek", dates::part_of),
    unary("$isoWeekYear", dates::part_of),
    unary("$millisecond", dates::part_of),
    unary("$minute", dates::part_of),
    unary("$month", dates::part_of),
    unary("$second", dates::part_of),
    unary("$week", dates::part_of),
    unary("$year", dates::part_of),
];

/// A code and its text, in which `@` stands for the operator and `#` for the
/// argument or the type.
pub(super) type Refusal = (i32, &'static str);

/// An operator with named arguments.
#[derive(Debug)]
pub(super) struct NamedOperator {
    pub(super) name: &'static str,
    /// In the order in which the operator knows them; with a refusal where
    /// one is required.
    pub(super) fields: &'static [(&'static str, Option<Refusal>)],
    pub(super) not_object: Refusal,
    pub(super) unknown: Refusal,
    /// What else is looked at in what was written.
    pub(super) check: Option<fn(&str, &Document) -> Result<()>>,
    /// Whether an operand that names no arguments is the first one.
    pub(super) shorthand: bool,
    pub(super) run: Lazy,
}

macro_rules! named {
    ($name:literal, [$(($field:literal, $required:expr)),* $(,)?], $not_object:expr, $unknown:expr, $run:expr) => {
        named!($name, [$(($field, $required)),*], $not_object, $unknown, $run, None)
    };
    ($name:literal, [$(($field:literal, $required:expr)),* $(,)?], $not_object:expr, $unknown:expr, $run:expr, $check:expr) => {
        NamedOperator {
            name: $name,
            fields: &[$(($field, $required)),*],
            not_object: $not_object,
            unknown: $unknown,
            check: $check,
            shorthand: false,
            run: $run,
        }
    };
}

/// A date part with a time zone; an operand that does not name its arguments
/// is that of the operator of the same name with a list.
macro_rules! part {
    ($name:literal) => {
        NamedOperator {
            name: $name,
            fields: &[
                (
                    "date",
                    Some((40539, "missing 'date' argument to @, provided: @: {}")),
                ),
                ("timezone", None),
            ],
            not_object: (16020, ""),
            unknown: (40535, "unrecognized option to @: \"#\""),
            check: None,
            shorthand: true,
            run: dates::part_in,
        }
    };
}

const OTHER_ADD: Refusal = (
    5_166_401,
    "Unrecognized argument to @: #. Expected arguments are startDate, unit, amount, and optionally timezone.",
);
const MISSING_TRIM: Option<Refusal> = Some((50695, "@ requires an 'input' field"));
const NOT_TRIM: Refusal = (50696, "@ only supports an object as an argument, found #");
const OTHER_TRIM: Refusal = (50694, "@ found an unknown argument: #");
const NOT_REPLACE: Refusal = (51751, "@ requires an object as an argument, found: #");
const OTHER_REPLACE: Refusal = (51750, "@ found an unknown argument: #");
const NOT_REGEX: Refusal = (51103, "@ expects an object of named arguments but found: #");
const OTHER_REGEX: Refusal = (31024, "@ found an unknown argument: #");
const MISSING_INPUT: Option<Refusal> = Some((31022, "@ requires 'input' parameter"));
const MISSING_REGEX: Option<Refusal> = Some((31023, "@ requires 'regex' parameter"));
const OTHER_N: Refusal = (5_787_901, "Unknown argument for 'n' operator: #");
const NO_N: Option<Refusal> = Some((5_787_906, "Missing value for 'n'"));
const NO_N_INPUT: Option<Refusal> = Some((5_787_907, "Missing value for 'input'"));
const NOT_END: Refusal = (5_787_801, "specification must be an object; found @: #");
const NOT_RANKED: Refusal = (5_787_900, "specification must be an object; found @: #");
const NOT_FIELD: Refusal = (4_161_100, "@ only supports an object as its argument");
const OTHER_FIELD: Refusal = (4_161_101, "@ found an unknown argument: #");

pub(super) static NAMED: &[NamedOperator] = &[
    named!(
        "$cond",
        [
            ("if", Some((17080, "Missing 'if' parameter to $cond"))),
            ("then", Some((17081, "Missing 'then' parameter to $cond"))),
            ("else", Some((17082, "Missing 'else' parameter to $cond"))),
        ],
        (16020, ""),
        (17083, "Unrecognized parameter to $cond: #"),
        logic::cond
    ),
    named!(
        "$map",
        [
            ("input", Some((16880, "Missing 'input' parameter to $map"))),
            ("as", None),
            ("in", Some((16882, "Missing 'in' parameter to $map"))),
        ],
        (16878, "$map only supports an object as its argument"),
        (16879, "Unrecognized parameter to $map: #"),
        iterate::map
    ),
    named!(
        "$filter",
        [
            (
                "input",
                Some((28648, "Missing 'input' parameter to $filter"))
            ),
            ("as", None),
            ("cond", Some((28650, "Missing 'cond' parameter to $filter"))),
            ("limit", None),
        ],
        (28646, "$filter only supports an object as its argument"),
        (28647, "Unrecognized parameter to $filter: #"),
        iterate::filter
    ),
    named!(
        "$reduce",
        [
            (
                "input",
                Some((40077, "$reduce requires 'input' to be specified"))
            ),
            (
                "initialValue",
                Some((40078, "$reduce requires 'initialValue' to be specified"))
            ),
            ("in", Some((40079, "$reduce requires 'in' to be specified"))),
        ],
        (40075, "$reduce requires an object as an argument, found: #"),
        (40076, "$reduce found an unknown argument: #"),
        iterate::reduce
    ),
    named!(
        "$sortArray",
        [
            (
                "input",
                Some((2_942_502, "$sortArray requires 'input' to be specified"))
            ),
            (
                "sortBy",
                Some((2_942_503, "$sortArray requires 'sortBy' to be specified"))
            ),
        ],
        (
            2_942_500,
            "$sortArray requires an object as an argument, found: #"
        ),
        (2_942_501, "$sortArray found an unknown argument: #"),
        ranked::sort,
        Some(ranked::check_sort)
    ),
    named!(
        "$trim",
        [("input", MISSING_TRIM), ("chars", None)],
        NOT_TRIM,
        OTHER_TRIM,
        strings::trim
    ),
    named!(
        "$ltrim",
        [("input", MISSING_TRIM), ("chars", None)],
        NOT_TRIM,
        OTHER_TRIM,
        strings::trim
    ),
    named!(
        "$rtrim",
        [("input", MISSING_TRIM), ("chars", None)],
        NOT_TRIM,
        OTHER_TRIM,
        strings::trim
    ),
    named!(
        "$replaceOne",
        [
            ("input", Some((51749, "@ requires 'input' to be specified"))),
            ("find", Some((51748, "@ requires 'find' to be specified"))),
            (
                "replacement",
                Some((51747, "@ requires 'replacement' to be specified"))
            ),
        ],
        NOT_REPLACE,
        OTHER_REPLACE,
        strings::replace
    ),
    named!(
        "$replaceAll",
        [
            ("input", Some((51749, "@ requires 'input' to be specified"))),
            ("find", Some((51748, "@ requires 'find' to be specified"))),
            (
                "replacement",
                Some((51747, "@ requires 'replacement' to be specified"))
            ),
        ],
        NOT_REPLACE,
        OTHER_REPLACE,
        strings::replace
    ),
    named!(
        "$regexMatch",
        [
            ("input", MISSING_INPUT),
            ("regex", MISSING_REGEX),
            ("options", None)
        ],
        NOT_REGEX,
        OTHER_REGEX,
        pattern::find
    ),
    named!(
        "$regexFind",
        [
            ("input", MISSING_INPUT),
            ("regex", MISSING_REGEX),
            ("options", None)
        ],
        NOT_REGEX,
        OTHER_REGEX,
        pattern::find
    ),
    named!(
        "$regexFindAll",
        [
            ("input", MISSING_INPUT),
            ("regex", MISSING_REGEX),
            ("options", None)
        ],
        NOT_REGEX,
        OTHER_REGEX,
        pattern::find
    ),
    named!(
        "$convert",
        [
            ("input", Some((9, "Missing 'input' parameter to $convert"))),
            ("to", Some((9, "Missing 'to' parameter to $convert"))),
            ("onError", None),
            ("onNull", None),
        ],
        (
            9,
            "$convert expects an object of named arguments but found: #"
        ),
        (9, "$convert found an unknown argument: #"),
        convert::convert
    ),
    named!(
        "$getField",
        [
            (
                "field",
                Some((3_041_702, "$getField requires 'field' to be specified"))
            ),
            (
                "input",
                Some((3_041_703, "$getField requires 'input' to be specified"))
            ),
        ],
        NOT_FIELD,
        (3_041_701, "$getField found an unknown argument: #"),
        objects::get_field
    ),
    named!(
        "$setField",
        [
            (
                "field",
                Some((4_161_102, "@ requires 'field' to be specified"))
            ),
            (
                "value",
                Some((4_161_103, "@ requires 'value' to be specified"))
            ),
            (
                "input",
                Some((4_161_109, "@ requires 'input' to be specified"))
            ),
        ],
        NOT_FIELD,
        OTHER_FIELD,
        objects::set_field
    ),
    named!(
        "$unsetField",
        [
            (
                "field",
                Some((4_161_102, "@ requires 'field' to be specified"))
            ),
            (
                "input",
                Some((4_161_109, "@ requires 'input' to be specified"))
            ),
        ],
        NOT_FIELD,
        OTHER_FIELD,
        objects::set_field
    ),
    named!(
        "$zip",
        [
            ("inputs", None),
            ("useLongestLength", None),
            ("defaults", None)
        ],
        (
            34460,
            "$zip only supports an object as an argument, found #"
        ),
        (34464, "$zip found an unknown argument: #"),
        arrays::zip,
        Some(arrays::check_zip)
    ),
    named!(
        "$dateToString",
        [
            (
                "date",
                Some((18628, "Missing 'date' parameter to $dateToString"))
            ),
            ("format", None),
            ("timezone", None),
            ("onNull", None),
        ],
        (
            18629,
            "$dateToString only supports an object as its argument"
        ),
        (18534, "Unrecognized argument to $dateToString: #"),
        dates::to_string
    ),
    named!(
        "$dateFromString",
        [
            (
                "dateString",
                Some((40542, "Missing 'dateString' parameter to $dateFromString"))
            ),
            ("format", None),
            ("timezone", None),
            ("onError", None),
            ("onNull", None),
        ],
        (
            40540,
            "$dateFromString only supports an object as an argument, found: #"
        ),
        (40541, "Unrecognized argument to $dateFromString: #"),
        dates::from_string
    ),
    named!(
        "$dateToParts",
        [
            (
                "date",
                Some((40522, "Missing 'date' parameter to $dateToParts"))
            ),
            ("timezone", None),
            ("iso8601", None),
        ],
        (
            40524,
            "$dateToParts only supports an object as its argument"
        ),
        (40520, "Unrecognized argument to $dateToParts: #"),
        dates::to_parts
    ),
    named!(
        "$dateFromParts",
        [
            ("year", None),
            ("month", None),
            ("day", None),
            ("hour", None),
            ("minute", None),
            ("second", None),
            ("millisecond", None),
            ("isoWeekYear", None),
            ("isoWeek", None),
            ("isoDayOfWeek", None),
            ("timezone", None),
        ],
        (
            40519,
            "$dateFromParts only supports an object as its argument"
        ),
        (40518, "Unrecognized argument to $dateFromParts: #"),
        dates::from_parts,
        Some(dates::check_parts)
    ),
    named!(
        "$dateAdd",
        [
            ("startDate", None),
            ("unit", None),
            ("amount", None),
            ("timezone", None)
        ],
        (5_166_400, "@ expects an object as its argument"),
        OTHER_ADD,
        dates::add,
        Some(dates::check_add)
    ),
    named!(
        "$dateSubtract",
        [
            ("startDate", None),
            ("unit", None),
            ("amount", None),
            ("timezone", None)
        ],
        (5_166_400, "@ expects an object as its argument"),
        OTHER_ADD,
        dates::add,
        Some(dates::check_add)
    ),
    named!(
        "$dateDiff",
        [
            (
                "startDate",
                Some((5_166_303, "Missing 'startDate' parameter to $dateDiff"))
            ),
            (
                "endDate",
                Some((5_166_304, "Missing 'endDate' parameter to $dateDiff"))
            ),
            (
                "unit",
                Some((5_166_305, "Missing 'unit' parameter to $dateDiff"))
            ),
            ("timezone", None),
            ("startOfWeek", None),
        ],
        (
            5_166_301,
            "$dateDiff only supports an object as its argument"
        ),
        (5_166_302, "Unrecognized argument to $dateDiff: #"),
        dates::diff
    ),
    named!(
        "$dateTrunc",
        [
            (
                "date",
                Some((5_439_009, "Missing 'date' parameter to $dateTrunc"))
            ),
            (
                "unit",
                Some((5_439_010, "Missing 'unit' parameter to $dateTrunc"))
            ),
            ("binSize", None),
            ("timezone", None),
            ("startOfWeek", None),
        ],
        (
            5_439_007,
            "$dateTrunc only supports an object as its argument"
        ),
        (
            5_439_008,
            "Unrecognized argument to $dateTrunc: #. Expected arguments are date, unit, and optionally, binSize, timezone, startOfWeek"
        ),
        dates::trunc
    ),
    part!("$dayOfMonth"),
    part!("$dayOfWeek"),
    part!("$dayOfYear"),
    part!("$hour"),
    part!("$isoDayOfWeek"),
    part!("$isoWeek"),
    part!("$isoWeekYear"),
    part!("$millisecond"),
    part!("$minute"),
    part!("$month"),
    part!("$second"),
    part!("$week"),
    part!("$year"),
    named!(
        "$firstN",
        [("n", NO_N), ("input", NO_N_INPUT)],
        NOT_END,
        OTHER_N,
        ranked::n
    ),
    named!(
        "$lastN",
        [("n", NO_N), ("input", NO_N_INPUT)],
        NOT_END,
        OTHER_N,
        ranked::n
    ),
    named!(
        "$maxN",
        [("n", NO_N), ("input", NO_N_INPUT)],
        NOT_RANKED,
        OTHER_N,
        ranked::n
    ),
    named!(
        "$minN",
        [("n", NO_N), ("input", NO_N_INPUT)],
        NOT_RANKED,
        OTHER_N,
        ranked::n
    ),
];
