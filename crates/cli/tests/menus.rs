//! Menus and questions: asked of whoever is at a terminal, and of nobody else.

use serde_json::{Value, json};

use super::remote::{World, files, shop};
use super::serve::PROJECT;
use super::terminal::{CTRL_C, DOWN, ENTER, ESCAPE, Terminal};
use super::{path, run, write};

impl World {
    fn at_a_terminal(&self, words: &[&str]) -> Terminal {
        Terminal::new(&mut self.command(words))
    }

    /// Makes apps of these names.
    fn with(names: &[&str]) -> Self {
        let world = Self::new();
        for name in names {
            world.ask("POST", "/apps", &json!({ "name": name }));
        }
        world
    }
}

#[test]
fn an_app_is_chosen() {
    let world = World::with(&["first", "second", "third"]);
    // By what is typed, and by the arrow keys.
    let mut list = world.at_a_terminal(&["secrets", "create", "-n", "key", "-v", "one"]);
    list.sees("Which app?").sees("first-").sees("third-");
    list.types("sec").sees("second-").types(ENTER);
    list.well();
    let has = |app: &str| {
        let said = world.well(&["secrets", "list", "-a", app]);
        said.contains("key")
    };
    assert_eq!(
        [has("first"), has("second"), has("third")],
        [false, true, false]
    );
    let mut list = world.at_a_terminal(&["secrets", "list"]);
    list.sees("Which app?")
        .types(DOWN)
        .sees("> second-")
        .types(ENTER);
    assert!(list.well().contains("key"));
    // Only among those that a word may mean.
    world.ask("POST", "/apps", &json!({ "name": "firsthand" }));
    let mut pull = world.at_a_terminal(&["pull", "--remote", "first-", "--local", "to"]);
    pull.sees("pulled first-");
    pull.well();
    // Nothing is done when somebody leaves.
    for key in [ESCAPE, CTRL_C] {
        let mut delete = world.at_a_terminal(&["apps", "delete"]);
        delete.sees("Which apps are to go?").types(key);
        let (code, said) = delete.ends();
        assert_eq!(
            (code, said.contains("backstitch: stopped")),
            (1, true),
            "{said}"
        );
    }
    let mut none = world.at_a_terminal(&["apps", "delete"]);
    none.sees("Which apps are to go?").types(ENTER);
    let (code, said) = none.ends();
    assert_eq!(
        (code, said.contains("nothing was chosen")),
        (1, true),
        "{said}"
    );
    let mut two = world.at_a_terminal(&["apps", "delete"]);
    two.sees("Which apps are to go?").types(" ").sees("[x]");
    two.types(DOWN)
        .types(DOWN)
        .types(" ")
        .sees("[x]")
        .types(ENTER);
    two.sees("with everything in it?").types("y").types(ENTER);
    two.well();
    let left = world.lines(&["apps", "list"]);
    assert_eq!(left[0]["data"].as_array().unwrap().len(), 2, "{left:?}");
}

#[test]
fn who_is_asked_and_says_no_changes_nothing() {
    let world = World::with(&["first"]);
    for answer in ["", "n"] {
        let mut delete = world.at_a_terminal(&["apps", "delete", "-a", "first"]);
        delete
            .sees("with everything in it?")
            .types(answer)
            .types(ENTER);
        delete.well();
        assert!(world.well(&["apps", "list"]).contains("first-"));
    }
}

