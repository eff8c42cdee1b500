'use strict';
// Adapter for the current typed SDKs. The two packages have different runtimes, openapi-core (cdn) and openapi-client
// (dcdn). Both are in use, so both are tested, each with the actions of its product.

const core = require('@alicloud/openapi-core');
const legacy = require('@alicloud/openapi-client');
const cdn = require('@alicloud/cdn20180510');
const dcdn = require('@alicloud/dcdn20180115');
const serve = require('./lines');

const products = {
  cdn: {
    sdk: cdn, Config: core.$OpenApiUtil.Config, Params: core.$OpenApiUtil.Params,
    Request: core.$OpenApiUtil.OpenApiRequest, Runtime: require('@darabonba/typescript').RuntimeOptions,
  },
  dcdn: {
    sdk: dcdn, Config: legacy.Config, Params: legacy.Params,
    Request: legacy.OpenApiRequest, Runtime: require('@alicloud/tea-util').RuntimeOptions,
  },
};

const lowerFirst = (name) => name[0].toLowerCase() + name.slice(1);

/** Calls the generated method, with the generated request model if the action has one. */
async function typed(product, client, runtime, { action, params }) {
  const Model = product.sdk[`${action}Request`];
  const named = Object.fromEntries(Object.entries(params).map(([name, value]) => [lowerFirst(name), value]));
  const method = client[`${lowerFirst(action)}WithOptions`];
  const reply = Model ? await method.call(client, new Model(named), runtime) : await method.call(client, runtime);
  return { fields: reply.body.toMap(), status: reply.statusCode };
}

/** Makes a generic call: any action, version, method, placement and Accept header. */
async function generic(product, client, runtime, { action, version, params, method, form, xml }) {
  const request = new product.Request({
    [form ? 'body' : 'query']: params,
    headers: xml ? { accept: 'text/xml' } : {},
  });
  const call = new product.Params({
    action, version, protocol: 'HTTP', pathname: '/', method, authType: 'AK', style: 'RPC',
    reqBodyType: 'formData', bodyType: xml ? 'string' : 'json',
  });
  const reply = await client.callApi(call, request, runtime);
  return { [xml ? 'text' : 'fields']: reply.body, status: reply.statusCode, type: reply.headers['content-type'] };
}

async function call(request) {
  const product = products[request.product];
  const client = new product.sdk.default(new product.Config({
    accessKeyId: request.key,
    accessKeySecret: request.secret,
    securityToken: request.token || undefined,
    endpoint: request.endpoint,
    protocol: 'HTTP',
    signatureAlgorithm: request.v1 ? 'v2' : undefined,
  }));
  const runtime = new product.Runtime({ connectTimeout: 10000, readTimeout: 10000, keepAlive: false });
  return (request.typed ? typed : generic)(product, client, runtime, request);
}

function explain(error) {
  if (!error.statusCode || !error.data) return null;
  return {
    code: error.code,
    shown: error.message,
    status: error.statusCode,
    requestId: error.data.RequestId,
    body: error.data,
  };
}

serve(call, explain);
