// Prints what a C# grammar cannot make sense of in the files that it is given.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Language, Parser } from "web-tree-sitter";

await Parser.init();
const parser = new Parser();
parser.setLanguage(await Language.load(createRequire(import.meta.url).resolve("tree-sitter-c-sharp/tree-sitter-c_sharp.wasm")));
for (const file of process.argv.slice(2)) {
  const faults = [];
  const walk = (node) => {
    if (node.isError || node.isMissing) faults.push(`${file}:${node.startPosition.row + 1}: ${node.type} ${node.text.slice(0, 60)}`);
    node.children.forEach(walk);
  };
  walk(parser.parse(readFileSync(file, "utf8")).rootNode);
  console.log(faults.join("\n"));
}