#[test]
fn a_login_asks_for_what_is_missing_and_shows_no_key() {
    let world = World::new();
    world.well(&["logout"]);
    let mut login = world.at_a_terminal(&["login", "--browser"]);
    login
        .sees("Which server?")
        .types(&world.served.url.clone())
        .types(ENTER);
    login.sees("backstitch keys create");
    login.sees("Public key:").types("public").types(ENTER);
    login
        .sees("Type the private key:")
        .types("a-private-key")
        .types(ENTER);
    login.sees("logged in at ");
    let said = login.well();
    assert!(!said.contains("a-private-key"), "{said}");
    // Whoever is logged in stays, unless that is what is wanted.
    let other = world.ask("POST", "/keys", &json!({ "role": "GROUP_READ_ONLY" }));
    let pair = |name: &str| other[name].as_str().unwrap().to_owned();
    let words = ["login", "--api-key", &pair("public_key")];
    for (answer, who) in [("n", "public".to_owned()), ("y", pair("public_key"))] {
        let mut login = world.at_a_terminal(&words);
        login
            .sees("Type the private key:")
            .types(&pair("private_key"))
            .types(ENTER);
        login
            .sees("public is logged in; log in as")
            .types(answer)
            .types(ENTER);
        login.well();
        assert_eq!(world.lines(&["whoami"])[0]["doc"]["username"], *who);
    }
    // A wrong key says what to do.
    let mut login = world.at_a_terminal(&["login", "--api-key", "public"]);
    login
        .sees("Type the private key:")
        .types("wrong")
        .types(ENTER);
    login
        .sees("log in as public instead?")
        .types("y")
        .types(ENTER);
    let (code, said) = login.ends();
    assert_eq!(code, 1);
    assert!(said.contains("there is no such key pair"), "{said}");
}

#[test]
fn a_project_is_chosen_by_its_name() {
    let world = World::new();
    let operator = [
        "--server",
        &world.served.url,
        "--admin-public-key",
        "public",
        "--admin-private-key",
        "a-private-key",
    ];
    let made = ["project", "create", "north", "-f", "json"];
    let north = world.well(&[&made[..], &operator].concat());
    let north: Value = serde_json::from_str(&north).unwrap();
    let north = north["id"].as_str().unwrap();
    let ops = ["administrators", "create", "ops", "--owner", PROJECT];
    let password = world.home.path().join("password");
    std::fs::write(&password, "a long enough password\n").unwrap();
    let mut ops = world.command(&[&ops[..], &["--owner", north], &operator].concat());
    ops.stdin(std::fs::File::open(&password).unwrap());
    let (code, _, errors) = run(&mut ops);
    assert_eq!(code, 0, "{errors}");
    let mut login = world.at_a_terminal(&["login", "--auth-type", "local"]);
    login.sees("User name:").types("ops").types(ENTER);
    login
        .sees("Type the password:")
        .types("a long enough password");
    login
        .types(ENTER)
        .sees("public is logged in; log in as ops");
    login.types("y").types(ENTER).sees(" as ops");
    login.well();
    let none = world.fails(&["apps", "create", "--name", "shop"]);
    assert!(
        none.contains("name one with --project: ") && none.contains("north ("),
        "{none}"
    );
    let mut create = world.at_a_terminal(&["apps", "create"]);
    create.sees("The app's name:").types("shop").types(ENTER);
    create
        .sees("Which project?")
        .types("nor")
        .sees("north (")
        .types(ENTER);
    create.well();
    let listed = world.well(&["apps", "list"]);
    assert!(
        listed.contains("shop-") && !listed.contains(PROJECT),
        "{listed}"
    );
    assert!(world.home.path().join("shop/realm_config.json").is_file());
    let mut init = world.at_a_terminal(&["apps", "init", "--local", "later"]);
    init.sees("The app's name:")
        .types(ENTER)
        .sees("may not be empty");
    init.types("later").types(ENTER);
    init.well();
    // What is not empty is not written into without a yes; another place is.
    let words = [
        "apps",
        "create",
        "--name",
        "again",
        "--local",
        "taken",
        "--project",
        PROJECT,
    ];
    let taken = world.home.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("mine"), "").unwrap();
    let mut create = world.at_a_terminal(&words);
    create
        .sees("taken is not empty; add to what is in it?")
        .types(ENTER);
    create.sees("Where else?").sees("taken-1").types(ENTER);
    create.well();
    assert_eq!(files(&taken).len(), 1);
    assert!(
        world
            .home
            .path()
            .join("taken-1/realm_config.json")
            .is_file()
    );
}

