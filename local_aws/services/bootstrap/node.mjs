// Copyright: BBWS
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// The inside of a Node execution environment, the counterpart of python.py: async handlers and callback handlers.
// https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html, nodejs-context.html, nodejs-exceptions.html
import { existsSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const environment = process.env;
const channel = new net.Socket({ fd: Number(process.argv[2]), readable: true, writable: true });
const say = (message) => channel.write(JSON.stringify({ ...message, memory: Math.floor(process.memoryUsage().rss / 2 ** 20) }) + "\n");
const problem = (error, errorType) => ({
  errorType: errorType ?? error?.name ?? "Error",
  errorMessage: error?.message ?? String(error),
  trace: (error?.stack ?? "").split("\n"),
});

async function load(name) {
  const dot = name.lastIndexOf(".");
  const [module, attribute] = [name.slice(0, dot), name.slice(dot + 1)];
  const file = [".js", ".mjs", ".cjs"].map((ending) => path.resolve(module + ending)).find(existsSync);
  if (!file) throw Object.assign(new Error(`Error: Cannot find module '${module}'`), { name: "Runtime.ImportModuleError" });
  const loaded = await import(pathToFileURL(file));
  const handler = loaded[attribute] ?? loaded.default?.[attribute];
  if (!handler) throw Object.assign(new Error(`${name} is undefined or not exported`), { name: "Runtime.HandlerNotFound" });
  return handler;
}

function context(request, callback) {
  return {
    awsRequestId: request.request_id,
    invokedFunctionArn: request.arn,
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, Math.round(request.deadline * 1000 - Date.now())),
    succeed: (result) => callback(null, result),
    fail: (error) => callback(error ?? new Error("null")),
    done: callback,
  };
}

async function answer(handler, request) {
  try {
    const result = await new Promise((resolve, reject) => {
      // An error handed to the callback is one the handler dealt with; a thrown one it did not.
      const callback = (error, value) => (error ? reject(Object.assign(Object(error), { handled: true })) : resolve(value));
      const returned = handler(JSON.parse(request.event), context(request, callback), callback);
      if (typeof returned?.then === "function") returned.then(resolve, reject);
    });
    return { result: JSON.stringify(result) ?? "null" };
  } catch (error) {
    console.error(error);
    return { error: problem(error), handled: Boolean(error?.handled) };
  }
}

let handler;
try {
  handler = await load(environment._HANDLER);
  say({ ready: true });
} catch (error) {
  say({ error: problem(error) });
  channel.end();
}
if (handler) for await (const line of readline.createInterface({ input: channel })) say(await answer(handler, JSON.parse(line)));
process.exit(0);
