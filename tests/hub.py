"""A model hub on this machine, which speaks as much of the protocol of the Hugging Face hub as its library asks for."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"


@dataclass
class Repository:
    """Its branches, each with its commit; the files of each commit."""

    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        content = repr((len(self.commits), sorted(files.items()))).encode()
        name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self.commits[name], self.branches[branch] = files, name
        return name

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        name = self.branches.get(revision, revision)
        return (name, self.commits[name]) if name in self.commits else None


@dataclass
class Hub:
    """What the hub holds, and what it was asked for."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    """Large files by their SHA-256."""
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        """The files of a repository, which a test may change."""
        found = self.repositories[name].at(branch)
        assert found is not None
        return found[1]


def _large(path: str) -> bool:
    """Whether the hub keeps a file beside git."""
    return path.endswith((".safetensors", ".png", ".gif"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    def _answer(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fail(self, status: int, code: str) -> None:
        self._answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @property
    def _writer(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repository(self, name: str) -> Repository | None:
        found = self.hub.repositories.get(name)
        return None if found is None or (found.private and not self._writer) else found

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/")
        self.hub.asked.append(f"{self.command} {path}")
        parts = [unquote(part) for part in path.split("/")]
        if parts[:2] == ["api", "models"]:
            self._about("/".join(parts[2:4]), parts[4:])
        elif parts[2:3] != ["resolve"] or len(parts) < 5:
            self._fail(404, "EntryNotFound")
        else:
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _about(self, name: str, rest: list[str]) -> None:
        """The state of a repository, or the list of its files."""
        repository = self._repository(name)
        if repository is None:
            self._fail(404, "RepoNotFound")
            return
        found = repository.at(rest[1] if rest else "main")
        if found is None:
            self._fail(404, "RevisionNotFound")
            return
        commit, files = found
        if rest[:1] == ["tree"]:
            self._answer([self._entry(file, content) for file, content in files.items()])
            return
        siblings = [{"rfilename": file, "size": len(content)} for file, content in files.items()]
        about = {"id": name, "modelId": name, "sha": commit, "private": repository.private, "siblings": siblings}
        self._answer(about)

    def _entry(self, file: str, content: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": file, "size": len(content), "oid": _git(content)}
        if _large(file):
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 100}
        return entry

    def _file(self, name: str, revision: str, file: str) -> None:
        """The content of a file."""
        repository = self._repository(name)
        found = None if repository is None else repository.at(revision)
        if found is None or file not in found[1]:
            self._fail(
                404, "RepoNotFound" if repository is None else "RevisionNotFound" if found is None else "EntryNotFound"
            )
            return
        content = found[1][file]
        tag = hashlib.sha256(content).hexdigest() if _large(file) else _git(content)
        self._answer(content, ETag=f'"{tag}"', X_Repo_Commit=found[0])

    def do_PUT(self) -> None:
        content = self._body()
        self.hub.stored[self.path.rpartition("/")[2].partition("?")[0]] = content
        self._answer({})

    def do_POST(self) -> None:
        body, path = self._body(), urlsplit(self.path).path.strip("/")
        self.hub.asked.append(f"POST {path}")
        parts = [unquote(part) for part in path.split("/")]
        if not self._writer:
            self._answer({"error": "log in"}, 401)
        elif path == "api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif path == "api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            private = bool(asked.get("private") or asked.get("visibility") == "private")
            self.hub.repositories[name] = Repository(private)
            self.hub.repositories[name].commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"})
            self._answer({"url": f"{self.hub.address}/{name}", "id": name, "name": name})
        elif path.endswith("info/lfs/objects/batch"):
            self._answer({"transfer": "basic", "objects": [self._upload(one) for one in json.loads(body)["objects"]]})
        else:
            self._write(self.hub.repositories["/".join(parts[2:4])], parts[4], parts[5], body)

    def _upload(self, one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "actions": {"upload": {"href": f"{self.hub.address}/upload/{one['oid']}"}}}

    def _write(self, repository: Repository, what: str, revision: str, body: bytes) -> None:
        """A branch, what becomes of files, or a commit."""
        if what == "branch":
            repository.branches.setdefault(revision, repository.branches["main"])
            self._answer({}, 201)
        elif what == "preupload":
            modes = [
                {"path": one["path"], "uploadMode": "lfs" if _large(one["path"]) else "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            self._answer({"files": modes})
        else:
            found = repository.at(revision)
            assert found is not None
            files = dict(found[1])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "lfsFile":
                    files[line["value"]["path"]] = self.hub.stored[line["value"]["oid"]]
                elif line["key"] == "deletedFile":
                    del files[line["value"]["path"]]
            name = repository.commit(revision, files)
            self._answer({"commitUrl": f"{self.hub.address}/x/y/commit/{name}", "commitOid": name})


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def served() -> Iterator[Hub]:
    """A hub that answers while it is inside."""
    hub = Hub()
    handler = type("Bound", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
