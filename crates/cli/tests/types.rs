//! `backstitch types`, and what `dev` does with its files.

use super::{Served, app, data, path, program, run, write};

#[test]
fn types_are_written_and_brought_up_to_date() {
    let (app, data) = (app(&[("hello", "exports = () => 1;")]), data());
    let read = |name: &str| std::fs::read_to_string(app.path().join(name)).unwrap();
    // Nobody asked for them.
    drop(Served::dev(&app, &data));
    assert!(!app.path().join("backstitch.d.ts").exists());

    let (code, said, errors) = run(&mut program(&["types", path(&app)]));
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(said.contains("backstitch.d.ts"), "{said}");
    let types = read("backstitch.d.ts");
    assert!(types.contains("declare const context: Backstitch.Context;"));
    assert!(read("jsconfig.json").contains("\"functions/**/*.js\""));
    // They are no part of the app, and nothing that is wrong with it.
    let (code, said, _) = run(&mut program(&["check", path(&app)]));
    assert_eq!(code, 0);
    assert!(said.contains("no warnings"), "{said}");

    // Old ones are replaced; a configuration is whose it is.
    write(&app, "backstitch.d.ts", "// old");
    write(&app, "jsconfig.json", "{}");
    drop(Served::dev(&app, &data));
    assert_eq!(read("backstitch.d.ts"), types);
    write(&app, "backstitch.d.ts", "// old");
    assert_eq!(run(&mut program(&["types", path(&app)])).0, 0);
    assert_eq!(read("backstitch.d.ts"), types);
    assert_eq!(read("jsconfig.json"), "{}");
    std::fs::rename(
        app.path().join("jsconfig.json"),
        app.path().join("tsconfig.json"),
    )
    .unwrap();
    run(&mut program(&["types", path(&app)]));
    assert!(!app.path().join("jsconfig.json").exists());
}

#[test]
fn types_go_through_no_link() {
    let (app, other) = (app(&[("hello", "exports = () => 1;")]), data());
    let outside = other.path().join("mine");
    std::fs::write(&outside, "mine").unwrap();
    std::os::unix::fs::symlink(&outside, app.path().join("backstitch.d.ts")).unwrap();
    let (code, _, errors) = run(&mut program(&["types", path(&app)]));
    assert_eq!(code, 1);
    assert!(errors.contains("a link"), "{errors}");
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "mine");
    let (code, _, errors) = run(&mut program(&["types", "/nowhere/at/all"]));
    assert_eq!(code, 1);
    assert!(
        errors.starts_with("backstitch: /nowhere/at/all: "),
        "{errors}"
    );
}
