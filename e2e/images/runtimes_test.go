//go:build e2e

package images_test

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const pythonProgram = `
import importlib, os, ssl, subprocess, sys, ctypes.util, zoneinfo, locale
# What Debian ships in packages of its own, and what other systems have.
apart = {"tkinter", "_tkinter", "turtle", "turtledemo", "idlelib", "antigravity", "this", "lib2to3", "distutils", "_gdbm", "test",
  "msilib", "msvcrt", "winreg", "winsound", "nt", "ntpath2", "_winapi", "_overlapped", "_msi", "_scproxy", "_wmi", "_ios_support", "_android_support"}
failed = []
for name in sorted(sys.stdlib_module_names - apart):
    try:
        importlib.import_module(name)
    except ImportError as e:
        failed.append(f"{name}: {e}")
print("version=" + ".".join(map(str, sys.version_info[:2])))
print("modules=" + str(len(sys.stdlib_module_names) > 250), "failed=" + "; ".join(failed))
print("encoding=" + sys.getfilesystemencoding(), sys.stdout.encoding, "\u00e4\u4e16", locale.setlocale(locale.LC_ALL, ""))
ctx = ssl.create_default_context()
print("authorities=" + str(len(ctx.get_ca_certs()) > 100))
print("zone=" + str(zoneinfo.ZoneInfo("Europe/Berlin")))
print("writes=" + str(not sys.dont_write_bytecode), "cached=" + str(os.path.exists(os.path.dirname(os.__file__) + "/__pycache__")))
# A decoy may answer, but computes nothing.
print("shell=" + str("42" in subprocess.run("echo $((6*7))", shell=True, capture_output=True, text=True).stdout))
print("links=" + os.path.realpath("/usr/bin/python"), os.path.realpath("/usr/bin/python3"))
ctypes.CDLL("libsqlite3.so.0")
print("uid=" + str(os.getuid()))
`

func TestPython(t *testing.T) {
	tag := image(t, "python3")
	got := confinedRun(t, tag, "-c", pythonProgram)
	want := strings.Join([]string{
		"version=3.13", "modules=True failed=", "encoding=utf-8 utf-8 \u00e4\u4e16 C.UTF-8", "authorities=True", "zone=Europe/Berlin",
		"writes=False cached=False", "shell=False", "links=/usr/bin/python3.13 /usr/bin/python3.13", "uid=65532",
	}, "\n")
	if got != want {
		t.Errorf("it prints\n%s\nwant\n%s", got, want)
	}
	s := secureServer(t)
	s.verified(t, bundle, "CERTIFICATE_VERIFY_FAILED", []string{tag}, "-c", `import sys, urllib.request; print("fetched=" + urllib.request.urlopen(sys.argv[1]).read().decode())`, s.url)
	old := strings.NewReplacer("3.13", "3.11").Replace(want)
	if got := confinedRun(t, image(t, "python3-bookworm"), "-c", pythonProgram); got != old {
		t.Errorf("Debian 12's prints\n%s\nwant\n%s", got, old)
	}
	if c := configOf(t, tag); !slices.Contains(c.Env, "LANG=C.UTF-8") || !slices.Equal(c.Entrypoint, []string{"/usr/bin/python3.13"}) {
		t.Errorf("config: %+v", c)
	}
}

// TestPythonWithoutDecoysHasNoShell: what a decoy of a shell would answer, an
// image without decoys refuses.
func TestPythonWithoutDecoysHasNoShell(t *testing.T) {
	const program = `import subprocess; subprocess.run("true", shell=True)`
	tag := image(t, "python3", "--no-canary")
	_, stderr, code := try(t, "docker", append(slices.Clone(confined), tag, "-c", program)...)
	if code == 0 || !strings.Contains(stderr, "No such file or directory: '/bin/sh'") {
		t.Errorf("a shell command: exit code %d, %s", code, stderr)
	}
}

