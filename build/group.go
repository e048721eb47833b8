package build

import (
	"context"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

// group is what becomes one layer.
type group struct {
	kind     kind
	note     string
	segments []*segment
}

// groupDebs makes a layer of the packages that are the same on every platform,
// one of those that are not, so that platforms and images share the first, and
// one of those that a variant adds, with what came with them.
func groupDebs(packages []*spec.Package, segments []*segment, added []string) []group {
	data, native, more := group{kind: dataKind, note: "data packages"}, group{kind: nativeKind, note: "packages"}, group{kind: addedKind, note: "packages"}
	reason := map[string]string{}
	for _, p := range packages {
		reason[p.Name] = p.For
	}
	wanted := map[string]bool{}
	for _, relation := range added {
		name, _, _ := strings.Cut(relation, " ")
		wanted[name] = true
	}
	isAdded := func(name string) bool {
		for range packages { // a chain of reasons is no longer than that
			if wanted[name] {
				return true
			}
			name = reason[name]
		}
		return false
	}
	for i, p := range packages {
		g := &native
		switch {
		case isAdded(p.Name):
			g = &more
		case p.Architecture == "all":
			g = &data
		}
		g.segments = append(g.segments, segments[i])
		g.note += " " + p.Name
	}
	return slices.DeleteFunc([]group{data, native, more}, func(g group) bool { return len(g.segments) == 0 })
}

// configGroup makes the layer of generated files, the probe and added files.
func configGroup(ctx context.Context, d *spec.Definition, o Options, img *Image, debs []*segment, newest int64) (group, []sbom.Component, error) {
	files := configuration(d, img)
	for i := range files {
		files[i].ModTime = newest
	}
	g := group{kind: configKind, note: "accounts and configuration"}
	if len(files) > 0 {
		if err := img.addFiles(ctx, o, &g, "hardstand", files); err != nil {
			return group{}, nil, err
		}
	}
	whole, err := img.wholeEffects(ctx, o, debs, newest)
	if err != nil {
		return group{}, nil, err
	}
	g.segments = append(g.segments, whole...)
	var components []sbom.Component
	if d.Probe != nil {
		s, c, err := probeSegment(ctx, d.Probe, o, img.Platform)
		if err != nil {
			return group{}, nil, err
		}
		g.note, g.segments, components = g.note+", probe", append(g.segments, s), append(components, c...)
		if err := img.Tree.Add(s.Segment); err != nil {
			return group{}, nil, err
		}
	}
	return g, components, nil
}

// appGroup makes the layer of files from outside.
func appGroup(ctx context.Context, o Options, img *Image, newest int64) (group, error) {
	g := group{kind: appKind, note: "application"}
	extra := append(slices.Clone(o.Files), o.FilesFor[img.Platform]...)
	if len(extra) == 0 {
		return g, nil
	}
	for i := range extra {
		if extra[i].ModTime == 0 {
			extra[i].ModTime = newest
		}
	}
	return g, img.addFiles(ctx, o, &g, "application", extra)
}

func (img *Image) addFiles(ctx context.Context, o Options, g *group, owner string, files []rootfs.Content) error {
	s, err := contentSegment(ctx, o, owner, files)
	if err != nil {
		return err
	}
	g.segments = append(g.segments, s)
	return img.Tree.Add(s.Segment)
}
