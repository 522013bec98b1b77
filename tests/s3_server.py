"""A local S3 server (moto's), which counts the bytes that it sends. Run by Python of the environment that holds moto.

    python s3_server.py FOLDER     prints its address; ends when its standard input is closed

GET /_sent answers with the number of bytes of all bodies sent so far, that of their requests beside it.
"""

import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args):
        pass


class Counting:
    def __init__(self, application):
        self.application = application
        self.sent = self.requests = 0

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/_sent":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [f"{self.sent} {self.requests}".encode()]
        body = b"".join(self.application(environ, start_response))
        if environ["REQUEST_METHOD"] == "GET":
            self.sent += len(body)
            self.requests += 1
        return [body]


if __name__ == "__main__":
    application = Counting(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
