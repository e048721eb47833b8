// Package oci makes container images of finished layers: manifests, configs
// and indexes in the OCI and the Docker format, and the places a build can
// leave them in: an OCI layout, a docker-archive, a Docker daemon.
//
// Formats: the OCI image specification 1.1, and Docker image manifest version
// 2 schema 2. Only the Docker format has a HEALTHCHECK by specification; in
// the OCI format it is kept as an extension of the config that Docker reads
// and that podman and buildah ignore.
package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hardstand/hardstand/build/spec"
)

// Format is the family of media types an image is written in.
type Format string

// The formats.
const (
	OCI    Format = "oci"
	Docker Format = "docker"
)

func (f Format) pick(oci, docker types.MediaType) types.MediaType {
	if f == Docker {
		return docker
	}
	return oci
}

func (f Format) layerType(l Layer) (types.MediaType, error) {
	switch {
	case l.Compression != "zstd":
		return f.pick(types.OCILayer, types.DockerLayer), nil
	case f == Docker:
		return "", errors.New("the Docker format has no zstd layers: use gzip, or an OCI layout")
	}
	return types.OCILayerZStd, nil
}

// Layer is a finished layer: a compressed tar in a file.
type Layer struct {
	Digest v1.Hash `json:"digest"`  // of the compressed bytes
	DiffID v1.Hash `json:"diff-id"` // of the tar
	Size   int64   `json:"size"`    // compressed, bytes
	Path   string  `json:"-"`       // of the file
	Note   string  `json:"note"`    // what the layer holds, for the history
	// Compression is "gzip" or "zstd"; empty means gzip.
	Compression string `json:"compression,omitempty"`
}

// Config is what an image's config says besides its layers.
type Config struct {
	Platform    spec.Platform
	Created     time.Time
	User        string
	Environment []string // "NAME=value", in order
	Entrypoint  []string
	Cmd         []string
	WorkDir     string
	Labels      map[string]string
	Healthcheck *v1.HealthConfig
	// Base is the config of the image that the first layers are, or nil. Its
	// history is kept, and what the fields above do not say.
	Base *v1.ConfigFile
}

// layer is a Layer as go-containerregistry wants it.
type layer struct {
	Layer
	mediaType types.MediaType
}

func (l *layer) Digest() (v1.Hash, error)            { return l.Layer.Digest, nil }
func (l *layer) DiffID() (v1.Hash, error)            { return l.Layer.DiffID, nil }
func (l *layer) Size() (int64, error)                { return l.Layer.Size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.mediaType, nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return os.Open(l.Path) }

func (l *layer) Uncompressed() (io.ReadCloser, error) { return l.Open() }

// Open reads the layer as the tar that it is.
func (l Layer) Open() (io.ReadCloser, error) {
	f, err := os.Open(l.Path)
	if err != nil {
		return nil, err
	}
	var z io.ReadCloser
	if l.Compression == "zstd" {
		z, err = unzstd(f)
	} else {
		z, err = gzip.NewReader(f)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("read layer %s: %w", l.Digest, err)
	}
	return &uncompressed{z, f}, nil
}

func unzstd(r io.Reader) (io.ReadCloser, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

// uncompressed closes the decompressor and the file below it.
type uncompressed struct {
	io.ReadCloser
	file *os.File
}

func (u *uncompressed) Close() error { return errors.Join(u.ReadCloser.Close(), u.file.Close()) }

// image implements partial.CompressedImageCore.
type image struct {
	config, manifest []byte
	mediaType        types.MediaType
	layers           map[v1.Hash]*layer
}

func (i *image) RawConfigFile() ([]byte, error)      { return i.config, nil }
func (i *image) RawManifest() ([]byte, error)        { return i.manifest, nil }
func (i *image) MediaType() (types.MediaType, error) { return i.mediaType, nil }

func (i *image) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if l, ok := i.layers[h]; ok {
		return l, nil
	}
	return nil, fmt.Errorf("image has no layer %s", h)
}

