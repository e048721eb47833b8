package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/provenance"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

// baseOwner owns the paths of the image that a definition starts from.
const baseOwner = "the base image"

// installed gives the packages of a platform's image as dpkg's database has
// them.
func (b *Base) installed(ctx context.Context, c *cache.Cache, p spec.Platform) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	base, err := b.read(ctx, c, p)
	if err != nil {
		return nil, err
	}
	var list []byte
	for _, pkg := range base.gate.Packages {
		list = append(append(list, pkg.Stanza...), '\n')
	}
	return list, nil
}

// fits makes sure that an image is the one that a definition names.
func (b *Base) fits(d *spec.Definition) error {
	switch {
	case d.From == nil && b == nil:
		return nil
	case d.From == nil:
		return errors.New("the definition starts from no other image")
	case b == nil:
		return fmt.Errorf("start from %s: its signature was not verified", d.From.Image)
	case b.Reference != d.From.Image:
		return fmt.Errorf("start from %s: what was verified is %s", d.From.Image, b.Reference)
	}
	return nil
}

func (b *Base) evidence() *provenance.Base {
	if b == nil {
		return nil
	}
	return &provenance.Base{Reference: b.Reference, SignedBy: b.SignedBy}
}

// startFrom puts the base image's files into the tree and takes the packages
// that it has off the list. The lock was made for this very image, so another
// version of one of them is a damaged lock.
func (img *Image) startFrom(ctx context.Context, d *spec.Definition, o Options) error {
	if o.Base == nil {
		return nil
	}
	var err error
	if img.base, err = o.Base.read(ctx, o.Cache, img.Platform); err != nil {
		return err
	}
	if err := img.Tree.Add(&rootfs.Segment{Owner: baseOwner, Entries: img.base.gate.Entries}); err != nil {
		return fmt.Errorf("read %s: it has files below what is no directory: %w", o.Base.Reference, err)
	}
	has := map[string]string{}
	for _, p := range img.base.gate.Packages {
		has[p.Name] = p.Version
	}
	var own []*spec.Package
	var errs []error
	for _, p := range img.Packages {
		switch has[p.Name] {
		case "":
			own = append(own, p)
		case p.Version:
		default:
			errs = append(errs, fmt.Errorf("package %s: %s has %s, the lock %s: run hardstand lock", p.Name, baseOwner, has[p.Name], p.Version))
		}
	}
	for _, p := range own {
		has[p.Name] = p.Version
	}
	for _, want := range d.Packages {
		if name, _, _ := strings.Cut(want, " "); has[name] == "" {
			errs = append(errs, fmt.Errorf("package %s is neither in the lock nor in %s: run hardstand lock", name, baseOwner))
		}
	}
	img.Packages = own
	return errors.Join(errs...)
}

// The methods below do nothing, or say so, for an image without a base.

func (b *baseImage) newest() int64 {
	if b == nil || b.config.Created.IsZero() {
		return 0
	}
	return b.config.Created.Unix()
}

func (b *baseImage) below() []oci.Layer {
	if b == nil {
		return nil
	}
	return b.layers
}

func (b *baseImage) has(p string) bool {
	return b != nil && slices.ContainsFunc(b.gate.Entries, func(e rootfs.Entry) bool { return e.Path == p })
}

// missing leaves out what the base image has of its own: its accounts stay.
func (b *baseImage) missing(files []rootfs.Content) []rootfs.Content {
	return slices.DeleteFunc(files, func(c rootfs.Content) bool { return b.has(c.Path) })
}

func (b *baseImage) workDir() string {
	if b == nil {
		return ""
	}
	return b.config.Config.WorkingDir
}

// inherit gives a config what the base image's says and the definition does
// not. An entry point of the definition's own ends the base's command, as in a
// Dockerfile.
func (b *baseImage) inherit(d *spec.Definition, c *oci.Config, environment map[string]string) {
	if b == nil {
		return
	}
	c.Base = b.config
	from := b.config.Config
	for _, variable := range from.Env {
		if name, value, ok := strings.Cut(variable, "="); ok {
			environment[name] = value
		}
	}
	if len(d.Entrypoint) == 0 {
		c.Entrypoint = append(c.Entrypoint, from.Entrypoint...)
		if len(c.Cmd) == 0 {
			c.Cmd = from.Cmd
		}
	}
	labels := maps.Clone(from.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, c.Labels)
	c.Labels, c.Healthcheck = labels, from.Healthcheck
}

// user is who processes run as: the definition's account, else the base's.
func (img *Image) user(d *spec.Definition) string {
	if d.Accounts.RunAs == "" && img.base != nil {
		return img.base.config.Config.User
	}
	return fmt.Sprint(spec.Users[d.Accounts.RunAs])
}

// userID is the number of that user. A name that is not of our accounts gets
// the one without rights.
func (img *Image) userID(d *spec.Definition) int {
	name, _, _ := strings.Cut(img.user(d), ":")
	if id, err := strconv.Atoi(name); err == nil && id >= 0 {
		return id
	}
	if id, ok := spec.Users[name]; ok {
		return id
	}
	return spec.Users["nonroot"]
}

// components describes the base image and its packages for the SBOM.
func (b *baseImage) components(d *spec.Definition, from *Base) []sbom.Component {
	if b == nil {
		return nil
	}
	repository, digest, _ := strings.Cut(from.Reference, "@")
	name := "base image " + repository
	list := []sbom.Component{{
		Name: name, Version: digest, SHA256: strings.TrimPrefix(digest, "sha256:"), PURL: sbom.OCIPURL(from.Reference), License: "NOASSERTION",
		Note: "the image started from, signed by " + strings.Join(from.SignedBy, ", "), Container: true,
	}}
	for _, p := range b.gate.Packages {
		s := deb.Stanza(p.Stanza)
		source, sourceVersion := s.Source()
		license := p.License.Expression
		if license == "" {
			license = "NOASSERTION"
		}
		list = append(list, sbom.Component{
			Name: p.Name, Version: p.Version, License: license, Supplier: "Debian", Within: name, Note: "a Debian package of the base image",
			PURL: sbom.DebPURL(&spec.Package{
				Name: p.Name, Version: p.Version, Architecture: s.Get("Architecture"), Source: source, SourceVersion: sourceVersion,
			}, spec.Releases[d.Debian.Suite]),
		})
	}
	return list
}

// platformImage finds the image of a platform in an index.
func platformImage(x v1.ImageIndex, p spec.Platform) (v1.Image, error) {
	m, err := x.IndexManifest()
	if err != nil {
		return nil, err
	}
	want := oci.Platform(p)
	var has []string
	for _, entry := range m.Manifests {
		at := entry.Platform
		if at == nil || !entry.MediaType.IsImage() {
			continue
		}
		has = append(has, at.String())
		if at.OS == want.OS && at.Architecture == want.Architecture && (at.Variant == want.Variant || at.Variant == p.Variant) {
			return x.Image(entry.Digest)
		}
	}
	return nil, fmt.Errorf("it has no image for %s, only for %s: name other platforms in the definition", p, strings.Join(has, ", "))
}
