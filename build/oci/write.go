package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/internal/atomicfile"
)

const layoutFile = `{"imageLayoutVersion":"1.0.0"}`

// WriteLayout writes an index and everything below it as an OCI layout. Blobs
// come first and index.json, by a rename, last: until then the directory is
// what it was before. An older layout there is replaced, anything else is
// refused. ref, if not empty, names the index in the layout.
func WriteLayout(dir string, idx v1.ImageIndex, ref string) error {
	return UpdateLayout(dir, idx, ref, nil)
}

// UpdateLayout is WriteLayout, but leaves layers that are there already as they
// are if holds says that their files have the content they should.
func UpdateLayout(dir string, idx v1.ImageIndex, ref string, holds func(path string, h v1.Hash) bool) error {
	if err := replaceable(dir); err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	w := &layoutWriter{dir: dir, kept: map[string]bool{}, holds: holds}
	w.copies.SetLimit(maxCopies)
	if err := w.write(idx, ref); err != nil {
		return fmt.Errorf("write layout %s: %w", dir, err)
	}
	return nil
}

// ClaimsFile is a file beside a layout's index.json: in-toto statements about
// its images, unsigned, one a line. Publishing the layout signs them.
const ClaimsFile = "attestations.intoto.jsonl"

// SignaturesFile is a file beside a layout's index.json: sigstore bundles over
// statements about its images, one a line.
const SignaturesFile = "signatures.sigstore.jsonl"

// layoutFiles are what a layout has at its top.
var layoutFiles = map[string]bool{"oci-layout": true, "index.json": true, "blobs": true, ClaimsFile: true, SignaturesFile: true}

// replaceable reports an error for a directory that holds anything but a
// layout of one image, whose loss the caller has asked for.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !layoutFiles[e.Name()] && !strings.HasPrefix(e.Name(), atomicfile.TempPrefix) {
			return fmt.Errorf("%s holds %s, so it is no OCI layout of ours to replace: choose another directory", dir, e.Name())
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a layout that was never finished
	}
	var top v1.IndexManifest
	if err != nil || json.Unmarshal(data, &top) != nil || len(top.Manifests) > 1 {
		return fmt.Errorf("%s is an OCI layout of several images, or a damaged one: choose another directory", dir)
	}
	return nil
}

// layoutWriter writes blobs under their digests and remembers which.
type layoutWriter struct {
	dir    string
	kept   map[string]bool
	holds  func(path string, h v1.Hash) bool
	copies errgroup.Group
}

// maxCopies is how many blobs are copied at once.
const maxCopies = 4

func (w *layoutWriter) write(idx v1.ImageIndex, ref string) error {
	if err := os.MkdirAll(filepath.Join(w.dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	manifest, err := idx.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		img, err := idx.Image(d.Digest)
		if err != nil {
			return err
		}
		if err := w.image(img); err != nil {
			return errors.Join(err, w.copies.Wait())
		}
	}
	if err := w.copies.Wait(); err != nil {
		return err
	}
	raw, err := idx.RawManifest()
	if err != nil {
		return err
	}
	hash, err := idx.Digest()
	if err != nil {
		return err
	}
	top := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex,
		Manifests: []v1.Descriptor{{MediaType: manifest.MediaType, Size: int64(len(raw)), Digest: hash}}}
	if ref != "" {
		top.Manifests[0].Annotations = map[string]string{"org.opencontainers.image.ref.name": ref}
	}
	data, err := json.Marshal(top)
	if err != nil {
		return err
	}
	if err := errors.Join(w.blob(hash, raw), w.small("oci-layout", []byte(layoutFile)), w.small("index.json", data)); err != nil {
		return err
	}
	return w.sweep()
}