#[test]
fn secrets_and_addresses_are_chosen() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let mut create = world.at_a_terminal(&["secrets", "create"]);
    create.sees("The secret's name:").types("key").types(ENTER);
    create.sees("Type the value:").types("one").types(ENTER);
    assert!(!create.well().contains("one"));
    world.well(&["secrets", "create", "-n", "other", "-v", "two"]);
    let mut update = world.at_a_terminal(&["secrets", "update", "-n", "third"]);
    update
        .sees("Which secret?")
        .types("other")
        .sees("> other")
        .types(ENTER);
    update.well();
    let mut delete = world.at_a_terminal(&["secrets", "delete"]);
    delete
        .sees("Which secret is to go?")
        .types("third")
        .sees("third");
    delete.types(" ").sees("[x]").types(ENTER);
    delete.sees("Delete third?").types("y").types(ENTER);
    delete.well();
    let left = world.lines(&["secrets", "list"]);
    assert_eq!(left[0]["data"][0]["Name"], "key");
    assert_eq!(left[0]["data"].as_array().unwrap().len(), 1);

    let mut create = world.at_a_terminal(&["accessList", "create", "--comment", "inside"]);
    create
        .sees("The address or network:")
        .types("10.0.0.0/8")
        .types(ENTER);
    create.well();
    let mut update = world.at_a_terminal(&["accessList", "update", "--new-ip", "10.1.0.0/16"]);
    update
        .sees("Which address?")
        .types("inside")
        .sees("10.0.0.0/8: inside")
        .types(ENTER);
    update.well();
    let mut delete = world.at_a_terminal(&["accessList", "delete", "-y", "--ip", "10.1.0.0/16"]);
    delete.sees("deleted: 1");
    delete.well();
}

#[test]
fn users_functions_and_languages_are_chosen() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let mut create = world.at_a_terminal(&["users", "create"]);
    create.sees("What identifies the user?").types(ENTER);
    create
        .sees("The e-mail address:")
        .types("a@shop.example")
        .types(ENTER);
    create
        .sees("Type the password:")
        .types("secret-1")
        .types(ENTER);
    assert!(!create.well().contains("secret-1"));
    let mut create = world.at_a_terminal(&["users", "create"]);
    create
        .sees("What identifies the user?")
        .types(DOWN)
        .types(ENTER);
    create
        .sees("The API key's name:")
        .types("robot")
        .types(ENTER);
    create.well();
    for (verb, state) in [("disable", "disabled"), ("enable", "enabled")] {
        let mut change = world.at_a_terminal(&["users", verb]);
        change.sees(&format!("Which users to {verb}?"));
        change
            .types("a@shop")
            .sees("User/Password - a@shop.example - ");
        change.types(" ").sees("[x]").types(ENTER);
        change.well();
        let listed = world.lines(&["users", "list", "--state", state]);
        assert!(
            listed
                .iter()
                .any(|table| table["data"][0]["Email"] == "a@shop.example")
        );
    }
    let mut revoke = world.at_a_terminal(&["users", "revoke", "--provider", "local-userpass"]);
    revoke
        .sees("Which users to log out?")
        .types(" ")
        .sees("[x]")
        .types(ENTER);
    assert!(revoke.well().contains("Session Revoked"));
    let mut delete = world.at_a_terminal(&["users", "delete"]);
    delete
        .sees("Which users to delete?")
        .types("ApiKey")
        .sees("ApiKey - ");
    delete.types(" ").sees("[x]").types(ENTER);
    delete.sees("Delete ").types("y").types(ENTER);
    delete.well();
    assert!(
        world
            .well(&["users", "list", "--provider", "api-key"])
            .contains("no users")
    );

    let mut call = world.at_a_terminal(&["functions", "run", "--args", "1", "--args", "2"]);
    call.sees("Which function?")
        .types("sum")
        .sees("? sum")
        .types(ENTER);
    assert!(call.well().contains("\"3\""));
    let mut models = world.at_a_terminal(&["schema", "datamodels"]);
    models
        .sees("Which language?")
        .types("kot")
        .sees("KOTLIN")
        .types(ENTER);
    models.sees("Leave imports out?").types("y").types(ENTER);
    models.sees("All in one piece?").types(ENTER);
    let said = models.well();
    assert!(
        said.contains("class order") && !said.contains("import io"),
        "{said}"
    );
    for language in ["c_sharp", "OBJC", "TypeScript"] {
        world.well(&["schema", "datamodels", "-l", language]);
    }
}

