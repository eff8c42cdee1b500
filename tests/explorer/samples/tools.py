"""How the samples of each language are run, and where their packages come from.

The packages of Python and Node.js are those of the client suite. The packages of the other languages are installed into
`.packages/`, if the language's tool is on this machine; otherwise the samples of the language are skipped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jobs import Job

HERE = Path(__file__).resolve().parent
CLIENTS = HERE.parents[1] / "clients"
PACKAGES = HERE / ".packages"


class Missing(Exception):
    """The samples cannot be run on this machine. The text gives the reason."""


class Tool:
    """Runs the samples of one language: each is a file that a program runs in a directory of its own."""

    program = ""
    file = "sample"
    # A shell script that installs the packages into the directory in which it runs.
    install = ""

    def __init__(self, binary: Path, scratch: Path, token: str) -> None:
        self.scratch = scratch
        self._numbers: dict[int, int] = {}
        bin_dir = scratch / "bin"
        bin_dir.mkdir(exist_ok=True)
        link = bin_dir / "cdn-activation"
        if not link.exists():
            link.symlink_to(binary)
        # Neither a key of the developer nor a proxy may be used for a server on loopback.
        unwanted = re.compile(r"(ALIBABA_?CLOUD|ALICLOUD)_.*|https?_proxy|all_proxy", re.IGNORECASE)
        self.env = {name: value for name, value in os.environ.items() if not unwanted.fullmatch(name)}
        self.env["PATH"] = f"{bin_dir}:{self.env['PATH']}"
        self.env["TOKEN"] = token

    def prepared(self) -> Tool:
        """Returns the tool, with its packages installed."""
        if self.program and not shutil.which(self.program):
            raise Missing(f"no {self.program}")
        done = self.packages / ".installed"
        if self.install and not (done.exists() and done.read_text() == self.install):
            shutil.rmtree(self.packages, ignore_errors=True)
            self.packages.mkdir(parents=True)
            command = ["bash", "-euc", self.install]
            try:
                ended = subprocess.run(command, cwd=self.packages, capture_output=True, text=True, timeout=600)
            except subprocess.TimeoutExpired:
                raise Missing("its packages could not be installed within 10 minutes") from None
            if ended.returncode:
                raise Missing("its packages could not be installed")
            done.write_text(self.install)
        return self

    @property
    def packages(self) -> Path:
        """The directory with the packages."""
        return PACKAGES / type(self).__name__.lower()

    def compile(self, jobs: list[Job]) -> None:
        """Writes the samples. Compilers that are slow run here once for all."""
        for job in jobs:
            self.directory(job).mkdir(parents=True)
            (self.directory(job) / self.file).write_text(job.text)

    def directory(self, job: Job) -> Path:
        """The directory of a sample."""
        return self.scratch / job.sample / str(self._numbers.setdefault(id(job), len(self._numbers)))

    def command(self, job: Job) -> list[str]:
        """Returns the command that runs the sample in its directory."""
        return [self.program, self.file]

    def run(self, job: Job) -> subprocess.CompletedProcess[str]:
        """Runs the sample with the key of the job."""
        env = {**self.env, "ALIBABA_CLOUD_ACCESS_KEY_ID": job.key, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": job.secret}
        return subprocess.run(
            self.command(job), cwd=self.directory(job), env=env, capture_output=True, text=True, timeout=300
        )


class Python(Tool):
    """Runs with the packages of the client suite, in which this suite runs."""

    program = sys.executable


class Shell(Tool):
    """Commands for a shell."""

    program = "bash"


class Curl(Shell):
    """The shell runs curl."""

    def prepared(self) -> Tool:
        if not shutil.which("curl"):
            raise Missing("no curl")
        return super().prepared()


class Grpcurl(Shell):
    """The shell runs grpcurl."""

    def prepared(self) -> Tool:
        if not shutil.which("grpcurl"):
            raise Missing("no grpcurl")
        return super().prepared()


class Aliyun(Shell):
    """The shell runs the official command line, which must not find a profile of the developer."""

    def prepared(self) -> Tool:
        if not shutil.which("aliyun"):
            raise Missing("no aliyun")
        self.env["HOME"] = str(self.scratch)
        return super().prepared()


class TypeScript(Tool):
    """Compiled and type-checked all at once, and then run by Node.js."""

    program = "node"
    file = "sample.ts"

    def compile(self, jobs: list[Job]) -> None:
        super().compile(jobs)
        root = self.scratch / "typescript"
        (root / "node_modules").symlink_to(CLIENTS / "node" / "node_modules")
        tsc = HERE / "node_modules" / ".bin" / "tsc"
        options = ["--module", "commonjs", "--target", "es2020", "--esModuleInterop", "--skipLibCheck", "--strict"]
        files = [str(self.directory(job) / self.file) for job in jobs]
        subprocess.run([tsc, *options, *files], cwd=root, check=True, capture_output=True, text=True)

    def command(self, job: Job) -> list[str]:
        return [self.program, "sample.js"]


class Go(Tool):
    """Run in one module, so that the packages are compiled once."""

    program = "go"
    file = "main.go"
    install = """
