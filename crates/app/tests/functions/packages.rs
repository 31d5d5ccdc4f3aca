//! Functions that load npm packages: those that are installed, from the next
//! request on.

use app::{Author, Calling};
use bson::{Bson, bson};

use super::World;

/// An archive of `node_modules`.
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let path = format!("node_modules/{path}");
        builder
            .append_data(&mut header, path, text.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

async fn install(world: &World, files: &[(&str, &str)]) {
    let author = Author {
        user_id: "admin".to_owned(),
        origin: "API".to_owned(),
    };
    let name = "node_modules.tar";
    let installed = world.app.install_dependencies(&author, name, tar(files));
    installed.await.unwrap();
    world.app.dependencies_status().await.unwrap();
    let status = world.app.dependencies_status().await.unwrap();
    assert_eq!(status.status, "successful", "{}", status.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_keeps_the_packages_that_it_began_with() {
    let world = World::new(
        &[
            ("version", "", "exports = () => require('a').version"),
            (
                "twice",
                "",
                "exports = async () => {
                    const before = require('a').version;
                    await new Promise((done) => setTimeout(done, 1));
                    return [before, require('a/package.json').version, await context.functions.execute('version')];
                }",
            ),
            ("esm", "", "exports = async () => (await import('b')).default"),
        ],
        &[],
    )
    .await;
    assert_eq!(
        world.alice("version", bson!([])).await,
        "FunctionExecutionError: Error: Cannot find module 'a'"
    );
    // A request that began before has nothing either.
    let before = world.cx(&world.alice);
    let package = |version: &str| {
        (
            format!(r#"{{"name":"a","version":"{version}"}}"#),
            format!("exports.version = require('./package').version + '{version}'"),
        )
    };
    for version in ["1.0.0", "2.0.0"] {
        let (manifest, index) = package(version);
        let files = [
            ("a/package.json", manifest.as_str()),
            ("a/index.js", &index),
            ("b/package.json", r#"{"type":"module","main":"b.js"}"#),
            (
                "b/b.js",
                "import { version } from 'a'; export default version;",
            ),
        ];
        install(&world, &files).await;
        let found = world.alice("version", bson!([])).await;
        assert_eq!(found, format!("\"{version}{version}\""));
        assert_eq!(
            world.alice("twice", bson!([])).await,
            format!("[\"{version}{version}\",\"{version}\",\"{version}{version}\"]")
        );
        assert_eq!(
            world.alice("esm", bson!([])).await,
            format!("\"{version}{version}\"")
        );
    }
    let none = Vec::new();
    let found = world
        .app
        .call(&before, "version", none, Calling::Client)
        .await;
    assert!(
        found
            .unwrap_err()
            .message
            .contains("Cannot find module 'a'"),
        "a request takes packages that came later"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upload_leaves_what_is_installed() {
    let world = World::new(&[("f", "", "exports = () => require('a')")], &[]).await;
    install(&world, &[("a/index.js", "module.exports = 'here'")]).await;
    let author = Author {
        user_id: "admin".to_owned(),
        origin: "API".to_owned(),
    };
    let broken = world
        .app
        .install_dependencies(&author, "x.zip", b"no zip".to_vec());
    broken.await.unwrap();
    assert_eq!(world.alice("f", bson!([])).await, "\"here\"");
    // Nothing installed is nothing to load.
    install(&world, &[("b/index.js", "module.exports = 'other'")]).await;
    assert_eq!(
        world.alice("f", bson!([])).await,
        "FunctionExecutionError: Error: Cannot find module 'a'"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_do_not_see_which_archive_it_is() {
    let source = "exports = () => {
        const seen = [];
        const look = (value, path, depth) => {
            if (depth > 4 || value === null || (typeof value !== 'object' && typeof value !== 'function')) {
                if (typeof value === 'string' && /^[0-9a-f]{24}$/.test(value)) seen.push(path);
                return;
            }
            for (const name of Reflect.ownKeys(value)) look(value[name], path + '.' + String(name), depth + 1);
        };
        look(context, 'context', 0);
        return seen.filter((path) => !/user|app/.test(path));
    }";
    let world = World::new(&[("f", "", source)], &[]).await;
    install(&world, &[("a/index.js", "module.exports = 'here'")]).await;
    let cx = world.cx(&world.alice);
    let found = world.app.call(&cx, "f", Vec::new(), Calling::Client).await;
    assert_eq!(found.unwrap(), Bson::Array(Vec::new()));
}
