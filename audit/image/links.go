package image

import (
	"archive/tar"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// hardlinks gives links what their targets have.
func (t *tree) hardlinks() {
	var links []*entry
	targets := map[string][]*entry{} // from the lowest layer up
	for _, e := range t.sorted {
		if e.kind == tar.TypeLink {
			links = append(links, e)
		}
	}
	if len(links) == 0 {
		return
	}
	for _, l := range t.layers {
		for _, e := range l.entries {
			targets[e.path] = append(targets[e.path], e)
		}
	}
	for _, e := range links {
		mode := e.mode & (fs.ModeSetuid | fs.ModeSetgid) // applied to what is linked
		target := e
		for range maxLinks {
			if target = linked(targets, target); target == nil || target.kind != tar.TypeLink {
				break
			}
			mode |= target.mode & (fs.ModeSetuid | fs.ModeSetgid)
		}
		if target == nil || target.kind != tar.TypeReg {
			continue
		}
		e.kind, e.size, e.sha256, e.mode, e.caps = tar.TypeReg, target.size, target.sha256, target.mode|mode, target.caps
		e.elf, e.isELF, e.script, e.data = target.elf, target.isELF, target.script, target.data
	}
}

// linked is what a hard link was made of: the file of that path in its own
// layer or the next below, also if a layer above removes or replaces that path
// later. The link keeps what it has.
func linked(targets map[string][]*entry, link *entry) *entry {
	name := strings.TrimPrefix(path.Clean("/"+link.link), "/")
	for _, e := range slices.Backward(targets[name]) {
		if e.layer <= link.layer && e != link {
			return e
		}
	}
	return nil
}
