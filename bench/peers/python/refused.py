"""How a call ends that is not answered."""

import grpc


class Refused(Exception):
    """A call that ends with a status."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code = code
