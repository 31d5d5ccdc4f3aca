// The data sources of a running Backstitch, such as `backstitch dev`: its own
// engine, with rules where a user is named.

/**
 * A data source of a server. `publicKey` and `privateKey` are an
 * administrator's; without `userId` the system reads and writes.
 */
export function server({ url, projectId, appId, publicKey, privateKey, userId, name = "mongodb-atlas" }) {
  const api = `${url}/api/admin/v3.0`;
  let token;
  const post = async (path, body, headers = {}) => {
    const answer = await fetch(`${api}${path}`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
    return { status: answer.status, text: await answer.text() };
  };
  const logIn = async () => {
    const { status, text } = await post("/auth/providers/mongodb-cloud/login", JSON.stringify({ username: publicKey, apiKey: privateKey }));
    if (status !== 200) throw new Error(`the server does not let the administrator in: ${text}`);
    token = JSON.parse(text).access_token;
  };
  return {
    type: "mongodb-atlas",
    connect: ({ EJSON }) => ({
      async run(action, { session, ...args }) {
        if (session !== undefined) throw new Error("transactions are not in server(): push the function and run it there");
        if (token === undefined) await logIn();
        const who = userId === undefined ? "run_as_system=true" : `user_id=${encodeURIComponent(userId)}`;
        const body = EJSON.stringify({ name: action, service: name, arguments: [args] });
        const ask = () => post(`/groups/${projectId}/apps/${appId}/debug/execute_function?${who}`, body, { authorization: `Bearer ${token}` });
        let { status, text } = await ask();
        if (status === 401) {
          await logIn();
          ({ status, text } = await ask());
        }
        const answer = EJSON.parse(text);
        if (status !== 200 || answer.error) {
          throw Object.assign(new Error(answer.error ?? text), { code: answer.error_code });
        }
        return answer.result;
      },
      end: async () => {},
      names: () => {
        throw new Error("getDBNames and getCollectionNames are not in server()");
      },
    }),
  };
}
