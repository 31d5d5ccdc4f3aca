//! `$fill` and `$densify` over the documents of `w`, and what mongod 6.0.5
//! answers.

/// Stages, and what comes out, without some of the fields.
pub(super) const FILLED: &[(&str, &str)] = &[
    (
        r#"{"$fill":{"output":{"n":{"value":0}}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":0,"m":4},{"_id":6,"x":7,"s":"x","m":1,"n":0},{"_id":7,"x":8,"n":"x","m":1.0},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$fill":{"output":{"n":{"value":"$x"},"s":{"value":"none"}}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5,"s":"none"},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1,"s":"none"},{"_id":3,"x":2.5,"n":0.1,"m":0.7,"s":"none"},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3,"s":"none"},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":{"$numberDecimal":"4.5"},"m":4,"s":"none"},{"_id":6,"x":7,"s":"x","m":1,"n":7},{"_id":7,"x":8,"n":"x","m":1.0,"s":"none"},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"},"s":"none"},{"_id":9,"x":11,"n":1,"m":9,"s":"none"}]"#,
    ),
    (
        r#"{"$fill":{"sortBy":{"x":1},"output":{"n":{"method":"locf"}}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":{"$numberDecimal":"1.50"},"m":4},{"_id":6,"x":7,"s":"x","m":1,"n":{"$numberDecimal":"1.50"}},{"_id":7,"x":8,"n":"x","m":1.0},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$fill":{"sortBy":{"x":-1},"partitionByFields":["p"],"output":{"s":{"method":"locf"},"m":{"value":"$s"}}}}"#,
        r#"[{"_id":6,"x":7,"s":"x","m":1},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4,"s":null},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3,"s":null},{"_id":3,"x":2.5,"n":0.1,"m":0.7,"s":null},{"_id":1,"x":1,"n":1,"m":2.5,"s":null},{"_id":9,"x":11,"n":1,"m":9,"s":null},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"},"s":null},{"_id":7,"x":8,"n":"x","m":1.0,"s":null},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1,"s":null}]"#,
    ),
    (
        r#"{"$fill":{"sortBy":{"d":1},"output":{"k":{"method":"linear"}}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5,"k":null},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1,"k":null},{"_id":3,"x":2.5,"n":0.1,"m":0.7,"k":null},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3,"k":null},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4,"k":null},{"_id":6,"x":7,"s":"x","m":1,"k":null},{"_id":7,"x":8,"n":"x","m":1.0,"k":null},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"},"k":null},{"_id":9,"x":11,"n":1,"m":9,"k":null}]"#,
    ),
    (
        r#"{"$fill":{"sortBy":{"x":1},"partitionBy":{"q":"$p"},"output":{"k":{"method":"linear"},"q.r":{"value":"$_id"}}}}"#,
        r#"[{"_id":6,"x":7,"s":"x","m":1,"k":null,"q":{"r":6}},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4,"k":null,"q":{"r":5}},{"_id":1,"x":1,"n":1,"m":2.5,"k":null,"q":{"r":1}},{"_id":3,"x":2.5,"n":0.1,"m":0.7,"k":null,"q":{"r":3}},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3,"k":null,"q":{"r":4}},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1,"k":null,"q":{"r":2}},{"_id":7,"x":8,"n":"x","m":1.0,"k":null,"q":{"r":7}},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"},"k":null,"q":{"r":8}},{"_id":9,"x":11,"n":1,"m":9,"k":null,"q":{"r":9}}]"#,
    ),
    (
        r#"{"$fill":{"output":{"n":{}}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":2,"bounds":"full"}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"x":3},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"x":5},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"x":9},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1.5,"bounds":"full"}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"x":5.5},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"x":8.5},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":{"$numberDecimal":"2.5"},"bounds":"full"}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"x":{"$numberDecimal":"3.5"}},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"x":{"$numberDecimal":"6.0"}},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"x":{"$numberDecimal":"8.5"}},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":3,"bounds":[0,9]}}}"#,
        r#"[{"x":0},{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"x":3},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"x":6},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":[20,22]}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9},{"x":20},{"x":21}]"#,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":[9,9]}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"x":9},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$densify":{"field":"d","range":{"step":1,"unit":"month","bounds":"full"}}}"#,
        r#"[{"_id":1,"d":{"$date":{"$numberLong":"1580428800000"}}},{"_id":2,"d":{"$date":{"$numberLong":"1582934400000"}}},{"_id":3,"d":{"$date":{"$numberLong":"1582977600000"}}},{"d":{"$date":{"$numberLong":"1585440000000"}}},{"_id":4,"d":{"$date":{"$numberLong":"1585612800000"}}},{"d":{"$date":{"$numberLong":"1588118400000"}}},{"d":{"$date":{"$numberLong":"1590710400000"}}},{"d":{"$date":{"$numberLong":"1593388800000"}}},{"d":{"$date":{"$numberLong":"1595980800000"}}},{"d":{"$date":{"$numberLong":"1598659200000"}}},{"d":{"$date":{"$numberLong":"1601337600000"}}},{"d":{"$date":{"$numberLong":"1603929600000"}}},{"d":{"$date":{"$numberLong":"1606608000000"}}},{"d":{"$date":{"$numberLong":"1609200000000"}}},{"_id":5,"d":{"$date":{"$numberLong":"1609459200000"}}},{"_id":6,"d":{"$date":{"$numberLong":"1609459201000"}}},{"_id":7,"d":{"$date":{"$numberLong":"1609545600000"}}},{"_id":8,"d":{"$date":{"$numberLong":"1609632000000"}}},{"_id":9,"d":{"$date":{"$numberLong":"1609718400000"}}}]"#,
    ),
    (
        r#"{"$densify":{"field":"d","range":{"step":2,"unit":"day","bounds":[{"$date":{"$numberLong":"1609286400000"}},{"$date":{"$numberLong":"1609891200000"}}]}}}"#,
        r#"[{"_id":1,"d":{"$date":{"$numberLong":"1580428800000"}}},{"_id":2,"d":{"$date":{"$numberLong":"1582934400000"}}},{"_id":3,"d":{"$date":{"$numberLong":"1582977600000"}}},{"_id":4,"d":{"$date":{"$numberLong":"1585612800000"}}},{"d":{"$date":{"$numberLong":"1609286400000"}}},{"_id":5,"d":{"$date":{"$numberLong":"1609459200000"}}},{"_id":6,"d":{"$date":{"$numberLong":"1609459201000"}}},{"_id":7,"d":{"$date":{"$numberLong":"1609545600000"}}},{"_id":8,"d":{"$date":{"$numberLong":"1609632000000"}}},{"_id":9,"d":{"$date":{"$numberLong":"1609718400000"}}},{"d":{"$date":{"$numberLong":"1609804800000"}}}]"#,
    ),
    (
        r#"{"$densify":{"field":"zz","range":{"step":1,"bounds":[0,2]}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9},{"zz":0},{"zz":1}]"#,
    ),
    (
        r#"{"$densify":{"field":"x","partitionByFields":["p"],"range":{"step":2,"bounds":"partition"}}}"#,
        r#"[{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"_id":6,"x":7,"s":"x","m":1},{"_id":1,"x":1,"n":1,"m":2.5},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"x":3},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"x":{"$numberLong":"4"}},{"x":{"$numberLong":"6"}},{"_id":7,"x":8,"n":"x","m":1.0},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9}]"#,
    ),
    (
        r#"{"$densify":{"field":"a.x","partitionByFields":["a.p"],"range":{"step":2,"bounds":[0,3]}}}"#,
        r#"[{"_id":1,"x":1,"n":1,"m":2.5},{"_id":2,"x":{"$numberLong":"2"},"n":{"$numberLong":"7"},"m":0.1},{"_id":3,"x":2.5,"n":0.1,"m":0.7},{"_id":4,"x":4,"n":{"$numberDecimal":"1.50"},"m":-3},{"_id":5,"x":{"$numberDecimal":"4.5"},"n":null,"m":4},{"_id":6,"x":7,"s":"x","m":1},{"_id":7,"x":8,"n":"x","m":1.0},{"_id":8,"x":10,"n":2147483647,"m":{"$numberLong":"1"}},{"_id":9,"x":11,"n":1,"m":9},{"a":{"x":0}},{"a":{"x":2}}]"#,
    ),
];

