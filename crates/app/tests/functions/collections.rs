//! `context.services.get(…).db(…).collection(…)`: every method, what it
//! returns, under rules and without.

use bson::{Bson, bson};

use super::{World, none, shown};

const SYSTEM: &str = r#","run_as_system":true"#;

/// A function around `body`, in which `c` is the collection `d.c`.
fn with_c(body: &str) -> String {
    format!(
        "exports = async (...args) => {{ const s = context.services.get('mongodb-atlas'); const c = s.db('d').collection('c'); {body} }}"
    )
}

/// A world whose system function `f` has this body.
async fn system(body: &str) -> World {
    World::new(&[("f", SYSTEM, &with_c(body))], &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_returns_what_the_service_returns() {
    let world = World::new(&[("f", SYSTEM, &with_c("return await eval(args[0])"))], &[]).await;
    for (expression, wanted) in [
        (
            "c.insertOne({ _id: 1, n: 1, t: 'a' })",
            r#"{"insertedId":{"$numberInt":"1"}}"#,
        ),
        (
            "c.insertMany([{ _id: 2, n: 2, t: 'a' }, { _id: 'x', n: 3, t: 'b' }, { _id: 4, n: 4, t: 'b' }])",
            r#"{"insertedIds":[{"$numberInt":"2"},"x",{"$numberInt":"4"}]}"#,
        ),
        (
            "c.insertOne({}).then(r => r.insertedId instanceof BSON.ObjectId)",
            "true",
        ),
        (
            "c.deleteMany({ n: { $exists: false } })",
            r#"{"deletedCount":{"$numberInt":"1"}}"#,
        ),
        (
            "c.find({}).sort({ n: -1 }).skip(1).limit(2).toArray().then(a => a.map(d => d._id))",
            r#"["x",{"$numberInt":"2"}]"#,
        ),
        (
            "c.find({ n: 1 })",
            r#"[{"_id":{"$numberInt":"1"},"n":{"$numberInt":"1"},"t":"a"}]"#,
        ),
        (
            "({ all: c.find({ n: 1 }, { _id: 0, n: 1 }), deep: [c.aggregate([{ $match: { n: 1 } }, { $project: { _id: 0, t: 1 } }])] })",
            r#"{"all":[{"n":{"$numberInt":"1"}}],"deep":[[{"t":"a"}]]}"#,
        ),
        (
            "c.find({ n: 1 }, { t: 1, _id: 0 }).toArray()",
            r#"[{"t":"a"}]"#,
        ),
        (
            "c.find({}, {}, { sort: { n: 1 }, limit: 1 }).toArray().then(a => a.length)",
            r#"{"$numberInt":"1"}"#,
        ),
        (
            "(async () => { const k = c.find({}).sort({ n: 1 }), seen = []; let d; while ((d = await k.next())) seen.push(d.n); return [...seen, d] })()",
            r#"[{"$numberInt":"1"},{"$numberInt":"2"},{"$numberInt":"3"},{"$numberInt":"4"},{"$undefined":true}]"#,
        ),
        (
            "(async () => { const seen = []; await c.find({}).sort({ n: 1 }).map(d => d.n * 2).forEach(n => { seen.push(n) }); for await (const d of c.find({ n: 4 })) seen.push(d.t); return seen })()",
            r#"[{"$numberInt":"2"},{"$numberInt":"4"},{"$numberInt":"6"},{"$numberInt":"8"},"b"]"#,
        ),
        (
            "(async () => { const k = c.find({}); await k.next(); try { k.sort({}) } catch (e) { return e.message } })()",
            r#""sort must be called before the cursor is read""#,
        ),
        (
            "c.findOne({ n: 2 }, { n: 1 })",
            r#"{"_id":{"$numberInt":"2"},"n":{"$numberInt":"2"}}"#,
        ),
        ("c.findOne({ n: 99 })", "null"),
        (
            "c.updateOne({ n: 1 }, { $set: { t: 'c' } })",
            r#"{"matchedCount":{"$numberInt":"1"},"modifiedCount":{"$numberInt":"1"}}"#,
        ),
        (
            "c.updateMany({ t: 'b' }, { $inc: { n: 0 } })",
            r#"{"matchedCount":{"$numberInt":"2"},"modifiedCount":{"$numberInt":"0"}}"#,
        ),
        (
            "c.updateOne({ n: 9 }, { $set: { t: 'n' } }, { upsert: true }).then(r => [Object.keys(r), r.upsertedId instanceof BSON.ObjectId, r.matchedCount])",
            r#"[["matchedCount","modifiedCount","upsertedId"],true,{"$numberInt":"0"}]"#,
        ),
        (
            "c.updateOne({ n: 4 }, { $set: { list: [1, 5, 9] } }).then(() => c.updateOne({ n: 4 }, { $set: { 'list.$[big]': 0 } }, { arrayFilters: [{ big: { $gt: 4 } }] })).then(() => c.findOne({ n: 4 })).then(d => d.list)",
            r#"[{"$numberInt":"1"},{"$numberInt":"0"},{"$numberInt":"0"}]"#,
        ),
        (
            "c.replaceOne({ _id: 4 }, { n: 4 })",
            r#"{"matchedCount":{"$numberInt":"1"},"modifiedCount":{"$numberInt":"1"}}"#,
        ),
        (
            "c.findOneAndUpdate({ _id: 4 }, { $set: { n: 5 } })",
            r#"{"_id":{"$numberInt":"4"},"n":{"$numberInt":"4"}}"#,
        ),
        (
            "c.findOneAndUpdate({ _id: 4 }, { $set: { n: 6 } }, { returnNewDocument: true, projection: { n: 1, _id: 0 } })",
            r#"{"n":{"$numberInt":"6"}}"#,
        ),
        (
            "c.findOneAndUpdate({ _id: 77 }, { $set: { n: 6 } })",
            "null",
        ),
        (
            "c.findOneAndReplace({ _id: 4 }, { n: 7 }, { returnNewDocument: true })",
            r#"{"_id":{"$numberInt":"4"},"n":{"$numberInt":"7"}}"#,
        ),
        (
            "c.findOneAndReplace({ _id: 4 }, { $set: { n: 1 } }).catch(e => [e.code, e.message])",
            r#"["InvalidParameter","the replace operation document must not contain atomic operators"]"#,
        ),
        (
            "c.findOneAndDelete({}, { sort: { n: -1 }, projection: { n: 1 } }).then(d => d.n)",
            r#"{"$numberInt":"9"}"#,
        ),
        (
            "c.aggregate([{ $match: { n: { $lte: 3 } } }, { $group: { _id: null, sum: { $sum: '$n' } } }]).toArray()",
            r#"[{"_id":null,"sum":{"$numberInt":"6"}}]"#,
        ),
        (
            "c.aggregate([{ $sort: { n: 1 } }]).skip(1).limit(1).next().then(d => d.n)",
            r#"{"$numberInt":"2"}"#,
        ),
        ("c.count({ n: { $lte: 3 } })", r#"{"$numberInt":"3"}"#),
        (
            "c.distinct('n', { n: { $lte: 2 } })",
            r#"[{"$numberInt":"1"},{"$numberInt":"2"}]"#,
        ),
        (
            "c.bulkWrite([{ insertOne: { document: { _id: 'b1' } } }, { insertOne: { _id: 'b2' } }, { updateOne: { filter: { _id: 'b1' }, update: { $set: { n: 1 } } } }, { replaceOne: { filter: { _id: 'b2' }, replacement: { n: 8 } } }, { deleteOne: { filter: { _id: 'b1' } } }, { updateMany: { filter: { _id: 'b2' }, update: { $inc: { n: 1 } } } }, { deleteMany: { filter: { _id: 'none' } } }])",
            "null",
        ),
        (
            "c.findOne({ _id: 'b2' })",
            r#"{"_id":"b2","n":{"$numberInt":"9"}}"#,
        ),
        (
            "c.insertOne({ _id: 1 }).catch(e => [e.code, e.message.startsWith('Duplicate key error'), e instanceof Error])",
            r#"["MongoDBError",true,true]"#,
        ),
        (
            "c.insertMany([]).catch(e => e.message)",
            r#""must provide at least one element""#,
        ),
        (
            "c.find({ $who: 1 }).toArray().catch(e => e.message.split('.')[0])",
            r#""unknown top level operator: $who""#,
        ),
        (
            "c.watch()",
            "FunctionExecutionError: Error: watch inside functions is not supported yet",
        ),
        ("s.db('d').getCollectionNames()", r#"["c"]"#),
        ("s.admin().getDBNames()", r#"["d"]"#),
    ] {
        let value = world.alice("f", bson!([expression])).await;
        assert_eq!(value, wanted, "{expression}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_users_are_under_rules() {
    let world = World::new(
        &[
            ("add", "", &with_c("return (await c.insertOne({ owner: args[0], n: 1 })).insertedId")),
            ("mine", "", &with_c("return c.find({}, { _id: 0 }).toArray()")),
            ("count", "", &with_c("return [await c.count(), (await c.aggregate([{ $match: {} }]).toArray()).length, await c.distinct('owner')]")),
            ("take", "", &with_c("return c.updateMany({}, { $set: { n: 2 } })")),
            ("all", SYSTEM, &with_c("return c.count()")),
            ("other", "", "exports = () => context.services.get('mongodb-atlas').db('d').collection('unknown').find().toArray()"),
            ("names", "", &with_c("return s.db('d').getCollectionNames()")),
            ("where", "", &with_c("return c.findOne({ $where: '1' }).catch(e => e.code)")),
        ],
        &[],
    )
    .await;
    let (alice, bob) = (world.alice.id.clone(), world.bob.id.clone());
    assert!(
        world
            .alice("add", bson!([&alice]))
            .await
            .starts_with(r#"{"$oid":"#)
    );
    assert!(
        world
            .bob("add", bson!([&bob]))
            .await
            .starts_with(r#"{"$oid":"#)
    );
    assert_eq!(
        world.alice("add", bson!([&bob])).await,
        "FunctionExecutionError: Error: insert not permitted"
    );
    assert_eq!(
        world.alice("mine", none()).await,
        format!(r#"[{{"owner":"{alice}","n":{{"$numberInt":"1"}}}}]"#)
    );
    assert_eq!(
        world.bob("count", none()).await,
        format!(r#"[{{"$numberInt":"1"}},{{"$numberInt":"1"}},["{bob}"]]"#)
    );
    assert_eq!(world.alice("all", none()).await, r#"{"$numberInt":"2"}"#);
    assert_eq!(
        world.alice("other", none()).await,
        "FunctionExecutionError: Error: no rule exists for namespace 'd.unknown'"
    );
    assert_eq!(
        world.alice("names", none()).await,
        "FunctionExecutionError: Error: getCollectionNames needs a system function"
    );
    assert_eq!(world.alice("where", none()).await, r#""MongoDBError""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_nobody_awaited_happen() {
    let world = World::new(
        &[
            ("leaves", SYSTEM, &with_c("c.insertOne({ _id: 1 }); c.updateOne({ _id: 1 }, { $set: { a: 1 } }); return 1")),
            ("throws", SYSTEM, "exports = () => { context.services.get('mongodb-atlas').db('d').collection('c').insertOne({ _id: 2 }); throw new Error('after') }"),
            ("fails", SYSTEM, &with_c("c.insertOne({ _id: 1 }); return 1")),
            ("ids", SYSTEM, &with_c("return c.distinct('_id')")),
        ],
        &[],
    )
    .await;
    assert_eq!(world.alice("leaves", none()).await, r#"{"$numberInt":"1"}"#);
    assert_eq!(
        world.alice("throws", none()).await,
        "FunctionExecutionError: Error: after"
    );
    let text = world.alice("fails", none()).await;
    assert!(
        text.starts_with(
            r#"FunctionExecutionError: uncaught promise rejection: {"message":"Duplicate key error"#
        ),
        "{text}"
    );
    assert_eq!(
        world.alice("ids", none()).await,
        r#"[{"$numberInt":"1"},{"$numberInt":"2"}]"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions() {
    let commits = system(
        "const session = s.startSession();
         try {
           return await session.withTransaction(async () => {
             await c.insertOne({ _id: 1 }, { session });
             await c.updateOne({ _id: 1 }, { $set: { a: 1 } }, { session });
             const outside = await c.count();
             return [outside, await c.count({}, { session })];
           });
         } finally { await session.endSession() }",
    )
    .await;
    assert_eq!(
        commits.alice("f", none()).await,
        r#"[{"$numberInt":"0"},{"$numberInt":"1"}]"#
    );
    let aborts = system(
        "const session = s.startSession();
         try {
           await session.withTransaction(async () => {
             await c.insertOne({ _id: 1 }, { session });
             throw new Error('no');
           });
         } catch (e) {
           await session.abortTransaction();
           return [e.message, await c.count()];
         } finally { await session.endSession() }",
    )
    .await;
    assert_eq!(
        aborts.alice("f", none()).await,
        r#"["no",{"$numberInt":"0"}]"#
    );
    // What a call leaves open is gone when it ends.
    let leaves = World::new(
        &[
            ("f", SYSTEM, &with_c("const session = s.startSession(); session.startTransaction(); await c.insertOne({ _id: 1 }, { session }); return 1")),
            ("g", SYSTEM, &with_c("await c.insertOne({ _id: 1 }); return c.count()")),
        ],
        &[],
    )
    .await;
    assert_eq!(leaves.alice("f", none()).await, r#"{"$numberInt":"1"}"#);
    assert_eq!(leaves.alice("g", none()).await, r#"{"$numberInt":"1"}"#);
    let wrong = system("return c.insertOne({}, { session: {} })").await;
    assert_eq!(
        wrong.alice("f", none()).await,
        "FunctionExecutionError: TypeError: the option 'session' is not a session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_users_are_under_rules() {
    let body = "const session = s.startSession();
        try {
          await session.withTransaction(async () => {
            await c.insertOne({ owner: context.user.id }, { session });
            await c.insertOne({ owner: 'somebody' }, { session });
          });
        } catch (e) { return [e.message, await c.count()] }";
    let world = World::new(&[("f", "", &with_c(body))], &[]).await;
    assert_eq!(
        world.alice("f", none()).await,
        r#"["insert not permitted",{"$numberInt":"0"}]"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_records_are_closed() {
    let rule = r#"{"roles":[{"name":"all","apply_when":{},"read":true,"write":true,"insert":true,"delete":true}]}"#;
    let body = "return s.db(args[0]).collection('users').find().toArray()";
    let world = World::new(
        &[
            ("system", SYSTEM, &with_c(body)),
            ("user", "", &with_c(body)),
        ],
        &[("data_sources/mongodb-atlas/default_rule.json", rule)],
    )
    .await;
    let refused = format!("not authorized on {} to execute command", state::DATABASE);
    for name in ["system", "user"] {
        assert_eq!(
            world.alice(name, bson!([state::DATABASE])).await,
            format!("FunctionExecutionError: Error: {refused}")
        );
        assert_eq!(world.alice(name, bson!(["other"])).await, "[]");
    }
    // Nor by an action of the service itself.
    let arguments = bson::rawdoc! { "database": state::DATABASE, "collection": "users" };
    let cx = world.cx(&world.alice);
    let result = cx.data("mongodb-atlas", "find", &arguments).await;
    let result = result.map(|value| Bson::try_from(value).unwrap());
    assert_eq!(shown(result), format!("MongoDBError: {refused}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bson_type_goes_through_the_database() {
    let body = "await c.insertOne({ _id: 1, v: args[0] }); return (await c.findOne({ _id: 1 })).v";
    let world = World::new(&[("f", SYSTEM, &with_c(body))], &[]).await;
    let text = r#"{"int":{"$numberInt":"5"},"long":{"$numberLong":"9007199254740993"},"double":{"$numberDouble":"5.0"},"nan":{"$numberDouble":"NaN"},"zero":{"$numberDouble":"-0.0"},"infinite":{"$numberDouble":"-Infinity"},"decimal":{"$numberDecimal":"1.10"},"id":{"$oid":"5fd45718cface356de9d104d"},"date":{"$date":{"$numberLong":"1600000000000"}},"binary":{"$binary":{"base64":"/wA=","subType":"00"}},"uuid":{"$binary":{"base64":"AQEBAQEBAQEBAQEBAQEBAQ==","subType":"04"}},"regex":{"$regularExpression":{"pattern":"^a","options":"i"}},"stamp":{"$timestamp":{"t":4000000000,"i":1}},"min":{"$minKey":1},"max":{"$maxKey":1},"code":{"$code":"f()"},"null":null,"list":[{"$numberInt":"1"},[]],"inner":{"":true}}"#;
    let value = kit::ejson::parse(text.as_bytes()).unwrap();
    assert_eq!(world.alice("f", bson!([value])).await, text);
}
