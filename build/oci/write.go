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
)

const layoutFile = `{"imageLayoutVersion":"1.0.0"}`

// WriteLayout writes an index and everything below it as an OCI layout. The
// directory appears whole or not at all; an older layout there is replaced,
// anything else is refused. ref, if not empty, names the index in the layout.
func WriteLayout(dir string, idx v1.ImageIndex, ref string) (err error) {
	dir = filepath.Clean(dir)
	if err := replaceable(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-")
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(tmp))
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	if err := fill(tmp, idx, ref); err != nil {
		return fmt.Errorf("write layout %s: %w", dir, err)
	}
	old := tmp + ".old"
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write layout: %w", err)
	}
	defer os.RemoveAll(old) //nolint:errcheck // the new layout is in place
	if err := os.Rename(tmp, dir); err != nil {
		return errors.Join(fmt.Errorf("write layout: %w", err), os.Rename(old, dir))
	}
	return nil
}

// replaceable reports an error for a directory that is neither empty nor a
// layout.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err != nil {
		return fmt.Errorf("write layout: %s exists and is no OCI layout: remove it or choose another directory", dir)
	}
	return nil
}

func fill(dir string, idx v1.ImageIndex, ref string) error {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
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
		if err := writeImage(dir, img); err != nil {
			return err
		}
	}
	raw, err := idx.RawManifest()
	if err != nil {
		return err
	}
	hash, err := idx.Digest()
	if err != nil {
		return err
	}
	if err := writeBlob(dir, hash, raw); err != nil {
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
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(layoutFile), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.json"), data, 0o644)
}

func writeImage(dir string, img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := writeLayer(dir, l); err != nil {
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
	return errors.Join(writeBlob(dir, configHash, config), writeBlob(dir, hash, manifest))
}

func blobPath(dir string, h v1.Hash) string { return filepath.Join(dir, "blobs", h.Algorithm, h.Hex) }

func writeBlob(dir string, h v1.Hash, data []byte) error {
	return os.WriteFile(blobPath(dir, h), data, 0o644)
}

func writeLayer(dir string, l v1.Layer) error {
	h, err := l.Digest()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(blobPath(dir, h), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil // shared with another platform
	}
	if err != nil {
		return err
	}
	r, err := l.Compressed()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, r.Close(), f.Close())
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

// WriteDockerArchive writes an image in the form that docker load reads. The
// file appears whole or not at all.
func WriteDockerArchive(file string, img v1.Image, tag name.Tag) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write docker-archive: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".tmp-")
	if err != nil {
		return fmt.Errorf("write docker-archive: %w", err)
	}
	err = errors.Join(tarball.Write(tag, img, f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write docker-archive %s: %w", file, err)
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
