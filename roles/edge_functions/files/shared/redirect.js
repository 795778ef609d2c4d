// Redirects: names that aren't the site's own go to it, with path and query. HTTP to HTTPS is the viewer protocol policy's.
"use strict";

/** The answer that sends a request to the site's own name, or null where it came to that. */
exports.redirect = (request, config) => {
  const host = request.headers.host[0].value.toLowerCase();
  const target = (config.redirects || {})[host];
  if (!target) return null;
  const query = request.querystring ? `?${request.querystring}` : "";
  return {
    status: "301",
    statusDescription: "Moved Permanently",
    headers: {
      location: [{ key: "Location", value: `https://${target}${request.uri}${query}` }],
      "cache-control": [{ key: "Cache-Control", value: "max-age=3600" }],
    },
  };
};
