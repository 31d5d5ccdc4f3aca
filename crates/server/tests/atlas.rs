//! The calls of the Atlas API that the official CLI makes, with HTTP Digest.

use app::Backstitch;
use app::administrators::KeyPair;
use axum::http::header;
use md5::{Digest as _, Md5};
use serde_json::json;

use crate::http::{Ask, Reply};
use crate::world::World;

const GROUPS: &str = "/api/public/v1.0/groups";

fn hash(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}

/// A challenge's value of a name, read as primitively as the CLI does.
fn told<'c>(challenge: &'c str, name: &str) -> &'c str {
    let fields = challenge.strip_prefix("Digest ").unwrap();
    let mut known = fields
        .split(", ")
        .map(|field| field.split_once('=').unwrap());
    let (_, value) = known.find(|(known, _)| *known == name).unwrap();
    value.trim_matches('"')
}

/// The answer to a challenge.
fn answer(challenge: &str, public: &str, private: &str, target: &str) -> String {
    let (realm, nonce) = (told(challenge, "realm"), told(challenge, "nonce"));
    let secret = hash(&format!("{public}:{realm}:{private}"));
    let request = hash(&format!("GET:{target}"));
    let response = hash(&format!("{secret}:{nonce}:00000001:c0ffee:auth:{request}"));
    format!(
        "Digest username=\"{public}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\", \
         response=\"{response}\", algorithm=MD5, cnonce=\"c0ffee\", qop=auth, nc=00000001"
    )
}

fn challenge(reply: &Reply) -> String {
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert_eq!(
        reply.json(),
        json!({
            "detail": "You are not authorized for this resource.", "error": 401,
            "errorCode": "USER_UNAUTHORIZED",
        })
    );
    let name = header::WWW_AUTHENTICATE;
    reply.header(name.as_str()).unwrap().to_owned()
}

/// Asks, is challenged, and asks again.
async fn get(world: &World, pair: &KeyPair, target: &str) -> Reply {
    let first = world.send(Ask::new("GET", target)).await;
    let challenge = challenge(&first);
    let with = answer(
        &challenge,
        &pair.public_key,
        pair.private_key.expose(),
        target,
    );
    world
        .send(Ask::new("GET", target).header("Authorization", with))
        .await
}

async fn operator(world: &World) -> KeyPair {
    let pair = Backstitch::new_key_pair();
    let project = &world.app.project_id;
    world.core.ensure_key(project, &pair).await.unwrap();
    pair
}

