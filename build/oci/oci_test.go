package oci_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

func hash(data []byte) v1.Hash {
	s := sha256.Sum256(data)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(s[:])}
}

// layerFile writes a real layer and describes it.
func layerFile(t *testing.T, content string) oci.Layer {
	t.Helper()
	var plain bytes.Buffer
	_, err := rootfs.WriteSegment(&plain, "x", rootfs.Contents([]rootfs.Content{{Entry: rootfs.Entry{Path: "f", Mode: 0o644}, Data: []byte(content)}}), rootfs.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rootfs.WriteTrailer(&plain); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return oci.Layer{Digest: hash(packed.Bytes()), DiffID: hash(plain.Bytes()), Size: int64(packed.Len()), Path: file, Note: content}
}

func index(t *testing.T, format oci.Format) (v1.ImageIndex, v1.Image) {
	t.Helper()
	var entries []oci.PlatformImage
	for _, arch := range []string{"amd64", "arm64"} {
		p := spec.Platform{Arch: arch}
		img, err := oci.NewImage(format, oci.Config{
			Platform: p, Created: time.Unix(1_700_000_000, 0), User: "65532",
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/bin/probe"}},
		}, []oci.Layer{layerFile(t, "shared"), layerFile(t, arch)}, map[string]string{"a": "b"})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, oci.PlatformImage{Platform: p, Image: img})
	}
	idx, err := oci.NewIndex(format, entries, nil)
	if err != nil {
		t.Fatal(err)
	}
	return idx, entries[0].Image
}

// go-containerregistry reads every byte again and compares.
func TestImagesAreValid(t *testing.T) {
	for format, want := range map[oci.Format]types.MediaType{oci.OCI: types.OCIImageIndex, oci.Docker: types.DockerManifestList} {
		idx, img := index(t, format)
		if err := validate.Index(idx); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if mt, err := idx.MediaType(); err != nil || mt != want {
			t.Errorf("%s: media type %s, %v", format, mt, err)
		}
		file, err := img.ConfigFile()
		if err != nil || file.Config.Healthcheck == nil {
			t.Errorf("%s: the health check is gone: %v", format, err)
		}
	}
}

func TestLayoutReplacesOnlyALayout(t *testing.T) {
	idx, _ := index(t, oci.OCI)
	top := func(n int) string {
		m := v1.IndexManifest{SchemaVersion: 2}
		for range n {
			m.Manifests = append(m.Manifests, v1.Descriptor{Digest: hash(nil)})
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for what, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":           {nil, ""},
		"a layout":          {map[string]string{"oci-layout": "{}", "index.json": top(1), "blobs/sha256/stale": "x"}, ""},
		"an unfinished one": {map[string]string{"oci-layout": "{}", "blobs/sha256/x": "x"}, ""},
		"several images":    {map[string]string{"oci-layout": "{}", "index.json": top(2)}, "several images"},
		"a damaged one":     {map[string]string{"oci-layout": "{}", "index.json": "<"}, "damaged"},
		"a marked project":  {map[string]string{"oci-layout": "", "main.go": "x"}, "holds main.go"},
		"a repository":      {map[string]string{"oci-layout": "", ".git/HEAD": "x"}, "holds .git"},
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			for f, text := range tc.files {
				p := filepath.Join(dir, f)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := oci.WriteLayout(dir, idx, "latest")
			if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error = %v, want it to say %q", err, tc.want)
			}
			if err != nil {
				for f, text := range tc.files {
					if data, err := os.ReadFile(filepath.Join(dir, f)); err != nil || string(data) != text {
						t.Errorf("%s was touched: %v", f, err)
					}
				}
				return
			}
			if _, err := os.Stat(filepath.Join(dir, "blobs/sha256/stale")); err == nil {
				t.Error("a blob of the old layout is left")
			}
			got, err := oci.ReadLayout(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDeviceAndLinkTargets(t *testing.T) {
	_, img := index(t, oci.Docker)
	tag := name.MustParseReference("hardstand/x:1").(name.Tag)
	if err := oci.WriteDockerArchive("/dev/null", img, tag); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("writing over a device: %v", err)
	}
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target.tar"), filepath.Join(dir, "link.tar")
	if err := os.WriteFile(target, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := oci.WriteDockerArchive(link, img, tag); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if info, err := os.Stat(target); err != nil || info.Size() == 0 {
		t.Errorf("the target is empty: %v", err)
	}
}

// The daemon reports failures in many ways; each is an error here.
func TestLoadIntoDockerReportsFailures(t *testing.T) {
	_, img := index(t, oci.Docker)
	tag := name.MustParseReference("hardstand/x:1").(name.Tag)
	for what, tc := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"loaded":        {func(w http.ResponseWriter) { fmt.Fprint(w, `{"stream":"Loaded image: x"}`) }, ""},
		"error message": {func(w http.ResponseWriter) { fmt.Fprint(w, `{"stream":"a"}`+"\n"+`{"error":"no space left"}`) }, "no space left"},
		"500":           {func(w http.ResponseWriter) { http.Error(w, "broken", http.StatusInternalServerError) }, "broken"},
		"hung up":       {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var b bytes.Buffer
			_, _ = b.ReadFrom(r.Body)
			tc.answer(w)
		})}
		go func() { _ = server.Serve(l) }()
		err = oci.LoadIntoDocker(t.Context(), "unix://"+socket, img, tag)
		if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error = %v, want it to say %q", what, err, tc.want)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := oci.LoadIntoDocker(context.Background(), "tcp://192.0.2.1:2375", img, tag); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("a daemon across a network: %v", err)
	}
	if err := oci.LoadIntoDocker(context.Background(), "unix:///nonexistent", img, tag); err == nil {
		t.Error("no daemon, no error")
	}
}
