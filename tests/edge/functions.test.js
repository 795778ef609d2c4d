// The functions at the edge, on the events that CloudFront documents, as packages: each in a folder with what it is packaged with.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html
"use strict";

const { after, before, describe, test } = require("node:test");
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const SOURCE = path.join(__dirname, "..", "..", "roles", "edge_functions", "files");
const POOL = "https://cognito-idp.af-south-1.amazonaws.com/af-south-1_TEST";
const { publicKey, privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const CONFIG = {
  redirects: { "www.kimmyai.io": "kimmyai.io" },
  headers: [
    { paths: ["/wp-admin/*"], values: { "X-Frame-Options": "SAMEORIGIN" } },
    { paths: ["/*"], values: { "X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'self'" } },
  ],
  issuer: POOL,
  clients: ["portal"],
  cookie: "session",
  keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" }],
};

let folder;
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-"));
});
after(() => fs.rmSync(folder, { recursive: true }));

const packaged = (name) => {
  const target = path.join(folder, name);
  fs.cpSync(path.join(SOURCE, name), target, { recursive: true });
  fs.cpSync(path.join(SOURCE, "shared"), target, { recursive: true });
  fs.writeFileSync(path.join(target, "config.json"), JSON.stringify(CONFIG));
  return require(path.join(target, "index.js")).handler;
};

const requestEvent = (uri, { host = "kimmyai.io", querystring = "", headers = {}, eventType = "viewer-request" } = {}) => ({
  Records: [
    {
      cf: {
        config: { distributionDomainName: "d111111abcdef8.cloudfront.net", distributionId: "EDFDVBD6EXAMPLE", eventType, requestId: "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==" },
        request: { clientIp: "203.0.113.178", headers: { host: [{ key: "Host", value: host }], ...headers }, method: "GET", querystring, uri },
      },
    },
  ],
});

const responseEvent = (uri, status) => {
  const event = requestEvent(uri, { eventType: "origin-response" });
  event.Records[0].cf.response = { status, statusDescription: "", headers: { server: [{ key: "Server", value: "AmazonS3" }] } };
  return event;
};

const token = (claims = {}, header = {}, key = privateKey) => {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: POOL, aud: "portal", token_use: "id", iat: now, exp: now + 3600, ...claims };
  const parts = [{ alg: "RS256", kid: "one", typ: "JWT", ...header }, all].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
  return `${parts.join(".")}.${crypto.sign("RSA-SHA256", Buffer.from(parts.join(".")), key).toString("base64url")}`;
};

const bearer = (value) => ({ authorization: [{ key: "Authorization", value: `Bearer ${value}` }] });

describe("url-rewrite", () => {
  const rewritten = async (uri) => (await packaged("url-rewrite")(requestEvent(uri, { eventType: "origin-request" }))).uri;
  for (const route of ["/", "/products", "/orders/42", "/orders/", "/v1.0-preview/notes"]) {
    test(`serves the application at ${route}`, async () => assert.equal(await rewritten(route), "/index.html"));
  }
  for (const file of ["/assets/main.js", "/assets/gone.4f2a.css", "/favicon.ico", "/robots.txt"]) {
    test(`leaves the file ${file} alone, so that a missing one is a 404`, async () => assert.equal(await rewritten(file), file));
  }
});

describe("redirects", () => {
  test("sends www to the apex with path and query", async () => {
    const answer = await packaged("redirects")(requestEvent("/products", { host: "www.kimmyai.io", querystring: "a=1&b=2" }));
    assert.equal(answer.status, "301");
    assert.equal(answer.headers.location[0].value, "https://kimmyai.io/products?a=1&b=2");
  });
  test("lets the site's own name through", async () => {
    const event = requestEvent("/products");
    assert.equal(await packaged("redirects")(event), event.Records[0].cf.request);
  });
});

describe("security-headers", () => {
  for (const status of ["200", "404", "503"]) {
    test(`are on an answer with ${status}`, async () => {
      const answer = await packaged("security-headers")(responseEvent("/index.html", status));
      assert.equal(answer.status, status);
      assert.equal(answer.headers["content-security-policy"][0].value, "default-src 'self'");
      assert.equal(answer.headers["x-frame-options"][0].value, "DENY");
      assert.equal(answer.headers.server[0].value, "AmazonS3");
    });
  }
  test("are others where the path needs others", async () => {
    const answer = await packaged("security-headers")(responseEvent("/wp-admin/post.php", "200"));
    assert.equal(answer.headers["x-frame-options"][0].value, "SAMEORIGIN");
    assert.equal(answer.headers["content-security-policy"], undefined);
  });
});

describe("auth-validation", () => {
  const asked = (options) => packaged("auth-validation")(requestEvent("/account/orders", options));
  const passes = (answer) => assert.equal(answer.status, undefined);
  const refuses = (answer, why) => {
    assert.equal(answer.status, "401");
    assert.match(answer.headers["www-authenticate"][0].value, why);
    assert.equal(answer.headers["cache-control"][0].value, "no-store");
    assert.equal(answer.headers["content-security-policy"][0].value, "default-src 'self'");
  };
  test("redirects before it asks for a token: one function does both duties", async () => {
    assert.equal((await asked({ host: "www.kimmyai.io" })).headers.location[0].value, "https://kimmyai.io/account/orders");
  });
  test("lets a valid id token through", async () => passes(await asked({ headers: bearer(token()) })));
  test("lets a valid access token through", async () =>
    passes(await asked({ headers: bearer(token({ aud: undefined, client_id: "portal", token_use: "access" })) })));
  test("takes the token from the session's cookie", async () =>
    passes(await asked({ headers: { cookie: [{ key: "Cookie", value: `theme=dark; session=${token()}` }] } })));
  test("refuses who has no token", async () => refuses(await asked({}), /^Bearer$/));
  const bad = {
    expired: token({ exp: Math.floor(Date.now() / 1000) - 120 }),
    "not yet valid": token({ nbf: Math.floor(Date.now() / 1000) + 3600 }),
    issuer: token({ iss: "https://cognito-idp.af-south-1.amazonaws.com/af-south-1_OTHER" }),
    client: token({ aud: "somebody-else" }),
    "unknown key": token({}, { kid: "two" }),
    signature: token({}, {}, crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey),
    algorithm: token({}, { alg: "none" }),
    malformed: "not.a.token",
  };
  for (const [why, value] of Object.entries(bad)) {
    test(`refuses a token for: ${why}`, async () => refuses(await asked({ headers: bearer(value) }), new RegExp(why)));
  }
  test("refuses a token signed with the public key as a shared secret", async () => {
    const parts = [{ alg: "HS256", kid: "one" }, { iss: POOL, aud: "portal", token_use: "id", exp: 9999999999 }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
    const secret = publicKey.export({ type: "spki", format: "pem" });
    const forged = `${parts.join(".")}.${crypto.createHmac("sha256", secret).update(parts.join(".")).digest("base64url")}`;
    refuses(await asked({ headers: bearer(forged) }), /algorithm/);
  });
  test("refuses a token whose claims were changed after it was signed", async () => {
    const [header, , signature] = token().split(".");
    const claims = Buffer.from(JSON.stringify({ iss: POOL, aud: "portal", token_use: "id", exp: 9999999999 })).toString("base64url");
    refuses(await asked({ headers: bearer(`${header}.${claims}.${signature}`) }), /signature/);
  });
});
