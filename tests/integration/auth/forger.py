"""A provider on a real port that says whatever a test wants: what a hostile one could say."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry

from base import clock

CLIENT_ID = "syncsphere"
CLIENT_SECRET = "a secret of at least thirty-two characters"


class Forger:
    """Answers by path: a mapping as JSON, bytes as they are, a text as a redirect."""

    def __init__(self) -> None:
        answers = self.answers = dict[str, Any]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers[self.path]
                self.send_response(303 if isinstance(answer, str) else 200)
                if isinstance(answer, str):
                    self.send_header("Location", answer)
                self.end_headers()
                if not isinstance(answer, str):
                    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                    self.wfile.write(raw)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.do_GET()

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 (its name)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.key = self.new_key("first")
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/auth",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/jwks",
        }
        answers["/.well-known/openid-configuration"] = self.metadata
        self.publish(self.key)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @staticmethod
    def new_key(kid: str) -> RSAKey:
        return RSAKey.generate_key(2048, {"kid": kid})

    def publish(self, *keys: RSAKey) -> None:
        self.answers["/jwks"] = {"keys": [key.as_dict(private=False) for key in keys]}

    def claims(self, nonce: str, /, **other: object) -> dict[str, Any]:
        """Good ones, but for what a test changes; None leaves one out."""
        now = int(clock.now().timestamp())
        good = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "anna",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": "anna@example.com",
            "email_verified": True,
        }
        return {name: value for name, value in (good | other).items() if value is not None}

    def give(
        self,
        claims: dict[str, Any],
        *,
        key: RSAKey | OctKey | None = None,
        algorithm: str = "RS256",
        kid: str = "first",
    ) -> None:
        """Answer the next codes with this ID token."""
        every = JWSRegistry(algorithms=list(JWSRegistry.algorithms))
        header = {"alg": algorithm, "kid": kid}
        token = jwt.encode(header, claims, key or self.key, registry=every)
        self.answers["/token"] = {"id_token": token, "access_token": "x", "token_type": "Bearer"}
