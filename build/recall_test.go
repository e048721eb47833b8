package build_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/payload/payloadtest"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/alert"
)

// said is everything that a result says about its images.
func said(t *testing.T, r *build.Result) []string {
	t.Helper()
	list := []string{digest(t, r), r.Created.String()}
	for _, img := range r.Images {
		list = append(list, img.Digest.String(), string(img.SPDX), string(img.CycloneDX), string(img.Provenance), img.Created.String())
		list = append(list, layerDigests(t, img)...)
	}
	for _, c := range r.Claims {
		list = append(list, string(c.Statement()))
	}
	return list
}

func TestAResultIsRecalled(t *testing.T) {
	payloadtest.Need(t)
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	d := parse(t, definition+"canary: true\n")
	o := build.Options{Program: "test", Canary: alert.NewMaster()}
	first := w.build(t, d, o)
	second := w.build(t, d, o)
	if first.Recalled || !second.Recalled {
		t.Fatalf("recalled: %v, then %v", first.Recalled, second.Recalled)
	}
	if diff := cmp.Diff(said(t, first), said(t, second)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(first.Images[0].Register, second.Images[0].Register); diff != "" {
		t.Error("register:", diff)
	}
	if diff := cmp.Diff(content(t, first.Images[1]), content(t, second.Images[1])); diff != "" {
		t.Error(diff)
	}
}

// TestNothingElseIsRecalled changes one input at a time.
func TestNothingElseIsRecalled(t *testing.T) {
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	d := parse(t, definition)
	base := build.Options{Program: "test"}
	w.build(t, d, base)
	file := func(data string) []rootfs.Content {
		return []rootfs.Content{{Entry: rootfs.Entry{Path: "srv/a", Mode: 0o644}, Data: []byte(data)}}
	}
	for name, o := range map[string]build.Options{
		"program":   {Program: "other"},
		"version":   {Program: "test", Version: "2"},
		"format":    {Program: "test", Format: oci.Docker},
		"created":   {Program: "test", Created: time.Unix(1, 0)},
		"epoch":     {Program: "test", Created: time.Unix(0, 0)},
		"platforms": {Program: "test", Platforms: []spec.Platform{{Arch: "amd64"}}},
		"files":     {Program: "test", Files: file("a")},
		"content":   {Program: "test", Files: file("b")},
		"unnamed":   {},
	} {
		t.Run(name, func(t *testing.T) {
			if w.build(t, d, o).Recalled {
				t.Error("the result of other input was recalled")
			}
		})
	}
	if !w.build(t, d, base).Recalled {
		t.Error("the first result is forgotten")
	}
}

// TestALostLayerIsMadeAgain damages, then removes, the layers of a remembered
// result.
func TestALostLayerIsMadeAgain(t *testing.T) {
	dir, keys := mirror(t)
	cacheDir := t.TempDir()
	w := open(t, dir, keys, cacheDir)
	d := parse(t, definition)
	want := said(t, w.build(t, d, build.Options{Program: "test"}))
	for _, damage := range []func(string) error{
		func(path string) error { return os.WriteFile(path, []byte("damaged"), 0o600) },
		os.Remove,
		func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, bytes.ToUpper(data), 0o600)
		},
	} {
		blobs, err := filepath.Glob(filepath.Join(cacheDir, "blobs", "*"))
		if err != nil || len(blobs) == 0 {
			t.Fatal(len(blobs), err)
		}
		for _, b := range blobs {
			if err := damage(b); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, said(t, w.build(t, d, build.Options{Program: "test"}))); diff != "" {
			t.Error(diff)
		}
	}
}
