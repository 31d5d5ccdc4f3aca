}

const act = (frame, service, action, sent) =>
  natives.call(frame, "service", { service, action, arguments: sent ?? {} });
const actNow = (frame, service, action, sent) =>
  natives.sync(frame, "service", { service, action, arguments: sent });
// svc.s3("us-east-1").PutObject({…}) is the action s3:PutObject. To sign a URL
// takes no time, so that its result is there at once.
const awsService = (frame, name, service, region) => new Proxy({}, {
  get: (_, operation) => (typeof operation === "symbol" || operation === "then" || operation === "toJSON"
    ? undefined
    : (sent) => (operation === "PresignURL" ? actNow : act)(frame, name, `${service}:${operation}`, { ...sent, region })),
});

function makeService(frame, name, type) {
  if (type !== "mongodb-atlas" && type !== "mongodb" && type !== "datalake") {
    return new Proxy({}, {
      get: (_, action) => (typeof action === "symbol" || action === "then" || action === "toJSON"
        ? undefined
        : type === "aws" ? (region) => awsService(frame, name, action, region)
        : (sent) => act(frame, name, action, sent)),
    });
  }
  const names = (database) => natives.sync(frame, "names", { service: name, database });
  const getDBNames = () => names();
  return {
    db: (database) => ({
      collection: (collection) => makeCollection(frame, name, database, collection),
      getCollectionNames: () => names(database),
      aggregate: aggregated(runner(frame, name, database)),
    }),
    startSession: () => new Session(frame, name),
    admin: () => ({ getDBNames }),
    getDBNames,
  };
}

const http = {};
for (const verb of ["get", "post", "put", "patch", "delete", "head"]) {
  // There are no rules about it, so that it is the same for every frame.
  http[verb] = (sent) => natives.call(0, "http", { action: verb, arguments: sent ?? {} });
}

