// Origin response: security headers on what the origin answers, errors too. (At viewer response they would be missing on errors:
// CloudFront runs no viewer-response function when the origin answers 400 or more.)
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-generating-http-responses.html
"use strict";

const config = require("./config.json");
const { secure } = require("./headers.js");

exports.handler = async (event) => {
  const { request, response } = event.Records[0].cf;
  secure(response.headers, request.uri, config);
  return response;
};