#[tokio::test]
async fn projects_and_clusters_are_told_to_who_has_the_keys() {
    let world = World::new().await;
    let open = world.send(Ask::new("GET", "/api/public/v1.0")).await;
    assert_eq!(open.status, 200);
    let pair = operator(&world).await;
    let groups = get(&world, &pair, GROUPS).await.json();
    assert_eq!(
        groups["totalCount"],
        groups["results"].as_array().unwrap().len()
    );
    assert_eq!(groups["results"][0]["id"], json!(world.app.project_id));
    assert_eq!(groups["links"], json!([]));

    // Another administrator's, who has logged in: their own only.
    let (project, theirs) = world.core.create_project("other").await.unwrap();
    let login = json!({
        "username": theirs.public_key, "apiKey": theirs.private_key.expose(),
    });
    let path = "/api/admin/v3.0/auth/providers/mongodb-cloud/login";
    let login = Ask::new("POST", path).body(login.to_string());
    let login = world.send(login).await;
    assert_eq!(login.status, 200);
    let login = login.json();
    let own = get(&world, &theirs, GROUPS).await.json();
    assert_eq!(
        own["results"],
        json!([{ "id": project.id, "name": "other" }])
    );

    // Pages, whose next is followed as it is.
    let first = get(&world, &pair, &format!("{GROUPS}?itemsPerPage=1")).await;
    let first = first.json();
    assert_eq!(first["results"].as_array().unwrap().len(), 1);
    let next = first["links"][0]["href"].as_str().unwrap();
    assert_eq!(first["links"][0]["rel"], "next");
    let next = next.strip_prefix("http://backstitch.test").unwrap();
    let second = get(&world, &pair, next).await.json();
    assert_ne!(first["results"], second["results"]);

    let group = format!("/api/atlas/v1.0/groups/{}", project.id);
    let clusters = get(&world, &theirs, &format!("{group}/clusters"))
        .await
        .json();
    let cluster = &clusters["results"][0];
    assert_eq!(
        (&cluster["name"], &cluster["stateName"]),
        (&json!("Cluster0"), &json!("IDLE"))
    );
    assert_eq!(cluster["id"].as_str().unwrap().len(), 24);
    let serverless = get(&world, &theirs, &format!("{group}/serverless")).await;
    assert_eq!(serverless.json()["results"], json!([]));
    let lakes = get(&world, &theirs, &format!("{group}/dataLakes")).await;
    assert_eq!(lakes.json(), json!([]));
    // Another project's are not there.
    let another = format!("/api/atlas/v1.0/groups/{}/clusters", world.app.project_id);
    let refused = get(&world, &theirs, &another).await;
    assert_eq!(
        (refused.status, &refused.json()["errorCode"]),
        (404, &json!("GROUP_NOT_FOUND"))
    );
    // The token of the Admin API says the same, and no other token does.
    let bearer = |token: &str, path: &str| {
        Ask::new("GET", path).header("Authorization", format!("Bearer {token}"))
    };
    let token = login["access_token"].as_str().unwrap();
    assert_eq!(world.send(bearer(token, GROUPS)).await.json(), own);
    let path = format!("{group}/clusters");
    let same = world.send(bearer(token, &path)).await.json();
    assert_eq!(same, clusters);
    let refused = world.send(bearer(token, &another)).await;
    assert_eq!(refused.status, 404);
    for wrong in [login["refresh_token"].as_str().unwrap(), "none"] {
        let refused = world.send(bearer(wrong, &path)).await;
        assert_eq!(refused.status, 401, "{}", refused.text());
    }
    let unknown = get(&world, &theirs, &format!("{group}/users")).await;
    assert_eq!(unknown.status, 404);
    let posted = world.send(Ask::new("POST", GROUPS).body("{}")).await;
    assert_eq!(posted.status, 405);
}

#[tokio::test]
async fn a_challenge_is_answered_with_the_key_for_the_request_in_time() {
    let world = World::new().await;
    let pair = operator(&world).await;
    let (public, private) = (pair.public_key.as_str(), pair.private_key.expose());
    let first = challenge(&world.send(Ask::new("GET", GROUPS)).await);
    // Exactly the names that the CLI's reader takes.
    let names: Vec<&str> = first["Digest ".len()..]
        .split(", ")
        .map(|field| field.split_once('=').unwrap().0)
        .collect();
    assert_eq!(
        names,
        ["realm", "domain", "nonce", "algorithm", "qop", "stale"]
    );
    assert_eq!(
        (told(&first, "algorithm"), told(&first, "qop")),
        ("MD5", "auth")
    );
    assert_eq!(told(&first, "stale"), "false");

    let good = answer(&first, public, private, GROUPS);
    let other_target = answer(&first, public, private, "/api/atlas/v1.0/groups");
    let nonce = told(&first, "nonce");
    let forged = format!("{}{}", "0".repeat(16), &nonce[16..]);
    for (what, bad) in [
        ("key", answer(&first, public, "wrong", GROUPS)),
        ("name", answer(&first, "wrong", private, GROUPS)),
        ("target", other_target),
        (
            "nonce",
            answer(&first.replace(nonce, &forged), public, private, GROUPS),
        ),
        (
            "realm",
            answer(&first.replace("Backstitch", "x"), public, private, GROUPS),
        ),
        ("no nonce", good.replace(nonce, "")),
        ("no response", good.replace("response", "other")),
        ("scheme", good.replace("Digest", "Bearer")),
        ("nothing", "Digest".to_owned()),
        ("a quote", "Digest username=\"".to_owned()),
    ] {
        let ask = Ask::new("GET", GROUPS).header("Authorization", bad);
        let refused = challenge(&world.send(ask).await);
        assert_eq!(told(&refused, "stale"), "false", "{what}");
    }
    let ask = |with: &str| Ask::new("GET", GROUPS).header("Authorization", with);
    assert_eq!(world.send(ask(&good)).await.status, 200);
    world.clock.advance_ms(300_000);
    let late = challenge(&world.send(ask(&good)).await);
    assert_eq!(told(&late, "stale"), "true");
    let again = answer(&late, public, private, GROUPS);
    assert_eq!(world.send(ask(&again)).await.status, 200);
}
