// Viewer request of protected paths. CloudFront runs one function at a viewer request, so this one redirects too, and first.
"use strict";

const config = require("./config.json");
const { redirect } = require("./redirect.js");
const { secure } = require("./headers.js");
const { keysOf, objection, tokenOf } = require("./jwt.js");

const keys = keysOf(config);

const refused = (request, why) => ({
  status: "401",
  statusDescription: "Unauthorized",
  headers: secure(
    {
      "www-authenticate": [{ key: "WWW-Authenticate", value: why ? `Bearer error="invalid_token", error_description="${why}"` : "Bearer" }],
      "content-type": [{ key: "Content-Type", value: "text/html; charset=utf-8" }],
      "cache-control": [{ key: "Cache-Control", value: "no-store" }],
    },
    request.uri,
    config,
  ),
  body: "<!doctype html><html lang=\"en\"><title>Sign in</title><h1>Please sign in</h1><p>This page needs a valid session.</p></html>",
});

exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  const elsewhere = redirect(request, config);
  if (elsewhere) return elsewhere;
  const token = tokenOf(request, config);
  if (!token) return refused(request, null);
  const why = objection(token, keys, config, Date.now() / 1000);
  // The pool's keys are in the package: one that isn't means that the pool has new keys, and that this function must be published anew.
  if (why === "unknown key") console.log("A token was signed with a key that isn't bundled: publish this function with the pool's present keys.");
  return why ? refused(request, why) : request;
};
