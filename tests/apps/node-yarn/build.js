const fs = require("fs");
const isOdd = require("is-odd");

fs.mkdirSync("built", { recursive: true });
fs.writeFileSync("built/answer.json", JSON.stringify({ odd: isOdd(3) }));
