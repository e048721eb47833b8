package build_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/payload/payloadtest"
	"github.com/hardstand/hardstand/build/spec"
)

// The probe begins its layer, after its directories and with a date that is the
// same in every image. What the layer is said to unpack to is hashed from the
// start that is embedded, unless the probe stands elsewhere or is patched: the
// layers say the truth either way, however the image is cut and compressed.
func TestTheProbeLeadsItsLayer(t *testing.T) {
	payloadtest.Need(t)
	dir, keys := mirror(t)
	for name, c := range map[string]struct{ more, path string }{
		"embedded":  {"probe: {path: /bin/probe, tls: true}", "usr/bin/probe"},
		"plain":     {"probe: {path: /bin/probe}", "usr/bin/probe"},
		"elsewhere": {"probe: {path: /srv/health/probe, tls: true}", "srv/health/probe"},
		"patched":   {"probe: {path: /bin/probe, remote: true}", "usr/bin/probe"},
		"one layer": {"probe: {path: /bin/probe}\nlayers: 1", "usr/bin/probe"},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, dir, keys, t.TempDir())
			img := w.build(t, parse(t, definition+c.more), build.Options{Platforms: []spec.Platform{{Arch: "amd64"}}}).Images[0]
			if err := validate.Image(img.Image); err != nil {
				t.Fatal(err)
			}
			// Whose blocks are compressed anew, and hashed as they are.
			zstd := w.build(t, parse(t, definition+c.more+"\ncompression: zstd"), build.Options{Platforms: []spec.Platform{{Arch: "amd64"}}}).Images[0]
			if diff := cmp.Diff(diffIDs(t, img), diffIDs(t, zstd)); diff != "" {
				t.Error("with zstd the layers unpack to something else:", diff)
			}
			found := false
			for _, entries := range tars(t, img) {
				for i, h := range entries {
					if h.Name != c.path {
						continue
					}
					found = true
					for _, lead := range entries[:i+1] {
						if !lead.ModTime.IsZero() && lead.ModTime.Unix() != 0 || lead.Typeflag != tar.TypeDir && lead.Name != c.path {
							t.Errorf("%s of %v stands before the probe", lead.Name, lead.ModTime)
						}
					}
					if i != 2 {
						t.Errorf("the probe is entry %d of its layer", i)
					}
				}
			}
			if !found {
				t.Errorf("no layer has %s", c.path)
			}
		})
	}
}

func diffIDs(t *testing.T, img *build.Image) (list []string) {
	t.Helper()
	config, err := img.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range config.RootFS.DiffIDs {
		list = append(list, d.String())
	}
	return list
}

// tars returns the entries of every layer.
func tars(t *testing.T, img *build.Image) (list [][]*tar.Header) {
	t.Helper()
	layers, err := img.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		var entries []*tar.Header
		for z := tar.NewReader(r); ; {
			h, err := z.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, h)
		}
		list = append(list, entries)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// Every embedded probe has a start, which is that of an uncompressed layer.
func TestStartsOfProbes(t *testing.T) {
	payloadtest.Need(t)
	d := parse(t, "name: x\nbare: true\nprobe: {path: /bin/probe, tls: true}\nlinks: {/bin: usr/bin}\nplatforms: [amd64, arm64]\nentrypoint: [/bin/probe]")
	dir, keys := mirror(t)
	r := open(t, dir, keys, t.TempDir()).build(t, d, build.Options{})
	for _, img := range r.Images {
		program, err := payload.Open(payload.Probe, img.Platform)
		if err != nil {
			t.Fatal(err)
		}
		if program.Start == nil {
			t.Fatalf("the probe for %s has no start", img.Platform)
		}
		layers, err := img.Image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		const headers = 3 * 512
		end := headers + int(program.Size+511)/512*512
		frame := append(bytes.Clone(data[:headers]), data[headers+program.Size:end]...)
		if got := cache.Sum(frame); got != program.Start.Frame {
			t.Errorf("%s: what stands around the probe is %s, the start says %s", img.Platform, got, program.Start.Frame)
		}
		h := sha256.New()
		if err := program.Start.Resume(h); err != nil {
			t.Fatal(err)
		}
		h.Write(data[end:])
		want := sha256.Sum256(data)
		if diff := cmp.Diff(hex.EncodeToString(want[:]), hex.EncodeToString(h.Sum(nil))); diff != "" {
			t.Errorf("%s: %s", img.Platform, diff)
		}
	}
}
