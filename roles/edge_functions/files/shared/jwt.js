// Tokens of a Cognito user pool, checked with the pool's keys from the package: no network call for any request.
// https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
"use strict";

const crypto = require("node:crypto");

const LEEWAY = 60; // seconds that clocks may differ

/** The pool's public keys by their id; made once, when the function starts. */
exports.keysOf = (config) =>
  new Map((config.keys || []).map((jwk) => [jwk.kid, crypto.createPublicKey({ key: jwk, format: "jwk" })]));

const decoded = (part) => JSON.parse(Buffer.from(part, "base64url").toString("utf8"));

/** Null for a token that is valid now (seconds since 1970), else why it isn't. */
exports.objection = (token, keys, config, now) => {
  const parts = token.split(".");
  let header, claims;
  try {
    [header, claims] = [decoded(parts[0]), decoded(parts[1])];
  } catch {
    return "malformed";
  }
  if (parts.length !== 3 || !header || !claims || typeof claims !== "object") return "malformed";
  if (header.alg !== "RS256") return "algorithm";
  const key = keys.get(header.kid);
  if (!key) return "unknown key";
  const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
  if (!crypto.verify("RSA-SHA256", signed, key, Buffer.from(parts[2], "base64url"))) return "signature";
  if (claims.iss !== config.issuer) return "issuer";
  if (typeof claims.exp !== "number" || claims.exp <= now - LEEWAY) return "expired";
  if (typeof claims.nbf === "number" && claims.nbf > now + LEEWAY) return "not yet valid";
  // An id token names its client as aud, an access token as client_id.
  const client = claims.token_use === "id" ? claims.aud : claims.token_use === "access" ? claims.client_id : undefined;
  return (config.clients || []).includes(client) ? null : "client";
};

/** The token of a request: Authorization: Bearer, else the cookie that config names. */
exports.tokenOf = (request, config) => {
  const bearer = /^Bearer +(\S+)$/i.exec((request.headers.authorization || [{ value: "" }])[0].value);
  if (bearer) return bearer[1];
  for (const { value } of request.headers.cookie || []) {
    for (const pair of value.split(";")) {
      const [name, ...rest] = pair.trim().split("=");
      if (name === config.cookie) return rest.join("=");
    }
  }
  return null;
};
