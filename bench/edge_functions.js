// What a viewer waits for the functions at a viewer request: node bench/edge_functions.js [CALLS]. Prints percentiles in milliseconds.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const SOURCE = path.join(__dirname, "..", "roles", "edge_functions", "files");
const CALLS = Number(process.argv[2] || 20000);
const { publicKey, privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const config = {
  redirects: { "www.example.com": "example.com" },
  headers: [{ paths: ["/*"], values: { "X-Frame-Options": "DENY" } }],
  issuer: "https://pool.example.com",
  clients: ["portal"],
  keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one" }],
};
const claims = { iss: config.issuer, aud: "portal", token_use: "id", exp: Math.floor(Date.now() / 1000) + 3600 };
const parts = [{ alg: "RS256", kid: "one" }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
const token = `${parts.join(".")}.${crypto.sign("RSA-SHA256", Buffer.from(parts.join(".")), privateKey).toString("base64url")}`;
const event = () => ({
  Records: [
    {
      cf: {
        config: { eventType: "viewer-request" },
        request: {
          clientIp: "203.0.113.178",
          headers: { host: [{ key: "Host", value: "example.com" }], authorization: [{ key: "Authorization", value: `Bearer ${token}` }] },
          method: "GET",
          querystring: "",
          uri: "/account",
        },
      },
    },
  ],
});

const main = async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-"));
  for (const name of ["redirects", "auth-validation"]) {
    const target = path.join(folder, name);
    fs.cpSync(path.join(SOURCE, name), target, { recursive: true });
    fs.cpSync(path.join(SOURCE, "shared"), target, { recursive: true });
    fs.writeFileSync(path.join(target, "config.json"), JSON.stringify(config));
    const { handler } = require(path.join(target, "index.js"));
    const times = [];
    for (let call = 0; call < CALLS; call += 1) {
      const given = event();
      const begun = process.hrtime.bigint();
      const answer = await handler(given);
      times.push(Number(process.hrtime.bigint() - begun) / 1e6);
      if (answer.status) throw new Error(`${name} refused a good request: ${JSON.stringify(answer)}`);
    }
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(3);
    console.log(`${name}: ${CALLS} calls, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`);
  }
  fs.rmSync(folder, { recursive: true });
};

main();
