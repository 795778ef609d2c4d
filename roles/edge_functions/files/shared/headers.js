// Security headers by path: the first pattern that fits decides.
"use strict";

/** Whether a path fits a pattern: the path itself, or with /* at its end everything below it. */
const fits = (path, pattern) =>
  pattern.endsWith("/*") ? path === pattern.slice(0, -2) || path.startsWith(pattern.slice(0, -1)) : path === pattern;

/** Put the headers for a path into an answer, whatever the origin had there. */
const secure = (headers, path, config) => {
  const rule = (config.headers || []).find((one) => one.paths.some((pattern) => fits(path, pattern)));
  for (const [name, value] of Object.entries(rule ? rule.values : {})) {
    headers[name.toLowerCase()] = [{ key: name, value }];
  }
  return headers;
};

module.exports = { fits, secure };
