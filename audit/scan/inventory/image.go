package inventory

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// whiteout marks a path that an upper layer removes, as of the OCI image
// specification.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// FromImage lists an image of one platform. Every layer is compared with the
// digest that the configuration gives, and the configuration with the
// manifest's.
func FromImage(ctx context.Context, target string, img v1.Image, o Options) (*Inventory, error) {
	v, err := fromImage(ctx, target, img, o)
	if err != nil {
		return nil, fmt.Errorf("list packages of %s: %w", target, err)
	}
	return v, nil
}

func fromImage(ctx context.Context, target string, img v1.Image, o Options) (*Inventory, error) {
	config, digest, err := verified(img)
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("the manifest has %d layers and the configuration %d", len(layers), len(config.RootFS.DiffIDs))
	}
	inv := &Inventory{Target: target, Kind: "image", Digest: digest.String(), Platform: config.OS + "/" + config.Architecture}
	o2 := &overlay{rootfs: newRootfs(inv, o), hidden: map[string]bool{}, left: MaxUnpacked}
	for i := len(layers) - 1; i >= 0; i-- { // from the top, so that what is covered is never read
		if err := o2.layer(ctx, layers[i], config.RootFS.DiffIDs[i]); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return inv, o2.close()
}

// verified returns the configuration, which must be the manifest's.
func verified(img v1.Image) (*v1.ConfigFile, v1.Hash, error) {
	digest, err := img.Digest()
	if err != nil {
		return nil, digest, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, digest, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, digest, err
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(raw)); manifest.Config.Digest.Algorithm != "sha256" || sum != manifest.Config.Digest.Hex {
		return nil, digest, fmt.Errorf("the configuration has the digest sha256:%s, and the manifest says %s", sum, manifest.Config.Digest)
	}
	config, err := img.ConfigFile()
	return config, digest, err
}

// overlay reads layers from the top.
type overlay struct {
	*rootfs
	hidden  map[string]bool // paths that layers above replace or remove
	count   int
	left    int64
	covered map[string]bool // what this layer will hide from those below
}

func (o *overlay) layer(ctx context.Context, l v1.Layer, diffID v1.Hash) error {
	digest, err := l.Digest()
	if err != nil {
		return err
	}
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	stream := &hashed{r: r, ctx: ctx, left: o.left, sum: sha256.New()}
	o.covered = map[string]bool{}
	err = o.entries(tar.NewReader(stream), digest.String())
	if err == nil {
		_, err = io.Copy(io.Discard, stream)
	}
	o.left = stream.left
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if got := fmt.Sprintf("sha256:%x", stream.sum.Sum(nil)); got != diffID.String() {
		return fmt.Errorf("it has the digest %s, and the configuration says %s", got, diffID)
	}
	for name := range o.covered {
		o.hidden[name] = true
	}
	return nil
}

func (o *overlay) entries(t *tar.Reader, layer string) error {
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if o.count++; o.count > MaxEntries {
			return fmt.Errorf("more than %d files", MaxEntries)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		dir, base := path.Split(name)
		switch {
		case base == opaque:
			o.covered[path.Clean("/" + dir)[1:]+"/*"] = true
			continue
		case strings.HasPrefix(base, whiteout):
			o.covered[path.Join(dir, strings.TrimPrefix(base, whiteout))] = true
			continue
		case o.gone(name):
			continue
		}
		if h.Typeflag == tar.TypeDir {
			o.covered[name+"/"] = true // hides a file of that name, not what is below it
			continue
		}
		if o.hidden[name+"/"] {
			continue
		}
		o.covered[name] = true
		if err := o.entry(t, h, name, layer); err != nil {
			return err
		}
	}
}

func (o *overlay) entry(t *tar.Reader, h *tar.Header, name, layer string) error {
	switch h.Typeflag {
	case tar.TypeGNUSparse:
		o.sparse(name)
	case tar.TypeReg:
		for k := range h.PAXRecords {
			if strings.HasPrefix(k, "GNU.sparse.") {
				o.sparse(name)
				return nil
			}
		}
		return o.file(name, layer, h.Size, t)
	case tar.TypeLink:
		// The same bytes under another name: a program is listed once, but a
		// list must be found under its own name.
		target := strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		if f, ok := o.files[target]; ok && f.data != nil {
			o.files[name] = f
		} else if o.wanted(name) {
			o.inv.problem("%s: it is a link to %s and is not read", name, target)
		}
	case tar.TypeSymlink:
		if o.wanted(name) && path.Base(name) != "os-release" {
			o.inv.problem("%s: it is a link to %s and is not read", name, h.Linkname)
		}
	}
	return nil
}

// sparse takes note of a file with holes. A kilobyte of a layer may announce an
// exabyte of them, and no builder stores programs or lists so.
func (o *overlay) sparse(name string) {
	o.inv.problem("%s: it is stored with holes and is not read", name)
}

// gone reports whether a layer above hides a path: it or a parent is replaced
// or removed, or a parent was made opaque.
func (o *overlay) gone(name string) bool {
	if o.hidden[name] {
		return true
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if o.hidden[dir] || o.hidden[dir+"/*"] {
			return true
		}
	}
	return o.hidden["/*"]
}

// hashed counts and hashes a layer's unpacked bytes, and ends with the
// context.
type hashed struct {
	r    io.Reader
	ctx  context.Context
	left int64
	sum  hash.Hash
}

func (h *hashed) Read(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := h.r.Read(p)
	if h.left -= int64(n); h.left < 0 {
		return 0, fmt.Errorf("the layers unpack to more than %d bytes", int64(MaxUnpacked))
	}
	h.sum.Write(p[:n])
	return n, err
}
