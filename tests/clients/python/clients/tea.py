"""The Python Tea SDKs (alibabacloud_cdn20180510, alibabacloud_dcdn20180115): V3 by default, V1 on request."""

from __future__ import annotations

import importlib
import re
from typing import Any
from collections.abc import Mapping

from alibabacloud_cdn20180510.client import Client as CdnClient
from alibabacloud_dcdn20180115.client import Client as DcdnClient
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config, OpenApiRequest, Params
from darabonba.runtime import RuntimeOptions

from clients.base import ACTIONS, Client, Endpoint, Identity, product_of, version_of
from clients.tea_message import refused_by_tea
from outcome import JSON_TYPE, XML_TYPE, Outcome, crashed, from_xml, succeeded

SDKS = {"cdn": (CdnClient, "alibabacloud_cdn20180510.models"), "dcdn": (DcdnClient, "alibabacloud_dcdn20180115.models")}


class PythonTea(Client):
    """`placement` "typed" uses the generated methods; the others use the generic call."""

    name = "python-tea"

    def __init__(self, signature: str, fmt: str, placement: str) -> None:
        self.signature, self.format, self.placement = signature, fmt, placement

    def call(
        self,
        endpoint: Endpoint,
        who: Identity,
        action: str,
        params: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Outcome:
        sdk, models = SDKS[product_of(action)]
        try:
            client = sdk(
                Config(
                    access_key_id=who.key,
                    access_key_secret=who.secret,
                    security_token=who.security_token,
                    endpoint=endpoint.rest,
                    protocol="http",
                    connect_timeout=10_000,
                    read_timeout=10_000,
                    signature_algorithm="v2" if self.signature == "V1" else None,
                )
            )
            if self.placement == "typed" and version is None and action in ACTIONS:
                return self._typed(client, importlib.import_module(models), action, params or {})
            return self._generic(client, action, params or {}, version or version_of(action))
        except AlibabaCloudException as error:
            return self._refused(error)
        except Exception as error:  # noqa: BLE001 - every error goes into the report
            return crashed(f"{type(error).__name__}: {error}")

    @staticmethod
    def _typed(client: Any, models: Any, action: str, params: Mapping[str, str]) -> Outcome:
        method = getattr(client, re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower() + "_with_options")
        model = getattr(models, f"{action}Request", None)
        reply = method(*([model().from_map(dict(params))] if model else []), RuntimeOptions())
        return succeeded(reply.body.to_map(), reply.status_code, **_label(reply.headers, JSON_TYPE))

    def _generic(self, client: Any, action: str, params: Mapping[str, str], version: str) -> Outcome:
        xml = self.format == "XML"
        call = Params(
            action=action,
            version=version,
            protocol="HTTP",
            pathname="/",
            auth_type="AK",
            style="RPC",
            method="GET" if self.placement == "GET query" else "POST",
            req_body_type="formData",
            body_type="string" if xml else "json",
        )
        request = OpenApiRequest(
            headers={"accept": "text/xml"} if xml else {},
            **{"body" if self.placement == "POST form" else "query": dict(params)},
        )
        reply = client.call_api(call, request, RuntimeOptions())
        if not xml:
            return succeeded(reply["body"], reply["statusCode"], **_label(reply["headers"], JSON_TYPE))
        fields, problem = from_xml(action, reply["body"])
        label = _label(reply["headers"], XML_TYPE)
        return succeeded(fields, reply["statusCode"], **{**label, "flaw": label["flaw"] or problem})

    @staticmethod
    def _refused(error: AlibabaCloudException) -> Outcome:
        request_id = getattr(error, "request_id", None)
        return refused_by_tea(
            error.message, error.code, error.status_code, request_id, getattr(error, "data", {}) or {}
        )


def _label(headers: Mapping[str, str], expected: str) -> dict[str, str | None]:
    found = headers.get("content-type")
    return {
        "content_type": found,
        "flaw": None if found == expected else f"Content-Type is {found!r}, not {expected!r}",
    }


def clients() -> list[Client]:
    """Returns the rows of this SDK."""
    return [
        PythonTea("V3", "JSON", "typed"),
        PythonTea("V3", "JSON", "GET query"),
        PythonTea("V3", "JSON", "POST form"),
        PythonTea("V3", "XML", "POST query"),
        PythonTea("V1", "JSON", "typed"),
        PythonTea("V1", "JSON", "POST form"),
    ]
