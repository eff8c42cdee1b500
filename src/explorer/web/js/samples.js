// Renders sample code from a template (samples/*.txt) and the filled form. It runs unchanged in a browser and in Node.js.
//
//   {{name}}            a value that is an identifier; any other text is an error, so that a template cannot forget to quote
//   {{name|filter}}     a value through one or more filters: those of WORDS change its spelling, those of LITERALS quote it
//   {{#each list}}…{{/each}}          the block once for each item; the item's members hide those of the form
//   {{#if test}}…{{else}}…{{/if}}     a test is `name`, `name=value`, `not name`, or several of these joined by ` or `
//
// A tag of a block that stands alone on its line leaves no empty line.

const upperFirst = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const lowerFirst = (text) => text.charAt(0).toLowerCase() + text.slice(1);

const WORDS = {
  camel: lowerFirst,
  pascal: upperFirst,
  snake: (text) => text.replace(/(?!^)(?=[A-Z])/g, '_').toLowerCase(),
  compact: (text) => text.replaceAll('-', ''),
};

const code = (character) => character.charCodeAt(0);
const hex2 = (character) => '\\x' + code(character).toString(16).padStart(2, '0');
const hex4 = (character) => '\\u' + code(character).toString(16).padStart(4, '0');
const octal = (character) => '\\' + code(character).toString(8).padStart(3, '0');
const SHORT = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Makes a filter that returns a literal in double quotes; `special` are the characters that a backslash escapes. */
function literal(special, control, controls = /[\x00-\x1f\x7f]/g) {
  return (text) => `"${text.replace(special, '\\$&').replace(controls, (found) => SHORT[found] ?? control(found))}"`;
}

// Each filter returns a complete literal of its language, which stands for exactly the given text.
const LITERALS = {
  python: literal(/[\\"]/g, hex2),
  go: literal(/[\\"]/g, hex2),
  javascript: literal(/[\\"]/g, hex2),
  ruby: literal(/[\\"#]/g, hex2), // "#{…}" would be evaluated
  php: literal(/[\\"$]/g, hex2), // "$name" would be replaced
  java: literal(/[\\"]/g, octal), // Java replaces a \u escape before it looks for the end of the literal
  csharp: literal(/[\\"]/g, hex4, /[\x00-\x1f\x7f\x85\u2028\u2029]/g), // C# counts the last three as line ends
  // Terraform has no escapes for other control characters; "${" and "%{" begin a template there.
  hcl: (text) => literal(/[\\"]/g, hex4)(text).replace(/[$%](?=\{)/g, '$&$&'),
  json: (text) => JSON.stringify(text),
  shell: (text) => (/^[\w.,:\/=@%+-]+$/.test(text) ? text : `'${text.replaceAll('\0', '').replaceAll("'", "'\\''")}'`),
};

const FILTERS = { ...WORDS, ...LITERALS };
const TAG = /\{\{([^{}]+)\}\}/;
const LONE_TAG = /^[ \t]*(\{\{(?:#(?:if|each) [^{}]+|else|\/if|\/each)\}\})[ \t]*\r?\n/gm;

/** Returns the nodes up to the tag that ends the block. Takes what it reads from the list of texts and tags. */
function parse(parts, opener) {
  const block = { nodes: [], otherwise: [] };
  let nodes = block.nodes;
  while (parts.length > 0) {
    nodes.push(parts.shift());
    if (parts.length === 0) break;
    const tag = parts.shift();
    const [, kind, rest] = tag.match(/^#(if|each) (.+)$/) ?? [];
    if (kind) nodes.push({ kind, rest, ...parse(parts, kind) });
    else if (tag === 'else' && opener === 'if') nodes = block.otherwise;
    else if (opener && tag === `/${opener}`) return block;
    else if (/^(else$|[#/])/.test(tag)) throw new SyntaxError(`unexpected {{${tag}}}`);
    else nodes.push({ kind: 'value', rest: tag });
  }
  if (opener) throw new SyntaxError(`{{#${opener}}} has no {{/${opener}}}`);
  return block;
}

function lookUp(scope, name) {
  if (!Object.hasOwn(scope, name)) throw new ReferenceError(`the form has no ${name}`);
  return scope[name];
}

function holds(scope, test) {
  if (test.startsWith('not ')) return !holds(scope, test.slice(4));
  const [name, wanted] = test.split('=');
  const value = lookUp(scope, name);
  if (wanted !== undefined) return String(value) === wanted;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function shown(scope, tag) {
  const [name, ...filters] = tag.split('|');
  const value = filters.reduce((text, filter) => lookUp(FILTERS, filter)(text), String(lookUp(scope, name) ?? ''));
  if (!Object.hasOwn(LITERALS, filters.at(-1) ?? '') && !/^[\w.-]*$/.test(value)) {
    throw new TypeError(`${name} is not an identifier: ${JSON.stringify(value)}`);
  }
  return value;
}

function evaluate(nodes, scope) {
  return nodes
    .map((node) => {
      if (typeof node === 'string') return node;
      if (node.kind === 'value') return shown(scope, node.rest);
      if (node.kind === 'each') {
        const items = lookUp(scope, node.rest);
        return items.map((item, at) => evaluate(node.nodes, { ...scope, ...item, last: at === items.length - 1 })).join('');
      }
      const holding = node.rest.split(' or ').some((test) => holds(scope, test));
      return evaluate(holding ? node.nodes : node.otherwise, scope);
    })
    .join('');
}

/** Adds what templates need and the form does not have as such. */
function described(filled) {
  const url = new URL(filled.endpoint);
  const parameters = filled.parameters.map((each) => ({ ...each, grpcValue: each.grpcValue || each.value }));
  const message = parameters.map(({ name, value, type, grpcValue }) => [
    name,
    type === 'boolean' ? value === 'true' : grpcValue,
  ]);
  return {
    accountId: '',
    ...filled,
    authority: url.host,
    grpc: filled.grpc || `${url.hostname}:50051`,
    grpcMessage: JSON.stringify(Object.fromEntries(message)),
    parameters,
  };
}

/**
 * Returns the sample code for the filled form: `{product, service, action, version, parameters: [{name, value, type,
 * grpcValue}], endpoint, https, accountId, grpc, xml, v3}`. It has no credentials: a sample reads them from its environment.
 */
export function render(template, filled) {
  const parts = template.replace(LONE_TAG, '$1').split(TAG);
  return evaluate(parse(parts).nodes, described(filled));
}
