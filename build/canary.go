package build

import (
	"strings"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/decoy"
)

// canaryGroup makes the layer of decoys. It is the top one and the only one
// that depends on the canary's master secret.
func canaryGroup(d *spec.Definition, o Options, img *Image, newest int64) (group, sbom.Component, error) {
	prog, err := payload.Lookup(payload.Decoy, img.Platform)
	if err != nil {
		return group{}, sbom.Component{}, err
	}
	binary, err := payload.Read(payload.Decoy, img.Platform)
	if err != nil {
		return group{}, sbom.Component{}, err
	}
	result, err := decoy.Emit(decoy.Options{
		Binary: binary, Arch: img.Platform.Arch, Master: o.Canary, BuildID: buildID(d, img, prog), Image: d.Name,
		Decoys: decoys(d.Canary), Shadowed: img.shadowed, Entrypoints: entrypoints(d), OnTrip: d.Canary.OnTrip,
	})
	if err != nil {
		return group{}, sbom.Component{}, err
	}
	files := make([]rootfs.Content, 0, len(result.Files))
	for _, f := range result.Files {
		c := rootfs.Content{Entry: rootfs.Entry{Path: relative(f.Path), Mode: uint32(f.Mode.Perm()), ModTime: newest}, Data: f.Content}
		if f.LinkTo != "" {
			c.Type, c.Link = rootfs.Hardlink, relative(f.LinkTo)
		}
		files = append(files, c)
	}
	g := group{note: "application tools"}
	if err := img.addFiles(o, &g, "tools", files); err != nil {
		return group{}, sbom.Component{}, err
	}
	img.Register = &result.Register
	return g, sbom.Component{
		Name: "hardstand-tools", Version: prog.Version, SHA256: g.segments[0].Entries[0].SHA256, License: "Apache-2.0",
		PURL: "pkg:golang/github.com/hardstand/hardstand@" + prog.Version,
	}, nil
}

func relative(p string) string {
	return rootfs.Canonical(strings.TrimPrefix(p, "/"), rootfs.File)
}

// buildID is what alarms call the image, which cannot contain its own digest.
func buildID(d *spec.Definition, img *Image, prog payload.Program) string {
	parts := []string{"build-id", string(d.Canonical()), img.Platform.String(), string(prog.SHA256)}
	for _, p := range img.Packages {
		parts = append(parts, p.SHA256)
	}
	return string(cache.Key(parts...)[:24])
}

func decoys(c *spec.Canary) []decoy.Decoy {
	var list []decoy.Decoy
	for _, name := range c.Decoys {
		if name == "default" {
			list = append(list, decoy.Default()...)
			continue
		}
		list = append(list, decoy.Decoy{Name: name})
	}
	if len(c.Decoys) == 1 && c.Decoys[0] == "default" {
		return nil // lets Emit leave out what the image ships
	}
	return list
}

func (img *Image) shadowed(p string) bool {
	_, ok := img.Tree.Resolve(p)
	return ok
}

func entrypoints(d *spec.Definition) []string {
	var list []string
	for _, argv := range [][]string{d.Entrypoint, d.Cmd} {
		if len(argv) > 0 {
			list = append(list, argv[0])
		}
	}
	if d.Probe != nil {
		list = append(list, d.Probe.Path)
	}
	return list
}
