// Converts replies between JSON and XML. The texts are those of the service.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bothFormats, fromXml, readXml, toXml } from '../../../src/explorer/web/js/convert.js';

const HEAD = "<?xml version='1.0' encoding='UTF-8'?>";
const LOCKS = {
  name: 'OperationLocks',
  type: 'object',
  fields: [{ name: 'LockReason', type: 'object', list: true, fields: [{ name: 'LockReason', type: 'string' }] }],
};
const DESCRIBED = {
  name: 'DescribeCdnServiceResponse',
  fields: [{ name: 'RequestId', type: 'string' }, { name: 'ChangingChargeType', type: 'enum' }, LOCKS],
};
const STATUS = {
  name: 'DescribeUserCdnStatusResponse',
  fields: [{ name: 'Enabled', type: 'boolean' }, { name: 'InDebt', type: 'boolean' }, { name: 'Count', type: 'integer' }],
};

const inDescribed = (members) => `${HEAD}<DescribeCdnServiceResponse>${members}</DescribeCdnServiceResponse>`;
const squeeze = (xml) => xml.replace(/>\s+</g, '><').trim();

// JSON and XML of the same reply.
const PAIRS = [
  [
    'a list of one item',
    { RequestId: 'X', ChangingChargeType: 'PayByTraffic', OperationLocks: { LockReason: [{ LockReason: 'financial' }] } },
    inDescribed(
      '<RequestId>X</RequestId><ChangingChargeType>PayByTraffic</ChangingChargeType>' +
        '<OperationLocks><LockReason><LockReason>financial</LockReason></LockReason></OperationLocks>',
    ),
  ],
  [
    'two items',
    { RequestId: 'X', OperationLocks: { LockReason: [{ LockReason: 'financial' }, { LockReason: 'security' }] } },
    inDescribed(
      '<RequestId>X</RequestId><OperationLocks><LockReason><LockReason>financial</LockReason></LockReason>' +
        '<LockReason><LockReason>security</LockReason></LockReason></OperationLocks>',
    ),
  ],
  [
    'an empty list and an empty text',
    { ChangingChargeType: '', OperationLocks: { LockReason: [] } },
    inDescribed('<ChangingChargeType></ChangingChargeType><OperationLocks></OperationLocks>'),
  ],
];

for (const [name, members, xml] of PAIRS) {
  test(`${name} becomes the same in both directions`, () => {
    assert.equal(squeeze(toXml(DESCRIBED.name, members)), xml);
    assert.deepEqual(fromXml(xml, DESCRIBED), members);
  });
}

test('booleans and numbers get their type back', () => {
  const members = { Enabled: true, InDebt: false, Count: 12 };
  assert.deepEqual(fromXml(toXml(STATUS.name, members), STATUS), members);
  const large = '<R><Count>9223372036854775807</Count></R>';
  assert.equal(fromXml(large, STATUS).Count, '9223372036854775807');
});

test('marks are escaped and read again', () => {
  const members = { RequestId: 'a & b < c > "d"' };
  const xml = toXml(DESCRIBED.name, members);
  assert.match(xml, /a &amp; b &lt; c &gt; "d"/);
  assert.equal(fromXml(xml, { ...DESCRIBED, fields: [] }).RequestId, members.RequestId);
  assert.equal(readXml('<R>&#20013;&#x4e2d;&apos;</R>').text, '中中\'');
});

test('an error is an error in both formats, and all its members are texts', () => {
  const members = { RequestId: 'X', HostId: 'localhost', Code: 'InsufficientBalance', Message: 'true' };
  const fromJson = bothFormats(JSON.stringify(members), DESCRIBED);
  assert.equal(fromJson.error, true);
  assert.match(fromJson.xml, /<Error>\n {2}<RequestId>X<\/RequestId>/);
  const again = bothFormats(fromJson.xml, DESCRIBED);
  assert.deepEqual(again.members, members);
  assert.equal(again.json, JSON.stringify(members, null, 2));
});

test('a reply without a description is still shown', () => {
  assert.deepEqual(fromXml('<R><A>1</A><B><C>x</C><C>y</C></B></R>'), { A: '1', B: { C: ['x', 'y'] } });
});

test('a text that is not a reply is shown as it is', () => {
  for (const text of ['', 'Bad Gateway', '<html><p>unclosed</html>', '{']) {
    assert.deepEqual(bothFormats(text, DESCRIBED), { json: text, xml: text, members: {}, error: true });
  }
});
