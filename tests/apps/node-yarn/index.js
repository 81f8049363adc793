const http = require("http");
const ms = require("ms");
const answer = require("./built/answer.json");

http
  .createServer((request, response) => response.end(`hello from yarn ${ms("1s")} ${answer.odd}`))
  .listen(process.env.PORT, "0.0.0.0");
