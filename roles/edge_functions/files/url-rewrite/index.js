// Origin request: the application's own routes are served its page; a path with an extension is a file, and a missing one a real 404.
"use strict";

const EXTENSION = /\.[A-Za-z0-9]{1,8}$/;

exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  const last = request.uri.slice(request.uri.lastIndexOf("/") + 1);
  if (!EXTENSION.test(last)) request.uri = "/index.html";
  return request;
};
