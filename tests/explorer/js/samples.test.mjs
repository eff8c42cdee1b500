// Every template renders every action, and no value of a form can leave the literal it is written into.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { render } from '../../../src/explorer/web/js/samples.js';
import { actions, filled } from './catalog.mjs';

const folder = new URL('../../../src/explorer/web/samples/', import.meta.url);
const samples = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8'));
const template = (sample) => readFileSync(new URL(sample.file, folder), 'utf8');
const ACTIONS = actions();
const supports = (sample, entry) => !sample.actions || sample.actions.includes(entry.action);
const FORMS = [true, false].flatMap((v3) => [true, false].map((xml) => ({ v3, xml })));

// Everything that ends a literal, begins an expression, or escapes in one of the languages.
const HOSTILE = [
  `it's "quoted" \\ and \\" and \\' and \\\\`,
  '$HOME ${HOME} $(id) `id` #{id} %{id} {{id}} {$x} ${jndi:x} !! %PATH%',
  'one\ntwo\r\nthree\ttab',
  '\\u0022 \\x22 \\042 \\n \\',
  '*/ // -- # <!-- </script> ?> <?php',
  "'''\"\"\"`",
  '通过 naïve \u2028\u2029\u0085 end',
  '',
];

test('the proto files have the actions that the samples are for', () => {
  assert.deepEqual(new Set(ACTIONS.map(({ product }) => product)), new Set(['cdn', 'dcdn']));
  assert.equal(ACTIONS.filter(({ newest }) => newest).length, 9);
  assert.equal(ACTIONS.filter(({ version }) => version === '2014-11-11').length, 3);
});