#[test]
fn a_push_asks_what_the_app_is_to_be_and_a_diff_where_it_is() {
    let (world, shop) = (World::new(), shop());
    let local = path(&shop).to_owned();
    let mut no = world.at_a_terminal(&["push", "--local", &local]);
    no.sees("create it?").types(ENTER);
    no.well();
    assert_eq!(world.well(&["apps", "list"]), "there are no apps\n");
    let mut push = world.at_a_terminal(&["push", "--local", &local]);
    push.sees("create it?").types("y").types(ENTER);
    push.sees("The app's name:").sees("shop").types(ENTER);
    push.sees("Its location?")
        .types("DE")
        .sees("DE-FF")
        .types(ENTER);
    push.sees("Its deployment model?")
        .types("LOC")
        .sees("LOCAL")
        .types(ENTER);
    push.sees("Its environment?")
        .types("qa")
        .sees("qa")
        .types(ENTER);
    push.sees("Create shop (DE-FF, LOCAL, qa)?")
        .types("y")
        .types(ENTER);
    push.sees("Push these changes?").types("y").types(ENTER);
    push.well();
    let app = world.ask("GET", &world.app(), &Value::Null);
    let is = |name: &str| app[name].as_str().unwrap().to_owned();
    assert_eq!(is("location"), "DE-FF");
    assert_eq!(is("deployment_model"), "LOCAL");

    write(&shop, "functions/sum.js", "exports = () => 2;");
    let mut diff = world.at_a_terminal(&["apps", "diff"]);
    diff.sees("Which app directory?").types(&local).types(ENTER);
    assert!(diff.well().contains("exports = () => 2;"));
    // A draft that is there is shown, and stays unless somebody says otherwise.
    world.ask("POST", &format!("{}/drafts", world.app()), &Value::Null);
    let mut push = world.at_a_terminal(&["push", "--local", &local]);
    push.sees("Push these changes?").types("y").types(ENTER);
    push.sees("there is a draft already")
        .sees("Discard the draft that is there?")
        .types(ENTER);
    push.well();
    let drafts = world.ask("GET", &format!("{}/drafts", world.app()), &Value::Null);
    assert_eq!(drafts.as_array().unwrap().len(), 1);
}

#[test]
fn nobody_is_asked_without_a_terminal_or_with_yes() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    for (words, option) in [
        (&["secrets", "create"][..], "--name"),
        (&["secrets", "create", "-n", "x"], "--value"),
        (&["secrets", "update", "-n", "x"], "--secret"),
        (&["apps", "delete"], "--app"),
        (&["apps", "create"], "--name"),
        (&["apps", "init", "--local", "x"], "--name"),
        (&["users", "create"], "--email"),
        (&["users", "create", "--email", "a"], "--password"),
        (&["users", "delete"], "--user"),
        (&["users", "disable"], "--user"),
        (&["functions", "run"], "--name"),
        (&["schema", "datamodels"], "--language"),
        (&["accessList", "create"], "--ip"),
        (&["accessList", "update", "--comment", "x"], "--ip"),
        (&["accessList", "update", "--ip", "0.0.0.0/0"], "--new-ip"),
        (&["accessList", "delete"], "--ip"),
    ] {
        let (code, said, errors) = run(&mut world.command(words));
        assert_eq!(
            (code, errors.contains(option)),
            (2, true),
            "{words:?}: {said}{errors}"
        );
        assert_eq!(said, "", "{words:?}");
        let yes = world.at_a_terminal(&[words, &["-y"]].concat());
        let (code, said) = yes.ends();
        assert_eq!(
            (code, said.contains(option)),
            (2, true),
            "{words:?}: {said}"
        );
    }
    // What is not there needs no choice.
    let none = world.well(&["secrets", "delete"]);
    assert_eq!(none, "there are no secrets\n");
}
