// Package compare says what differs between two images: packages, files,
// configuration and size, platform by platform. It reads images of any origin
// and believes nothing in them; it changes nothing.
package compare

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/rootfs"
)

// Limits on what is read of an image.
const (
	maxLayer  = 16 << 30 // bytes of an uncompressed layer
	maxStatus = 64 << 20 // bytes of a package database
)

// Change is one difference. Old is empty for what is new, and New for what is
// gone.
type Change struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// Platform is what differs for one platform.
type Platform struct {
	Platform string   `json:"platform"`
	Packages []Change `json:"packages,omitempty"`
	Config   []Change `json:"config,omitempty"`
	Files    []Change `json:"files,omitempty"`
	// Sizes are of the compressed layers, in bytes; 0 where an index does not
	// have the platform.
	OldSize int64 `json:"oldSize"`
	NewSize int64 `json:"newSize"`
}

// Same reports whether nothing differs but perhaps the compression.
func (p Platform) Same() bool { return len(p.Packages)+len(p.Config)+len(p.Files) == 0 }

// Indexes compares two indexes, in order of the platforms' names.
func Indexes(old, new v1.ImageIndex) ([]Platform, error) {
	before, err := images(old)
	if err != nil {
		return nil, fmt.Errorf("read the first image: %w", err)
	}
	after, err := images(new)
	if err != nil {
		return nil, fmt.Errorf("read the second image: %w", err)
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	var list []Platform
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, err := read(before[name])
		if err != nil {
			return nil, fmt.Errorf("read the first image for %s: %w", name, err)
		}
		b, err := read(after[name])
		if err != nil {
			return nil, fmt.Errorf("read the second image for %s: %w", name, err)
		}
		list = append(list, Platform{
			Platform: name, OldSize: a.size, NewSize: b.size,
			Packages: changes(a.packages, b.packages), Config: changes(a.config, b.config), Files: changes(a.files, b.files),
		})
	}
	return list, nil
}

// changes compares two tables, in order of their keys.
func changes(old, new map[string]string) []Change {
	all := map[string]bool{}
	for k := range old {
		all[k] = true
	}
	for k := range new {
		all[k] = true
	}
	var list []Change
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if old[k] != new[k] {
			list = append(list, Change{k, old[k], new[k]})
		}
	}
	return list
}

func images(x v1.ImageIndex) (map[string]v1.Image, error) {
	m, err := x.IndexManifest()
	if err != nil {
		return nil, err
	}
	list := map[string]v1.Image{}
	for _, d := range m.Manifests {
		if !d.MediaType.IsImage() {
			continue
		}
		img, err := x.Image(d.Digest)
		if err != nil {
			return nil, err
		}
		c, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		list[strings.TrimSuffix(c.OS+"/"+c.Architecture+"/"+c.Variant, "/")] = img
	}
	if len(list) == 0 {
		return nil, errors.New("it has no images")
	}
	return list, nil
}

// contents is an image as tables.
type contents struct {
	packages, config, files map[string]string
	size                    int64
}

// read reads an image; of nil it is empty.
func read(img v1.Image) (contents, error) {
	c := contents{map[string]string{}, map[string]string{}, map[string]string{}, 0}
	if img == nil {
		return c, nil
	}
	if err := c.readConfig(img); err != nil {
		return c, err
	}
	layers, err := img.Layers()
	if err != nil {
		return c, err
	}
	for _, l := range layers {
		n, err := l.Size()
		if err != nil {
			return c, err
		}
		c.size += n
		if err := c.readLayer(l); err != nil {
			return c, err
		}
	}
	return c, nil
}

// readConfig tables what a container is started with, field by field.
func (c *contents) readConfig(img v1.Image) error {
	file, err := img.ConfigFile()
	if err != nil {
		return err
	}
	data, err := json.Marshal(file.Config)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	for k, v := range fields {
		c.config[k] = string(v)
	}
	delete(c.config, "Env")
	for _, e := range file.Config.Env {
		name, value, _ := strings.Cut(e, "=")
		c.config["Env "+name] = value
	}
	delete(c.config, "Labels")
	for k, v := range file.Config.Labels {
		c.config["Labels "+k] = v
	}
	return nil
}

func (c *contents) readLayer(l v1.Layer) error {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	limited := &io.LimitedReader{R: r, N: maxLayer}
	entries, others, err := rootfs.ReadTar(limited)
	if err != nil {
		return err
	}
	if limited.N == 0 {
		return fmt.Errorf("a layer has more than %d bytes", int64(maxLayer))
	}
	if others > 0 {
		c.files["(devices and the like)"] = fmt.Sprint(others)
	}
	for _, e := range entries {
		c.put(e)
	}
	return c.readPackages(l)
}

// put adds an entry over those of lower layers; a whiteout removes.
func (c *contents) put(e rootfs.Entry) {
	dir, name := path.Split(e.Path)
	hidden, is := strings.CutPrefix(name, ".wh.")
	if !is {
		c.files[e.Path] = e.String()
		return
	}
	gone := dir + hidden
	if hidden == ".wh..opq" {
		gone = strings.TrimSuffix(dir, "/")
	}
	for p := range c.files {
		if p == gone && hidden != ".wh..opq" || strings.HasPrefix(p, gone+"/") {
			delete(c.files, p)
		}
	}
}

const (
	statusDir  = "var/lib/dpkg/status.d/"
	statusFile = "var/lib/dpkg/status"
)

// readPackages reads the package database of a layer in either of its forms.
func (c *contents) readPackages(l v1.Layer) error {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read layer: %w", err)
		}
		p := path.Clean(strings.TrimLeft(h.Name, "/"))
		one := strings.HasPrefix(p, statusDir) && !strings.HasSuffix(p, ".md5sums")
		if h.Typeflag != tar.TypeReg || !one && p != statusFile {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(t, maxStatus))
		if err != nil {
			return fmt.Errorf("read layer: %s: %w", p, err)
		}
		if !one {
			clear(c.packages) // the file is that of all layers below
		}
		for stanza, err := range deb.Stanzas(data) {
			if err != nil {
				return fmt.Errorf("read layer: %s: %w", p, err)
			}
			if name := stanza.Get("Package"); name != "" {
				c.packages[name] = stanza.Get("Version")
			}
		}
	}
}
