package build

import (
	"cmp"
	"slices"
	"strings"
)

// defaultLayers is how many layers an image has if the definition does not say.
const defaultLayers = 4

// kind is what a group of segments holds. Kinds are in the order of layers.
type kind int

const (
	dataKind   kind = iota // packages that are the same on every platform
	nativeKind             // packages that are not
	addedKind              // packages that a variant has beyond the plain image
	configKind             // generated files and the probe
	appKind                // files from outside
	decoyKind              // what depends on the canary secret
)

// arrange makes at most budget layers of groups. Two layers are packages and
// the rest, three divide the packages, four give the decoys a layer of their
// own. The packages that a variant adds have one as long as that is within the
// budget. Each further one goes to the largest source package of a platform, so
// that its update changes that layer only. Files from outside, if there are
// any, take a layer above the budget's, because they change most often: it is
// put on top of a base whose layers are then those of other images.
func arrange(groups []group, budget int) []group {
	if budget == 0 {
		budget = defaultLayers
	}
	n := len(groups)
	if n > 0 && groups[n-1].kind == appKind || n > 1 && groups[n-2].kind == appKind {
		n--
	}
	if n > budget || budget < defaultLayers {
		groups = fold(groups)
	}
	if budget >= defaultLayers {
		return split(groups, budget-max(defaultLayers, min(n, len(groups))))
	}
	var out []group
	for _, g := range groups {
		slot := g.kind
		switch {
		case budget == 1:
			slot = dataKind
		case g.kind >= configKind:
			slot = configKind
		case budget == 2:
			slot = dataKind
		}
		if n := len(out); n > 0 && out[n-1].kind == slot {
			out[n-1].segments = append(out[n-1].segments, g.segments...)
			out[n-1].note += "; " + g.note
			continue
		}
		g.kind, g.segments = slot, slices.Clone(g.segments)
		out = append(out, g)
	}
	return out
}

// fold puts the packages that a variant adds among the others.
func fold(groups []group) []group {
	at := slices.IndexFunc(groups, func(g group) bool { return g.kind == addedKind })
	if at < 0 {
		return groups
	}
	groups = slices.Clone(groups)
	if at == 0 || groups[at-1].kind != nativeKind {
		groups[at].kind = nativeKind
		return groups
	}
	native := &groups[at-1]
	native.segments = slices.Concat(native.segments, groups[at].segments)
	native.note += strings.TrimPrefix(groups[at].note, "packages")
	return slices.Delete(groups, at, at+1)
}

// split gives the largest source packages of the native group layers of their
// own, below the rest of it. At least one source stays.
func split(groups []group, extra int) []group {
	at := slices.IndexFunc(groups, func(g group) bool { return g.kind == nativeKind })
	if at < 0 || extra <= 0 {
		return groups
	}
	native := groups[at]
	sizes := map[string]int64{}
	for _, s := range native.segments {
		sizes[s.Source] += s.PackedSize
	}
	sources := make([]string, 0, len(sizes))
	for source := range sizes {
		sources = append(sources, source)
	}
	slices.SortFunc(sources, func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b))
	})
	sources = sources[:min(extra, len(sources)-1)]
	rest := group{kind: nativeKind, note: "packages"}
	own := make([]group, len(sources))
	for _, s := range native.segments {
		g := &rest
		if i := slices.Index(sources, s.Source); i >= 0 {
			g = &own[i]
			g.kind, g.note = nativeKind, "packages"
		}
		g.segments, g.note = append(g.segments, s), g.note+" "+s.Name
	}
	return slices.Concat(groups[:at], own, []group{rest}, groups[at+1:])
}
