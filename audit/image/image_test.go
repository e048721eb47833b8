package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
	"github.com/hardstand/hardstand/internal/deptest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// file is a file of a fixture's layer.
type file struct {
	Path, Content, Link string
	Mode                int64
	Dir, Hard, Caps     bool
	UID                 int
	From                string // a program of the system the test was built on
}

// fixture is image.json: an image in as many words as the rules need.
type fixture struct {
	Layers  [][]file
	Config  v1.Config
	History []v1.History
	Created time.Time
}

func tarOf(t testing.TB, files []file) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.Path, Mode: f.Mode, Size: int64(len(f.Content)), Uid: f.UID, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		switch {
		case f.Dir:
			h.Typeflag = tar.TypeDir
		case f.Hard:
			h.Typeflag, h.Linkname = tar.TypeLink, f.Link
		case f.Link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
		}
		if f.Caps {
			h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.Content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func build(t testing.TB, f fixture) v1.Image {
	t.Helper()
	img := v1.Image(empty.Image)
	var err error
	for _, files := range f.Layers {
		img, err = mutate.AppendLayers(img, static.NewLayer(tarOf(t, files), types.OCIUncompressedLayer))
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Config, config.History, config.Created = f.Config, f.History, v1.Time{Time: f.Created}
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// load reads a fixture: image.json, and beside it register.json,
// signatures.json, replicas.json and what was exported.
func load(t *testing.T, dir string) (Input, Options) {
	t.Helper()
	in, o := Input{Name: "registry.example/app:1"}, Options{Now: now}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return data
	}
	if data := read("image.json"); data != nil {
		var f fixture
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&f); err != nil {
			t.Fatal(err)
		}
		in.Image = build(t, f)
	}
	var err error
	if data := read("register.json"); data != nil {
		if o.Register, err = ParseRegister("register.json", data); err != nil {
			t.Fatal(err)
		}
	}
	if data := read("signatures.json"); data != nil {
		if o.Signatures, err = ParseSignatures(data); err != nil {
			t.Fatal(err)
		}
	}
	if data := read("replicas.json"); data != nil {
		if err := json.Unmarshal(data, &o.Replicas); err != nil {
			t.Fatal(err)
		}
	}
	exports, err := filepath.Glob(filepath.Join(dir, "export*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exports {
		o.Evidence = append(o.Evidence, Evidence{filepath.Base(e), read(filepath.Base(e))})
	}
	return in, o
}

func TestRules(t *testing.T) {
	audittest.Check(t, audittest.Package{
		Rules: Rules(), Letters: "i-p",
		Audit: func(t *testing.T, dir string) []audit.Finding {
			in, o := load(t, dir)
			res, err := Audit(t.Context(), in, o)
			if err != nil {
				t.Fatal(err)
			}
			return res.Findings
		},
	})
}

// TestNothingGivenIsNothingPassed takes register, signatures and exports
// away: no rule about them may pass.
func TestNothingGivenIsNothingPassed(t *testing.T) {
	res, err := Audit(t.Context(), Input{Name: "x", Image: build(t, fixture{})}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]audit.Verdict{}
	for _, f := range res.Findings {
		seen[f.Rule] = f.Verdict
	}
	for _, id := range []string{"CHG-2.1i", "CHG-2.2i", "CHG-2.7i", "CHG-2.8i", "CHG-4.1i", "CHG-4.2i", "CHG-4.3i", "CHG-4.4i", "CHG-4.5i"} {
		if id != "CHG-4.1i" && seen[id] != audit.Unknown {
			t.Errorf("%s is %q without anything to look at", id, seen[id])
		}
		if seen[id] == audit.Pass {
			t.Errorf("%s passed without anything to look at", id)
		}
	}
}

func TestSecretValuesStayOut(t *testing.T) {
	const secret = "AKIAIOSFODNN7EXAMPLE"
	f := fixture{
		Layers:  [][]file{{{Path: "app/config", Mode: 0o644, Content: "id = " + secret}}},
		Config:  v1.Config{Env: []string{"KEY=" + secret}, Labels: map[string]string{"x": secret}, Cmd: []string{"/app", secret}, Healthcheck: &v1.HealthConfig{Test: []string{"CMD-SHELL", secret}}},
		History: []v1.History{{CreatedBy: "RUN |1 TOKEN=hunter2hunter2 /bin/sh -c x"}, {CreatedBy: "ADD https://u:hunter2hunter2@x/ " + secret}},
	}
	res, err := Audit(t.Context(), Input{Name: "x", Image: build(t, f)}, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{secret, "hunter2hunter2"} {
		if strings.Contains(string(text), s) {
			t.Errorf("the findings contain %s", s)
		}
	}
}

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/audit":            "the nouns",
		"github.com/hardstand/hardstand/audit/credential": "what secrets look like",
		"github.com/hardstand/hardstand/build/elf":        "what programs need",
		"github.com/hardstand/hardstand/build/inflate":    "gzip, twice as fast as others",
		"github.com/google/go-containerregistry/...":      "images",
		"github.com/klauspost/compress/...":               "zstd",
		"golang.org/x/sync/errgroup":                      "layers side by side",
	})
}