for (const sample of samples) {
  test(`${sample.id} renders every action`, () => {
    for (const entry of ACTIONS.filter((each) => supports(sample, each))) {
      for (const more of FORMS) {
        for (const place of [{}, { endpoint: 'https://cdn.example.com/', https: true, grpc: null, accountId: null }]) {
          const text = render(template(sample), filled(entry, { ...more, ...place }));
          assert.match(text, /\n$/);
          assert.doesNotMatch(text, /\{\{|\}\}\}|undefined|\[object|\n\n\n\n/);
          if (sample.id !== 'terraform') assert.ok(text.includes(entry.action) || text.includes(snake(entry.action)));
          assert.ok(!text.includes('testid'), 'the key id is not part of a sample');
          assert.ok(!text.includes('testsecret'));
        }
      }
    }
  });

  test(`${sample.id} reads credentials only from the environment`, () => {
    const text = template(sample);
    if (sample.id.includes('grpc')) assert.match(text, /TOKEN/);
    else for (const name of ['ALIBABA_CLOUD_ACCESS_KEY_ID', 'ALIBABA_CLOUD_ACCESS_KEY_SECRET']) assert.ok(text.includes(name));
    assert.doesNotMatch(text, /\{\{(keyId|secret|token)/);
  });
}

const snake = (name) => name.replace(/(?!^)(?=[A-Z])/g, '_').toLowerCase();

test('the versions in the samples are those that the client suite tests', () => {
  const read = (path) => readFileSync(new URL(`../../clients/${path}`, import.meta.url), 'utf8');
  const pins = read('python/requirements.in');
  for (const [, pin] of template(samples.find(({ id }) => id === 'python')).matchAll(/pip install (\S+)/g)) {
    assert.ok(pins.includes(pin), pin);
  }
  const { dependencies } = JSON.parse(read('node/package.json'));
  for (const [, name, version] of template(samples.find(({ id }) => id === 'typescript')).matchAll(/ (@\S+)@(\S+)/g)) {
    assert.equal(dependencies[name], version, name);
  }
});

test('the index names each template once, and all templates together are small', () => {
  assert.equal(new Set(samples.map(({ id }) => id)).size, samples.length);
  assert.ok(samples.reduce((sum, sample) => sum + template(sample).length, 0) < 30_000);
});

// One program per language that prints its literal; the language itself shows whether the literal is the text.
const PRINTERS = {
  javascript: ['node', 'js', 'process.stdout.write({{text|javascript}});'],
  python: ['python3', 'py', 'import sys\nsys.stdout.buffer.write({{text|python}}.encode())\n'],
  shell: ['bash', 'sh', "printf '%s' {{text|shell}}"],
  ruby: ['ruby', 'rb', 'print({{text|ruby}})'],
  php: ['php', 'php', '<?php echo {{text|php}};'],
  go: ['go run', 'go', 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString({{text|go}}) }\n'],
  java: [
    'java -Dfile.encoding=UTF-8',
    'java',
    'class T { public static void main(String[] a) throws Exception { System.out.write({{text|java}}.getBytes("UTF-8")); System.out.flush(); } }',
  ],
};

for (const [language, [command, extension, program]] of Object.entries(PRINTERS)) {
  const [tool, ...options] = command.split(' ');
  const missing = spawnSync('bash', ['-c', `command -v ${tool}`]).status !== 0;
  test(`a literal of ${language} is exactly the value`, { skip: missing && `no ${tool}` }, (context) => {
    const scratch = mkdtempSync(join(tmpdir(), 'literals-'));
    context.after(() => rmSync(scratch, { recursive: true }));
    // All values at once, so that slow compilers run once: the texts are joined by a character that none of them has.
    const text = HOSTILE.join('\u0001');
    const file = join(scratch, `T.${extension}`);
    writeFileSync(file, render(program, { endpoint: 'http://h', parameters: [], text }));
    const { stdout, stderr, error } = spawnSync(tool, [...options, file], { encoding: 'utf8', timeout: 120_000 });
    assert.equal(error, undefined);
    assert.equal(stdout, text, stderr);
  });
}

test('a literal of C# and of Terraform escapes what ends or interprets it', () => {
  const shown = (filter, text) => render(`{{text|${filter}}}`, { endpoint: 'http://h', parameters: [], text });
  assert.equal(shown('csharp', 'a"\\\n\u0007b\u0085\u2028'), '"a\\"\\\\\\n\\u0007b\\u0085\\u2028"');
  assert.equal(shown('hcl', 'a"\\\n${x} %{y} $z'), '"a\\"\\\\\\n$${x} %%{y} $z"');
  assert.equal(shown('json', 'a"\n'), '"a\\"\\n"');
});

test('every template writes a hostile value as a literal or as gRPC JSON, and nowhere else', () => {
  for (const sample of samples) {
    for (const entry of ACTIONS.filter((each) => supports(sample, each) && each.parameters.length > 0)) {
      const marker = 'MARK"\'\\\n$(x)';
      const text = render(template(sample), filled(entry, { accountId: marker }, marker));
      assert.doesNotMatch(text, /MARK"'\\\n/, `${sample.id} writes the value as it is`);
    }
  }
});

test('Python and the shell accept every sample with hostile values', () => {
  const entry = ACTIONS.find(({ action }) => action === 'OpenDcdnService');
  for (const value of HOSTILE) {
    for (const sample of samples.filter(({ language }) => ['python', 'shell'].includes(language))) {
      const text = render(template(sample), filled(entry, { accountId: value }, value));
      const check = sample.language === 'python' ? ['python3', '-c', 'import ast,sys; ast.parse(sys.stdin.read())'] : ['bash', '-n'];
      const { status, stderr } = spawnSync(check[0], check.slice(1), { input: text, encoding: 'utf8' });
      assert.equal(status, 0, `${sample.id}: ${stderr}\n${text}`);
    }
  }
});

test('a value that is not an identifier cannot be written without a filter', () => {
  const form = { endpoint: 'http://h', parameters: [], text: 'x; rm -rf /' };
  assert.throws(() => render('{{text}}', form), /is not an identifier/);
  assert.throws(() => render('{{text|camel}}', form), /is not an identifier/);
  assert.throws(() => render('{{text|pyhton}}', form), /no pyhton/);
  assert.throws(() => render('{{constructor}}', form), /no constructor/);
});

test('a template with a block that does not end is refused', () => {
  const form = { endpoint: 'http://h', parameters: [] };
  for (const broken of ['{{#if endpoint}}', '{{#each parameters}}{{/if}}', '{{/each}}', '{{else}}', '{{#each parameters}}{{else}}{{/each}}']) {
    assert.throws(() => render(broken, form), SyntaxError, broken);
  }
});

test('blocks, tests and filters work as the module describes', () => {
  const form = {
    endpoint: 'http://h:1',
    xml: false,
    version: '2',
    parameters: [
      { name: 'AbcDef', value: '1' },
      { name: 'G', value: '2' },
    ],
  };
  const text = '  {{#each parameters}}\n{{name|snake}}={{value}}{{#if not last}},{{/if}}\n  {{/each}}\n';
  assert.equal(render(text, form), 'abc_def=1,\ng=2\n');
  assert.equal(render('{{#if xml or version=2}}yes{{else}}no{{/if}}', form), 'yes');
  assert.equal(render('{{#if xml or version=3}}yes{{else}}no{{/if}}', form), 'no');
  assert.equal(render('{{#if parameters}}some{{/if}}', { ...form, parameters: [] }), '');
  assert.equal(render('{{authority|shell}} {{grpc|shell}}', form), 'h:1 h:50051');
});
