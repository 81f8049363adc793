const express = require("express");

const app = express();
app.get("/", (request, response) => response.send("hello from express"));
const server = app.listen(process.env.PORT, "0.0.0.0");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
