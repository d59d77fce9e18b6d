// Prints what the Khronos validator says of a glTF file: {"errors": ..., "messages": [...]}.
import { readFile } from 'node:fs/promises';
import validator from 'gltf-validator';

const bytes = new Uint8Array(await readFile(process.argv[2]));
const { issues } = await validator.validateBytes(bytes);
console.log(JSON.stringify({ errors: issues.numErrors, messages: issues.messages }));
