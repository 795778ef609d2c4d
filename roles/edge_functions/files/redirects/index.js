// Viewer request of public paths.
"use strict";

const config = require("./config.json");
const { redirect } = require("./redirect.js");

exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  return redirect(request, config) || request;
};