// jar packs the program into an archive that java -jar starts.
func jar(t *testing.T) string {
	t.Helper()
	class, err := os.ReadFile("testdata/Hello.class")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "hello.jar"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, file := range []struct{ name, body string }{
		{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: Hello\n"}, {"Hello.class", string(class)},
	} {
		w, err := z.Create(file.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(file.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestJava(t *testing.T) {
	dir := jar(t)
	for version, name := range map[string]string{"17": "java17-bookworm", "21": "java21", "25": "java25"} {
		t.Run(version, func(t *testing.T) {
			tag := image(t, name)
			got := confinedRun(t, "--tmpfs=/tmp", "-v", dir+":/app:ro", tag, "/app/hello.jar")
			for _, want := range []string{"version=" + version, "charset=UTF-8 \u00e4\u4e16", "font=true", "drawn=true", "spawned=true", "user=nonroot"} {
				if !slices.Contains(strings.Split(got, "\n"), want) {
					t.Errorf("it prints\n%s\nwithout %s", got, want)
				}
			}
			listed := run(t, "docker", append(slices.Clone(confined), "--entrypoint=/usr/bin/keytool", tag, "-J-Xint", "-list", "-cacerts", "-storepass", "changeit")...)
			n := strings.Count(listed, "trustedCertEntry")
			if !slices.Contains(strings.Split(got, "\n"), fmt.Sprintf("authorities=%d", n)) || n < 100 {
				t.Errorf("keytool lists %d certificate authorities, the program says\n%s", n, got)
			}
			if version == "21" {
				s := secureServer(t)
				s.verified(t, keystore, "unable to find valid certification path", []string{"-v", dir + ":/app:ro", tag}, "/app/hello.jar", s.url)
			}
			c := configOf(t, tag)
			if !slices.ContainsFunc(c.Env, func(s string) bool { return strings.HasPrefix(s, "JAVA_VERSION="+version+".") }) {
				t.Errorf("environment: %q", c.Env)
			}
		})
	}
}

const nodeProgram = `
const tls = require("tls"), https = require("https"), fs = require("fs"), { spawnSync } = require("child_process");
console.log("version=" + process.versions.node.split(".")[0]);
console.log("authorities=" + (tls.rootCertificates.length > 100));
console.log("intl=" + new Intl.DateTimeFormat("de", { month: "long", timeZone: "UTC" }).format(new Date(0)));
console.log("links=" + fs.realpathSync("/nodejs/bin/node") + " " + fs.existsSync("/usr/bin/npm"));
console.log("shell=" + String(spawnSync("echo $((6*7))", { shell: true }).stdout).includes("42"));
import("node:crypto").then((c) => console.log("sha256=" + c.createHash("sha256").update("x").digest("hex").slice(0, 8)));
fetch(process.argv[1]).then((r) => r.text()).then((body) => console.log("fetch=" + body));
https.get(process.argv[1], (res) => res.on("data", (d) => console.log("https=" + d)));
`

// TestNode runs a program that opens connections to a server whose certificate
// an authority of ours signed, and to one whose authority is unknown.
func TestNode(t *testing.T) {
	tag := image(t, "nodejs")
	server := secureServer(t)
	args := []string{"run", "--rm", "--network=host", "--read-only", "--cap-drop=ALL", "-v", server.dir + ":/ca:ro"}
	got := strings.Split(run(t, "docker", append(args, "-e", "NODE_EXTRA_CA_CERTS=/ca/bundle", tag, "-e", nodeProgram, server.url)...), "\n")
	for _, want := range []string{"version=20", "authorities=true", "intl=Januar", "links=/usr/bin/node false", "shell=false", "sha256=2d711642", "fetch=hello", "https=hello"} {
		if !slices.Contains(got, want) {
			t.Errorf("it prints %q without %s", got, want)
		}
	}
	if _, stderr, code := try(t, "docker", append(args, tag, "-e", "fetch(process.argv[1])", server.url)...); code == 0 || !strings.Contains(stderr, "certificate") {
		t.Errorf("a server of an unknown authority: exit code %d, %s", code, stderr)
	}
	if got := confinedRun(t, image(t, "nodejs-bookworm"), "-e", `console.log(process.versions.node.split(".")[0], require("tls").rootCertificates.length > 100, require("fs").existsSync("/usr/bin/npm"))`); got != "18 true false" {
		t.Errorf("Debian 12's prints %q", got)
	}
}