func (w *layoutWriter) image(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := w.layer(l); err != nil {
			return err
		}
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	configHash, err := img.ConfigName()
	if err != nil {
		return err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	hash, err := img.Digest()
	if err != nil {
		return err
	}
	return errors.Join(w.blob(configHash, config), w.blob(hash, manifest))
}

func (w *layoutWriter) blob(h v1.Hash, data []byte) error {
	w.kept[h.Hex] = true
	return w.small(filepath.Join("blobs", h.Algorithm, h.Hex), data)
}

func (w *layoutWriter) layer(l v1.Layer) error {
	h, err := l.Digest()
	if err != nil {
		return err
	}
	if w.kept[h.Hex] {
		return nil // shared with another platform
	}
	w.kept[h.Hex] = true
	w.copies.Go(func() error {
		if w.holds != nil && w.holds(filepath.Join(w.dir, "blobs", h.Algorithm, h.Hex), h) {
			return nil
		}
		r, err := l.Compressed()
		if err != nil {
			return err
		}
		return errors.Join(w.file(filepath.Join("blobs", h.Algorithm, h.Hex), r), r.Close())
	})
	return nil
}

// small writes what is in memory.
func (w *layoutWriter) small(name string, data []byte) error {
	return atomicfile.Update(filepath.Join(w.dir, name), data, 0o644)
}

// file writes a file wholly or not at all, with the modes that umask allows.
func (w *layoutWriter) file(name string, r io.Reader) error {
	return atomicfile.Replace(filepath.Join(w.dir, name), 0o644, atomicfile.Copy(r))
}

// sweep removes blobs that the layout that stood here before had.
func (w *layoutWriter) sweep() error {
	dir := filepath.Join(w.dir, "blobs", "sha256")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !w.kept[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadLayout opens the one index or image of an OCI layout as an index.
func ReadLayout(dir string) (v1.ImageIndex, error) {
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("read layout %s: %w", dir, err)
	}
	m, err := top.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read layout %s: %w", dir, err)
	}
	if len(m.Manifests) == 1 && m.Manifests[0].MediaType.IsIndex() {
		return top.ImageIndex(m.Manifests[0].Digest)
	}
	return top, nil
}

// WriteDockerArchive writes an image to a file in the form that docker load
// reads. The file appears whole or not at all.
func WriteDockerArchive(file string, img v1.Image, tag name.Tag) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write docker-archive: %w", err)
	}
	if err := atomicfile.Replace(file, 0o644, func(w *os.File) error { return tarball.Write(tag, img, w) }); err != nil {
		return fmt.Errorf("write docker-archive %s: %w", file, err)
	}
	return nil
}

// StreamDockerArchive writes an image to a stream in the form that docker load
// reads.
func StreamDockerArchive(w io.Writer, img v1.Image, tag name.Tag) error {
	if err := tarball.Write(tag, img, w); err != nil {
		return fmt.Errorf("write docker-archive: %w", err)
	}
	return nil
}

// LoadIntoDocker hands an image to a Docker daemon. host is a DOCKER_HOST
// value; empty means the default socket. Only unix sockets are spoken to: an
// image would cross a network unprotected otherwise.
func LoadIntoDocker(ctx context.Context, host string, img v1.Image, tag name.Tag) error {
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "unix" {
		return fmt.Errorf("load into docker: %q is not a unix socket: write a docker-archive and run docker load", host)
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", u.Path)
		},
	}}
	defer client.CloseIdleConnections()
	r, w := io.Pipe()
	go func() { w.CloseWithError(tarball.Write(tag, img, w)) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker/images/load?quiet=1", r)
	if err != nil {
		return fmt.Errorf("load into docker: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-tar")
	resp, err := client.Do(req)
	if err != nil {
		_ = r.CloseWithError(err)
		return fmt.Errorf("load into docker at %s: %w", host, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end below
	return loadAnswer(resp)
}

// loadAnswer reads the stream of JSON messages by which the daemon reports;
// failures come with status 200 too.
func loadAnswer(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("load into docker: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("load into docker: daemon answers %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	for {
		var m struct {
			Error string `json:"error"`
		}
		if err := dec.Decode(&m); err != nil {
			return nil //nolint:nilerr // the end of the messages
		}
		if m.Error != "" {
			return fmt.Errorf("load into docker: %s", m.Error)
		}
	}
}
