// Converts replies between JSON and XML. A list is an array in JSON and a repeated element in XML, so XML alone does not say
// whether one element is a list: the reply description of actions.json does. Runs in the page and in Node.

const HEAD = "<?xml version='1.0' encoding='UTF-8'?>";
const ERROR = { name: 'Error', fields: [] };

const escapeXml = (value) => value.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

function writeElement(name, value, indent) {
  if (value !== null && typeof value === 'object') {
    const children = writeMembers(value, `${indent}  `);
    return children ? `${indent}<${name}>\n${children}${indent}</${name}>\n` : `${indent}<${name}></${name}>\n`;
  }
  return `${indent}<${name}>${escapeXml(String(value))}</${name}>\n`;
}

function writeMembers(members, indent) {
  const each = ([name, value]) => [value].flat().map((item) => writeElement(name, item, indent)).join('');
  return Object.entries(members).map(each).join('');
}

/** Returns indented XML of an object. */
export const toXml = (root, members) => `${HEAD}\n${writeElement(root, members, '')}`.trimEnd();

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescapeXml(raw) {
  return raw.replace(/&(?:#(\d+)|#x([\da-fA-F]+)|(\w+));/g, (whole, decimal, hexadecimal, name) => {
    if (name) return ENTITIES[name] ?? whole;
    return String.fromCodePoint(decimal ? Number(decimal) : parseInt(hexadecimal, 16));
  });
}

/**
 * Reads XML into `{name, text, children}`. It knows what replies have: a declaration, elements, text and entities. The
 * browser's own parser is not used because Node does not have it.
 */
export function readXml(xml) {
  const top = { name: '', text: '', children: [] };
  const open = [top];
  for (const [, closing, name, empty, raw] of xml.matchAll(/<(\/?)([\w.-]+)[^>]*?(\/?)>|<[?!][^>]*>|([^<]+)/g)) {
    const inner = open.at(-1);
    if (raw !== undefined) inner.text += unescapeXml(raw);
    else if (closing) {
      if (inner.name !== name) throw new Error(`</${name}> closes <${inner.name}>`);
      open.pop();
    } else if (name) {
      const child = { name, text: '', children: [] };
      inner.children.push(child);
      if (!empty) open.push(child);
    }
  }
  if (open.length !== 1 || top.children.length !== 1) throw new Error('not one element');
  return top.children[0];
}

function readScalar(node, type) {
  if (type === 'boolean') return node.text === 'true';
  if (type === 'integer' && Number.isSafeInteger(Number(node.text))) return Number(node.text);
  return node.text;
}

function readValue(node, field) {
  return field?.fields || node.children.length ? readObject(node, field?.fields ?? []) : readScalar(node, field?.type);
}

function readObject(node, fields) {
  const members = {};
  for (const child of node.children) {
    const field = fields.find((known) => known.name === child.name);
    const value = readValue(child, field);
    if (field?.list || child.name in members) members[child.name] = [members[child.name] ?? [], value].flat();
    else members[child.name] = value;
  }
  for (const field of fields) {
    // A list without items has no element in XML.
    if (field.list && !(field.name in members)) members[field.name] = [];
  }
  return members;
}

/** Returns the object that the XML of a reply stands for. `description` is the `reply` of the action. */
export function fromXml(xml, description) {
  const root = readXml(xml);
  return readObject(root, root.name === ERROR.name ? ERROR.fields : (description?.fields ?? []));
}

/**
 * Returns a reply as `{json, xml, members, error}`: both texts indented, the object, and whether it is an error. A text that
 * is neither JSON nor XML is shown as it is.
 */
export function bothFormats(body, description) {
  try {
    const isXml = body.trimStart().startsWith('<');
    const members = isXml ? fromXml(body, description) : JSON.parse(body);
    const error = typeof members.Code === 'string';
    const root = error ? ERROR.name : (description?.name ?? 'Response');
    return { json: JSON.stringify(members, null, 2), xml: toXml(root, members), members, error };
  } catch {
    return { json: body, xml: body, members: {}, error: true };
  }
}
