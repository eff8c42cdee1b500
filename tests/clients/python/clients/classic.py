"""The classic Python SDK (aliyun-python-sdk-core, -cdn, -dcdn): signature V1, JSON or XML."""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from typing import Any
from collections.abc import Mapping

from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest

from clients.base import CDN, DCDN, Client, Endpoint, Identity, product_of, version_of
from outcome import Outcome, crashed, from_http, refused_by, succeeded

# The SDK logs each refusal as an error, and a warning about its own deprecated method. The tests cause both.
logging.getLogger("aliyunsdkcore").addHandler(logging.NullHandler())
logging.getLogger("aliyunsdkcore").propagate = False
warnings.filterwarnings("ignore", category=DeprecationWarning, module="aliyunsdkcore")

PACKAGES = {CDN: "aliyunsdkcdn.request.v20180510", DCDN: "aliyunsdkdcdn.request.v20180115"}


class Classic(Client):
    """`placement` selects how the request is built, `format` which method of the SDK sends it."""

    name, signature = "python-classic", "V1"

    def __init__(self, fmt: str, placement: str) -> None:
        self.format, self.placement = fmt, placement

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        try:
            request = self._request(endpoint, action, params or {}, version)
            client = self._client(who)
            if self.format == "JSON":
                return self._json(client, request)
            # do_action_with_exception always requests JSON, so XML needs the method below it. "none" sends the
            # literal text None, as the SDK does if no format is set.
            request.set_accept_format("XML" if self.format == "XML" else None)
            status, headers, body = client.get_response(request)
            label = {name.lower(): value for name, value in headers.items()}.get("content-type")
            return from_http(action, status, label, body, want_xml=True)
        except Exception as error:  # noqa: BLE001 - every error goes into the report
            return crashed(f"{type(error).__name__}: {error}")

    def detects_wrong_secret(self, action: str) -> bool:
        # The SDK compares the string to sign in the server's message with its own. If they are equal, it reports that
        # the secret is wrong. It reads only JSON, and a CommonRequest does not have its own string.
        return self.format == "JSON" and self.placement != "CommonRequest" and self._typed(action) is not None

    @staticmethod
    def _client(who: Identity) -> AcsClient:
        settings: dict[str, Any] = {"region_id": "cn-hangzhou", "auto_retry": False, "timeout": 10}
        if who.security_token:
            return AcsClient(credential=StsTokenCredential(who.key, who.secret, who.security_token), **settings)
        return AcsClient(who.key, who.secret, **settings)

    def _request(self, endpoint: Endpoint, action: str, params: Mapping[str, str], version: str | None) -> Any:
        typed = None if self.placement == "CommonRequest" else self._typed(action)
        if typed is None:
            # This SDK has no class for ModifyCdnService and DescribeUserCdnStatus, so its users call them in this way.
            request = CommonRequest(
                domain=endpoint.rest,
                version=version or version_of(action),
                action_name=action,
                product=product_of(action),
            )
            request.set_protocol_type("http")
            request.set_method("GET" if self.placement in ("CommonRequest", "GET query") else "POST")
        else:
            request = typed
            request.set_endpoint(endpoint.rest)
            request.set_method("GET" if self.placement == "GET query" else "POST")
            if version:
                request.set_version(version)
        for name, value in params.items():
            if self.placement == "POST form":
                request.add_body_params(name, value)
            else:
                setter = getattr(request, f"set_{name}", None)
                setter(value) if setter else request.add_query_param(name, value)
        return request

    @staticmethod
    def _typed(action: str) -> Any:
        try:
            module = importlib.import_module(f"{PACKAGES[version_of(action)]}.{action}Request")
        except ModuleNotFoundError:
            return None
        return getattr(module, f"{action}Request")()

    @staticmethod
    def _json(client: AcsClient, request: Any) -> Outcome:
        try:
            return succeeded(json.loads(client.do_action_with_exception(request)))
        except ServerException as error:
            return refused_by(
                {"Code": error.get_error_code(), "Message": error.get_error_msg(), "RequestId": error.get_request_id()},
                error.get_http_status(),
            )
        except ClientException as error:
            return crashed(error)


def clients() -> list[Client]:
    """Returns the rows of this SDK."""
    return [
        Classic("JSON", "POST query"),
        Classic("JSON", "GET query"),
        Classic("JSON", "POST form"),
        Classic("JSON", "CommonRequest"),
        Classic("XML", "POST query"),
        Classic("XML", "GET query"),
        Classic("none", "POST query"),
    ]
