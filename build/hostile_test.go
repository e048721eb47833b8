package build_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/payload/payloadtest"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/alert"
)

// TestHostilePackages builds of packages that are no threat each alone, and of
// some that are: the build fails and says whose fault it is.
func TestHostilePackages(t *testing.T) {
	with := func(name string, headers ...tar.Header) debtest.Package {
		return debtest.Package{Name: name, Headers: headers}
	}
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	dir := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
	}
	w := archiveOf(t,
		with("file-a", file("./etc/same")), with("file-b", file("./etc/same")),
		with("links", link("./var/data", "/etc")), with("fills", dir("./var/"), dir("./var/data/"), file("./var/data/passwd")),
		with("below", file("./var/data/passwd")), with("is-file", file("./var/data")),
		with("merged", file("./lib/x.so")), with("usr", file("./usr/lib/x.so")),
		with("escapes", file("./usr/../../etc/passwd")), with("device", tar.Header{Name: "./dev/mem", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 1}),
		with("hard", tar.Header{Name: "./x", Typeflag: tar.TypeLink, Linkname: "../../etc/shadow"}), with("twice", file("./a"), file("./a")),
		debtest.Package{Name: "bomb", Scripts: map[string]string{"postinst": strings.Repeat("a", 64<<20)}},
	)
	for packages, want := range map[string][]string{
		"file-a, file-b": {"conflict at /etc/same: file-a and file-b both have it"},
		"fills, links":   {"conflict at /var/data", "fills", "links"},
		"links, below":   {"conflict at /var/data", "links", "below"},
		"is-file, below": {"/var/data", "is-file", "below"},
		"merged, usr":    {"conflict at /usr/lib/x.so: merged and usr both have it"},
		"escapes":        {"package escapes", `".." in path`},
		"device":         {"package device", "dev/mem", "not a file, directory or link"},
		"hard":           {"package hard", "hard link target"},
		"twice":          {"package twice", "path appears twice"},
		"bomb":           {"package bomb", "control.tar", "over the size limit"},
	} {
		t.Run(strings.ReplaceAll(packages, ", ", "+"), func(t *testing.T) {
			got := w.fails(t, parse(t, "name: x\nplatforms: [amd64]\npackages: ["+packages+"]"))
			for _, part := range want {
				if !strings.Contains(got, part) {
					t.Errorf("error %q, want it to say %q", got, part)
				}
			}
		})
	}
}

// TestScriptsAreNotRun has scripts that would leave a trace.
func TestScriptsAreNotRun(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	scripts := map[string]string{}
	for _, name := range []string{"preinst", "postinst", "prerm", "postrm", "config", "triggers"} {
		scripts[name] = "#!/bin/sh\ntouch " + trace + "\n"
	}
	w := archiveOf(t, debtest.Package{Name: "odd", Files: map[string]string{"usr/bin/odd": "x"}, Scripts: scripts})
	img := w.build(t, parse(t, "name: x\nplatforms: [amd64]\npackages: [odd]"), build.Options{}).Images[0]
	if _, err := os.Stat(trace); err == nil {
		t.Error("a script of a package was run")
	}
	if got := strings.Join(img.Unhandled["odd"], " "); got != "config postinst preinst" {
		t.Errorf("reported: %q", got)
	}
	if strings.Contains(string(img.SPDX)+string(img.CycloneDX), trace) {
		t.Error("the SBOM holds a script")
	}
}

// TestTruncatedLocalDeb: the digest fits, the package ends early.
func TestTruncatedLocalDeb(t *testing.T) {
	w := fresh(t)
	whole := agent("amd64", "").Build(t)
	for _, size := range []int{0, 7, 100, len(whole) / 2, len(whole) - 10} {
		files, text := besideData(t, whole[:size])
		d, l, err := w.withDebs(t, "name: own\n"+text+"packages: [libc6]\nplatforms: [amd64]\n", files)
		if err == nil {
			_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive, Debs: files})
		}
		if err == nil || !strings.Contains(err.Error(), "own-0.deb") && !strings.Contains(err.Error(), "package agent") {
			t.Errorf("%d of %d bytes: %v", size, len(whole), err)
		}
	}
}

// TestRegisterStaysOutside looks through everything that is published of an
// image for what the register says.
func TestRegisterStaysOutside(t *testing.T) {
	payloadtest.Need(t)
	dir, keys := mirror(t)
	d := parse(t, definition+"canary: {decoys: [ls, wget], tokens: [aws], collector: \"https://alarms.example\"}\n")
	r := open(t, dir, keys, t.TempDir()).build(t, d, build.Options{Canary: alert.NewMaster(), Platforms: []spec.Platform{{Arch: "amd64"}}})
	img := r.Images[0]
	register, err := json.Marshal(img.Register)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{img.Register.Decoys.MarkerID, img.Register.Decoys.Socket, "markerSha256", string(register)}
	var names []string // in the image itself a decoy must have its name
	for _, planted := range img.Register.Decoys.Decoys {
		names = append(names, planted.Path, planted.KeyID)
	}
	for _, token := range img.Register.Tokens.Tokens {
		names = append(names, token.Paths...)
	}
	if len(names) < 5 || len(secrets[0]) < 16 || len(secrets[1]) < 4 {
		t.Fatalf("the register says too little: %s", register)
	}
	public := map[string][]byte{}
	for i, c := range r.Claims {
		public[c.PredicateType+" "+string(rune('a'+i))] = c.Statement()
	}
	for name, read := range map[string]func() ([]byte, error){"config": img.Image.RawConfigFile, "manifest": img.Image.RawManifest, "index": r.Index.RawManifest} {
		if public[name], err = read(); err != nil {
			t.Fatal(err)
		}
	}
	if len(public) < 9 {
		t.Fatalf("only %d documents", len(public))
	}
	for what, data := range public {
		for _, s := range append(names, secrets...) {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds %q", what, s)
			}
		}
	}
	layers, err := img.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for n, l := range layers {
		body, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		_ = body.Close()
		for _, s := range []string{"markerSha256", string(register), `"decoys":`} {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("layer %d holds %q", n+1, s)
			}
		}
	}
}