/// Stages that are refused, and their codes.
pub(super) const REFUSED: &[(&str, i32)] = &[
    (r#"{"$fill":5}"#, 9),
    (r#"{"$fill":{}}"#, 40414),
    (r#"{"$fill":{"output":5}}"#, 14),
    (r#"{"$fill":{"output":{}}}"#, 6_050_203),
    (r#"{"$fill":{"output":{"n":5}}}"#, 6_050_200),
    (r#"{"$fill":{"output":{"n":{"x":1}}}}"#, 40415),
    (r#"{"$fill":{"output":{"n":{"method":"zz"}}}}"#, 6_050_202),
    (r#"{"$fill":{"output":{"n":{"method":5}}}}"#, 14),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf","value":1}}}}"#,
        6_050_201,
    ),
    (r#"{"$fill":{"output":{"n":{"method":"linear"}}}}"#, 605_001),
    (r#"{"$fill":{"output":{"n":{"value":{"$zz":1}}}}}"#, 168),
    (r#"{"$fill":{"output":{"":{"value":1}}}}"#, 40352),
    (
        r#"{"$fill":{"output":{"n":{"value":1},"n.a":{"value":1}}}}"#,
        40176,
    ),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf"}},"partitionBy":"$p"}}"#,
        14,
    ),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf"}},"partitionBy":{"a":1},"partitionByFields":[]}}"#,
        6_050_204,
    ),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf"}},"partitionByFields":["p","p"]}}"#,
        16406,
    ),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf"}},"partitionByFields":["$p"]}}"#,
        168,
    ),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf"}},"partitionByFields":5}}"#,
        14,
    ),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf"}},"partitionByFields":[5]}}"#,
        14,
    ),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf"}},"sortBy":5}}"#,
        14,
    ),
    (
        r#"{"$fill":{"output":{"n":{"method":"locf"}},"x":5}}"#,
        40415,
    ),
    (
        r#"{"$fill":{"sortBy":{"x":1},"output":{"n":{"method":"linear"}}}}"#,
        14,
    ),
    (r#"{"$densify":5}"#, 9),
    (r#"{"$densify":{}}"#, 40414),
    (r#"{"$densify":{"field":"x"}}"#, 40414),
    (r#"{"$densify":{"field":5}}"#, 14),
    (r#"{"$densify":{"field":"x","range":5}}"#, 14),
    (r#"{"$densify":{"field":"x","range":{}}}"#, 40414),
    (r#"{"$densify":{"field":"x","range":{"step":1}}}"#, 40414),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":"full"},"y":1}}"#,
        40415,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":"x","bounds":"full"}}}"#,
        14,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":0,"bounds":"full"}}}"#,
        5_733_401,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":"zz"}}}"#,
        5_946_802,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":5}}}"#,
        5_733_404,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":[1]}}}"#,
        5_733_403,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":[2,1]}}}"#,
        5_733_402,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":["a","b"]}}}"#,
        5_946_800,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":[1,2.0]}}}"#,
        5_876_900,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":[1,{}]}}}"#,
        5_733_406,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":[1,2],"unit":"day"}}}"#,
        5_733_409,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":"full","unit":"zz"}}}"#,
        9,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1.5,"bounds":"full","unit":"day"}}}"#,
        6_586_400,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":"full","unit":5}}}"#,
        14,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":"full","x":5}}}"#,
        40415,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":"partition"}}}"#,
        5_733_408,
    ),
    (
        r#"{"$densify":{"field":"","range":{"step":1,"bounds":"full"}}}"#,
        40352,
    ),
    (
        r#"{"$densify":{"field":"$x","range":{"step":1,"bounds":"full"}}}"#,
        16410,
    ),
    (
        r#"{"$densify":{"field":"d","range":{"step":1,"bounds":"full"}}}"#,
        6_053_600,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":"full","unit":"day"}}}"#,
        6_053_600,
    ),
    (
        r#"{"$densify":{"field":"x","range":{"step":1,"bounds":[{"$date":{"$numberLong":"1577836800000"}},{"$date":{"$numberLong":"1609459200000"}}]}}}"#,
        5_733_410,
    ),
    (
        r#"{"$densify":{"field":"x","partitionByFields":["x"],"range":{"step":1,"bounds":"full"}}}"#,
        5_733_306,
    ),
    (
        r#"{"$densify":{"field":"x","partitionByFields":5,"range":{"step":1,"bounds":"full"}}}"#,
        14,
    ),
    (
        r#"{"$densify":{"field":"x","partitionByFields":[""],"range":{"step":1,"bounds":"full"}}}"#,
        40352,
    ),
];
