"""Who may ask: whoever has the token of this start, through a name of this machine, from this server's own pages."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from evenodds.errors import BadInput

__all__ = ["SESSION", "Access", "Refusal", "is_loopback", "require_token"]

SESSION = "/api/session"
"""The endpoint that gives a cookie for the token."""
SHORTEST_TOKEN = 16
"""Characters of a token of the user's own."""
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OWN = ("same-origin", "none")
"""Sec-Fetch-Site of requests by this server's pages, and of addresses that the user typed."""


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered: the status, and one line."""

    status: int
    line: str


@dataclass
class Guesses:
    """Wrong tokens by address; so many a minute, and the address has to wait.

    Args:
        most: wrong tokens a minute.
        addresses: that are remembered at most; the oldest is forgotten.
    """

    most: int = 10
    addresses: int = 1024
    _told: dict[str, list[float]] = field(default_factory=dict)

    def waits(self, address: str) -> bool:
        """Whether an address has guessed too often within the last minute."""
        since = time.monotonic() - 60
        recent = [at for at in self._told.get(address, []) if at > since]
        self._told.pop(address, None)
        if recent:
            self._told[address] = recent
        return len(recent) >= self.most

    def add(self, address: str) -> None:
        """Remembers a wrong token."""
        self._told.setdefault(address, []).append(time.monotonic())
        while len(self._told) > self.addresses:
            del self._told[next(iter(self._told))]


@dataclass(frozen=True)
class Access:
    """The rules of one start of the server.

    Args:
        hosts: what the header Host may say, in lower case, with the port. A page of another site that had its name
            point here (DNS rebinding) says another one.
        port: of the server; cookies of one machine are not told apart by it, so that it is in the cookie's name.
        token: that opens the server.
        literal: whether Host may also be any IP address: no site of another has such a name.
        closed: beginnings of the paths that need the token.
    """

    hosts: frozenset[str]
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    literal: bool = False
    closed: tuple[str, ...] = ("/api/",)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    guesses: Guesses = field(default_factory=Guesses)

    @property
    def cookie(self) -> str:
        """The name of the cookie."""
        return f"evenodds-{self.port}"

    def refusal(self, method: str, path: str, headers: Mapping[str, list[str]], client: str = "") -> Refusal | None:
        """Why a request is not answered; None where it is.

        Args:
            headers: the values of each, by its name in lower case.
            client: its address.
        """
        if (wrong := self._foreign(method, headers)) is not None:
            return wrong
        if not path.startswith(self.closed) or path == SESSION:
            return None
        if self._has_cookie(headers):
            return self._unsure(headers) if method in CHANGING else None
        return None if self._has_token(headers, client) else Refusal(401, MISSING)

    def opens(self, token: str, client: str = "") -> bool:
        """Whether it is the token; wrong ones are counted, and after too many the address has to wait a minute."""
        if self.guesses.waits(client):
            return False
        right = _same(token, self.token)
        if not right:
            self.guesses.add(client)
        return right

    def _foreign(self, method: str, headers: Mapping[str, list[str]]) -> Refusal | None:
        """Of requests that pages of other sites make, and of names that are not this server's."""
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return Refusal(421, "this server is not called by that name; open the address that it printed")
        if any(site not in _OWN for site in headers.get("sec-fetch-site", [])):
            return Refusal(403, "requests from pages of other sites are not answered; open the address itself")
        origins = headers.get("origin", [])
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            return Refusal(403, "requests from pages of other origins are not answered")
        return None

    def _is_own(self, host: str) -> bool:
        name, colon, port = host.lower().rpartition(":")
        return host.lower() in self.hosts or (self.literal and colon == ":" and port == str(self.port) and _is_ip(name))

    def _unsure(self, headers: Mapping[str, list[str]]) -> Refusal | None:
        """Cookies travel by themselves: whoever changes something with one has to show that a page of ours asks."""
        if headers.get("sec-fetch-site") == ["same-origin"] or headers.get("origin"):
            return None
        return Refusal(403, "a request that changes something needs an Origin, or the token as a Bearer")

    def _has_cookie(self, headers: Mapping[str, list[str]]) -> bool:
        jar: SimpleCookie = SimpleCookie()
        try:
            for line in headers.get("cookie", []):
                jar.load(line)
        except CookieError:
            return False
        return self.cookie in jar and _same(jar[self.cookie].value, self.secret)

    def _has_token(self, headers: Mapping[str, list[str]], client: str) -> bool:
        values = headers.get("authorization", [])
        scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        return scheme.lower() == "bearer" and self.opens(token.strip(), client)


MISSING = "the token of this start is needed: open the address that was printed, or send it as Authorization: Bearer"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server at that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_token(host: str, token: str | None) -> None:
    """BadInput where a server that others reach would have no token of the user's own, or a short one."""
    if token is None and not is_loopback(host):
        raise BadInput(
            f"{host} can be reached by other machines: give a token of your own with --token, or leave --host out"
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise BadInput(f"a token has at least {SHORTEST_TOKEN} plain characters, got {len(token)}; make it longer")


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _same(one: str, other: str) -> bool:
    """In a time that does not tell where two texts differ."""
    digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (one, other)]
    return secrets.compare_digest(*digests)
