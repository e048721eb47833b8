package rootfs

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// BaseOwner is the package whose directories' modes win over those of others:
// Debian's base-files lays out the root.
const BaseOwner = "base-files"

// Tree is the union of segments. Every path but a directory belongs to one
// owner; a second one is a conflict.
type Tree struct {
	nodes map[string]node
}

type node struct {
	Entry
	owner    string
	implicit bool // a parent that no segment describes
}

// NewTree returns an empty tree.
func NewTree() *Tree { return &Tree{nodes: map[string]node{}} }

// ConflictError reports two owners of one path.
type ConflictError struct {
	Path, First, Second, Reason string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("conflict at /%s: %s and %s %s", e.Path, e.First, e.Second, e.Reason)
}

// Add puts a segment's entries into the tree. All conflicts are reported
// together, each a *ConflictError.
func (t *Tree) Add(s *Segment) error {
	var errs []error
	for _, e := range s.Entries {
		if err := t.add(e, s.Owner); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (t *Tree) add(e Entry, owner string) error {
	for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
		n, ok := t.nodes[dir]
		if !ok {
			t.nodes[dir] = node{Entry: Entry{Path: dir, Type: Dir, Mode: 0o755}, owner: owner, implicit: true}
			continue
		}
		if n.Type != Dir {
			return &ConflictError{e.Path, n.owner, owner, fmt.Sprintf("disagree: /%s is no directory", dir)}
		}
	}
	old, exists := t.nodes[e.Path]
	switch {
	case !exists || old.implicit && e.Type == Dir:
		t.nodes[e.Path] = node{Entry: e, owner: owner}
	case old.Type == Dir && e.Type == Dir:
		return t.mergeDir(old, e, owner)
	default:
		return &ConflictError{e.Path, old.owner, owner, "both have it"}
	}
	return nil
}

func (t *Tree) mergeDir(old node, e Entry, owner string) error {
	same := old.Mode == e.Mode && old.UID == e.UID && old.GID == e.GID
	switch {
	case same || old.owner == BaseOwner:
	case owner == BaseOwner:
		t.nodes[e.Path] = node{Entry: e, owner: owner}
	default:
		return &ConflictError{e.Path, old.owner, owner, fmt.Sprintf("give it different modes: %s and %s", old.Entry, e)}
	}
	return nil
}

// Release forgets a path, so that another segment may have it.
func (t *Tree) Release(p string) { delete(t.nodes, p) }

// Lookup returns the entry at a path and its owner. Symlinks are not followed.
func (t *Tree) Lookup(p string) (Entry, string, bool) {
	n, ok := t.nodes[p]
	return n.Entry, n.owner, ok
}

// Resolve follows symlinks from a path to an entry, as a process in the image
// would. It fails for a loop, a missing path and a path through a file.
func (t *Tree) Resolve(p string) (Entry, bool) {
	parts := strings.Split(strings.Trim(p, "/"), "/")
	at := ""
	for hops := 0; len(parts) > 0; {
		part := parts[0]
		parts = parts[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		next := path.Join(at, part)
		n, ok := t.nodes[next]
		if !ok || n.Type != Dir && n.Type != Symlink && len(parts) > 0 {
			return Entry{}, false
		}
		if n.Type != Symlink {
			at = next
			continue
		}
		if hops++; hops > 40 {
			return Entry{}, false
		}
		if path.IsAbs(n.Link) {
			at = ""
		}
		parts = append(strings.Split(n.Link, "/"), parts...)
	}
	n, ok := t.nodes[at]
	return n.Entry, ok
}

// Entries returns every entry in order of its path.
func (t *Tree) Entries() []Entry {
	list := make([]Entry, 0, len(t.nodes))
	for _, p := range slices.Sorted(maps.Keys(t.nodes)) {
		list = append(list, t.nodes[p].Entry)
	}
	return list
}

// Dirs returns the directories that a layer of the given segments needs, in
// order: those the segments have and the parents of everything in them. Their
// modes are the tree's. Their times are the layer's newest, so that a layer's
// bytes depend on its own content only.
func (t *Tree) Dirs(segments []*Segment) []Entry {
	want := map[string]bool{}
	var newest int64
	for _, s := range segments {
		newest = max(newest, s.Newest)
		for _, e := range s.Entries {
			if e.Type == Dir {
				want[e.Path] = true
			}
			for dir := path.Dir(e.Path); dir != "." && !want[dir]; dir = path.Dir(dir) {
				want[dir] = true
			}
		}
	}
	dirs := make([]Entry, 0, len(want))
	for _, p := range slices.Sorted(maps.Keys(want)) {
		d := t.nodes[p].Entry
		d.ModTime = newest
		dirs = append(dirs, d)
	}
	return dirs
}

// MissingAliases returns the links of merged /usr that the tree needs and no
// package has: bin, sbin and lib always, the others where /usr has the
// directory.
func (t *Tree) MissingAliases() []Content {
	var links []Content
	for _, name := range slices.Sorted(maps.Keys(aliases)) {
		_, has := t.nodes[name]
		_, target := t.nodes["usr/"+name]
		always := name == "bin" || name == "sbin" || name == "lib"
		if !has && (target || always) {
			links = append(links, Content{Entry: Entry{Path: name, Type: Symlink, Mode: 0o777, Link: "usr/" + name}})
		}
		if !target && always {
			links = append(links, Content{Entry: Entry{Path: "usr/" + name, Type: Dir, Mode: 0o755}})
		}
	}
	return links
}