// NewImage makes an image of layers, lowest first.
func NewImage(format Format, c Config, layers []Layer, annotations map[string]string) (v1.Image, error) {
	file := v1.ConfigFile{
		Architecture: c.Platform.Arch, Variant: variant(c.Platform), OS: "linux",
		Created: v1.Time{Time: c.Created.UTC()},
		RootFS:  v1.RootFS{Type: "layers"},
	}
	below := 0 // layers that are the base's
	if c.Base != nil {
		base := c.Base.DeepCopy()
		file.Config, file.History, file.RootFS.DiffIDs = base.Config, base.History, base.RootFS.DiffIDs
		below = len(file.RootFS.DiffIDs)
	}
	own := &file.Config
	own.User, own.Env, own.Entrypoint, own.Cmd = c.User, c.Environment, c.Entrypoint, c.Cmd
	own.WorkingDir, own.Labels, own.Healthcheck = c.WorkDir, c.Labels, c.Healthcheck
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: format.pick(types.OCIManifestSchema1, types.DockerManifestSchema2)}
	if format == OCI {
		manifest.Annotations = annotations
	}
	img := &image{mediaType: manifest.MediaType, layers: map[v1.Hash]*layer{}}
	for i, l := range layers {
		layerType, err := format.layerType(l)
		if err != nil {
			return nil, fmt.Errorf("write image manifest: %w", err)
		}
		if i >= below {
			file.RootFS.DiffIDs = append(file.RootFS.DiffIDs, l.DiffID)
			file.History = append(file.History, v1.History{Created: file.Created, CreatedBy: "hardstand", Comment: l.Note})
		}
		manifest.Layers = append(manifest.Layers, v1.Descriptor{MediaType: layerType, Size: l.Size, Digest: l.Digest})
		img.layers[l.Digest] = &layer{l, layerType}
	}
	var err error
	if img.config, err = json.Marshal(file); err != nil {
		return nil, fmt.Errorf("write image config: %w", err)
	}
	hash, size, err := v1.SHA256(bytes.NewReader(img.config))
	if err != nil {
		return nil, fmt.Errorf("write image config: %w", err)
	}
	manifest.Config = v1.Descriptor{MediaType: format.pick(types.OCIConfigJSON, types.DockerConfigJSON), Size: size, Digest: hash}
	if img.manifest, err = json.Marshal(manifest); err != nil {
		return nil, fmt.Errorf("write image manifest: %w", err)
	}
	return partial.CompressedToImage(img)
}

// Restore makes an image of the config and the manifest that NewImage wrote,
// and its layers.
func Restore(format Format, config, manifest []byte, layers []Layer) (v1.Image, error) {
	img := &image{
		config: config, manifest: manifest, layers: map[v1.Hash]*layer{},
		mediaType: format.pick(types.OCIManifestSchema1, types.DockerManifestSchema2),
	}
	for _, l := range layers {
		layerType, err := format.layerType(l)
		if err != nil {
			return nil, err
		}
		img.layers[l.Digest] = &layer{l, layerType}
	}
	return partial.CompressedToImage(img)
}

// variant is what platform selection expects: arm64 goes as v8.
func variant(p spec.Platform) string {
	if p.Arch == "arm64" {
		return "v8"
	}
	return p.Variant
}

// Platform gives the OCI platform of a spec.Platform.
func Platform(p spec.Platform) *v1.Platform {
	return &v1.Platform{OS: "linux", Architecture: p.Arch, Variant: variant(p)}
}

// index implements v1.ImageIndex over finished images.
type index struct {
	manifest  []byte
	mediaType types.MediaType
	parsed    *v1.IndexManifest
	images    map[v1.Hash]v1.Image
}

// PlatformImage is one entry of an index.
type PlatformImage struct {
	Platform spec.Platform
	Image    v1.Image
}

// NewIndex makes an index of images, in the order given.
func NewIndex(format Format, images []PlatformImage, annotations map[string]string) (v1.ImageIndex, error) {
	x := &index{
		mediaType: format.pick(types.OCIImageIndex, types.DockerManifestList),
		images:    map[v1.Hash]v1.Image{},
	}
	x.parsed = &v1.IndexManifest{SchemaVersion: 2, MediaType: x.mediaType}
	if format == OCI {
		x.parsed.Annotations = annotations
	}
	for _, i := range images {
		d, err := partial.Descriptor(i.Image)
		if err != nil {
			return nil, fmt.Errorf("write index: %w", err)
		}
		d.Platform, d.Annotations = Platform(i.Platform), nil
		x.parsed.Manifests = append(x.parsed.Manifests, *d)
		x.images[d.Digest] = i.Image
	}
	var err error
	if x.manifest, err = json.Marshal(x.parsed); err != nil {
		return nil, fmt.Errorf("write index: %w", err)
	}
	return x, nil
}

// RestoreIndex makes an index of the manifest that NewIndex wrote, and its
// images.
func RestoreIndex(format Format, manifest []byte, images []v1.Image) (v1.ImageIndex, error) {
	x := &index{
		manifest: manifest, mediaType: format.pick(types.OCIImageIndex, types.DockerManifestList),
		parsed: &v1.IndexManifest{}, images: map[v1.Hash]v1.Image{},
	}
	if err := json.Unmarshal(manifest, x.parsed); err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	for _, img := range images {
		d, err := img.Digest()
		if err != nil {
			return nil, fmt.Errorf("read index: %w", err)
		}
		x.images[d] = img
	}
	return x, nil
}

func (x *index) MediaType() (types.MediaType, error)       { return x.mediaType, nil }
func (x *index) Digest() (v1.Hash, error)                  { return partial.Digest(x) }
func (x *index) Size() (int64, error)                      { return int64(len(x.manifest)), nil }
func (x *index) IndexManifest() (*v1.IndexManifest, error) { return x.parsed.DeepCopy(), nil }
func (x *index) RawManifest() ([]byte, error)              { return x.manifest, nil }

func (x *index) Image(h v1.Hash) (v1.Image, error) {
	if i, ok := x.images[h]; ok {
		return i, nil
	}
	return nil, fmt.Errorf("index has no image %s", h)
}

func (x *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	return nil, fmt.Errorf("index has no index %s", h)
}