cat >all.go <<'END'
package main

import (
	_ "github.com/alibabacloud-go/cdn-20180510/v9/client"
	_ "github.com/alibabacloud-go/dcdn-20180115/v4/client"
	_ "github.com/alibabacloud-go/tea/tea"
)

func main() {}
END
go mod init sample
go mod tidy
go build .
"""

    def run(self, job: Job) -> subprocess.CompletedProcess[str]:
        for name in ("go.mod", "go.sum"):
            shutil.copy(self.packages / name, self.directory(job))
        env = {**self.env, "ALIBABA_CLOUD_ACCESS_KEY_ID": job.key, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": job.secret}
        options = {"cwd": self.directory(job), "env": env, "capture_output": True, "text": True, "timeout": 300}
        # `go run` ends with 1 whatever the status of the program is.
        built = subprocess.run(["go", "build", "-mod=mod", "-o", "program", "."], **options)
        return built if built.returncode else subprocess.run(["./program"], **options)


class Php(Tool):
    """Composer's packages are beside the sample."""

    program = "php"
    file = "sample.php"
    install = "composer require --no-interaction --quiet alibabacloud/cdn-20180510 alibabacloud/dcdn-20180115"

    def compile(self, jobs: list[Job]) -> None:
        super().compile(jobs)
        for job in jobs:
            (self.directory(job) / "vendor").symlink_to(self.packages / "vendor")


class Ruby(Tool):
    """Ruby's packages are in a directory of their own."""

    program = "ruby"
    install = "gem install --no-document --install-dir . aliyunsdkcore"

    def prepared(self) -> Tool:
        self.env["GEM_PATH"] = f"{self.packages}:"
        return super().prepared()


class Java(Tool):
    """Java runs a source file; Maven collects the packages."""

    program = "java"
    file = "Sample.java"
    install = """
cat >pom.xml <<'END'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>samples</groupId>
  <artifactId>samples</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>com.aliyun</groupId><artifactId>cdn20180510</artifactId><version>9.2.0</version></dependency>
    <dependency><groupId>com.aliyun</groupId><artifactId>dcdn20180115</artifactId><version>2.4.0</version></dependency>
  </dependencies>
</project>
END
mvn --batch-mode --quiet dependency:copy-dependencies -DoutputDirectory=jars
"""

    def command(self, job: Job) -> list[str]:
        return [self.program, "-cp", f"{self.packages}/jars/*", self.file]


class Csharp(Tool):
    """Each sample is a project of its own."""

    program = "dotnet"
    file = "Program.cs"
    install = """
dotnet new console --name sample --output . --force
dotnet add package aliyun-net-sdk-core --version 1.6.0
"""

    def command(self, job: Job) -> list[str]:
        shutil.copy(self.packages / "sample.csproj", self.directory(job))
        return [self.program, "run"]


class Terraform(Tool):
    """The provider is installed once; each sample has its own state."""

    program = "terraform"
    file = "main.tf"
    install = """
printf 'terraform {\\n  required_providers {\\n    alicloud = { source = "aliyun/alicloud" }\\n  }\\n}\\n' >main.tf
terraform init -input=false
"""

    def command(self, job: Job) -> list[str]:
        # The address of the server is in the command that the head of the sample shows.
        proxy = re.findall(r"HTTP_PROXY=\S+", job.text)[0]
        apply = f"{proxy} terraform apply -auto-approve -input=false -no-color"
        return ["bash", "-ec", f"terraform init -input=false >&2; {apply}"]

    def prepared(self) -> Tool:
        tool = super().prepared()
        self.env["TF_PLUGIN_CACHE_DIR"] = str(self.packages / ".terraform" / "providers")
        return tool


TOOLS: dict[str, type[Tool]] = {
    "python": Python,
    "python-grpc": Python,
    "typescript": TypeScript,
    "java": Java,
    "go": Go,
    "php": Php,
    "csharp": Csharp,
    "ruby": Ruby,
    "aliyun": Aliyun,
    "terraform": Terraform,
    "curl": Curl,
    "call": Shell,
    "grpcurl": Grpcurl,
}


def tool_for(sample: str, binary: Path, scratch: Path, token: str) -> Tool:
    """Returns the tool for a sample."""
    if sample not in TOOLS:
        raise Missing("tools.py has no tool for it")
    return TOOLS[sample](binary, scratch, token).prepared()
