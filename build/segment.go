package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/effect"
	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/license"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

// transformVersion is part of every segment's key. Raise it whenever the bytes
// of a segment or a layer can change for the same input.
const transformVersion = "12"

// segment is a rootfs.Segment and where its bytes are.
type segment struct {
	*rootfs.Segment
	PackedSize int64  `json:"packed-size"` // of the tar blocks, compressed, bytes
	Place      place  `json:"place"`
	Maintainer string `json:"maintainer,omitempty"`
	// What the package says it is, compared with the lock on every use.
	Name, Version, Architecture, Source, SourceVersion string
	Scripts                                            []string  `json:"scripts,omitempty"` // maintainer scripts that were not run
	Register                                           *Register `json:"register,omitempty"`
	// What the package's copyright file says, and where that file is.
	License     *license.Info `json:"license,omitempty"`
	LicenseFile string        `json:"license-file,omitempty"`
	Patterns    []string      `json:"patterns,omitempty"` // the drop patterns that left something out
	// What is done in place of the scripts; see package effect.
	Does        string            `json:"does,omitempty"`
	Whole       []string          `json:"whole,omitempty"`
	Loaded      []string          `json:"loaded,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	// ELF holds the programs and libraries, by path.
	ELF map[string]*elf.Info `json:"elf,omitempty"`

	// Leads is true of the probe: in its layer it stands first.
	Leads bool `json:"leads,omitempty"`

	start *payload.Start // nil if the program in it is not as it is embedded
	key   cache.Digest
	held  *blocks    // nil if it is in the cache only
	mu    sync.Mutex // for Place
}

func (s *segment) at() place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Place
}

// segmentWriter compresses tar blocks and keeps them in memory for the layer
// that they are about to be part of, or in the cache if there is no room.
type segmentWriter struct {
	ctx   context.Context
	cache *cache.Cache
	zip   *packer
	kept  *blocks
	size  int64
	blob  *cache.Writer // nil while there is room
}

func newSegmentWriter(ctx context.Context, o Options) *segmentWriter {
	w := &segmentWriter{ctx: ctx, cache: o.Cache, kept: &blocks{room: o.room}}
	w.zip = newPacker(o.by, w.keep)
	return w
}

func (w *segmentWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.zip.Write(p)
}

// keep takes a block.
func (w *segmentWriter) keep(r packed) error {
	t := tarBlock{packed: r.data, plain: r.plain, unpack: r.unpack}
	if r.buffer != nil {
		if t.plain = *r.buffer; len(t.plain) < cap(t.plain)/2 || w.blob != nil { // not worth a whole buffer, or not kept
			defer buffers.Put(r.buffer)
		}
	}
	w.size += int64(len(r.data))
	if w.blob == nil {
		if r.buffer != nil && len(t.plain) < cap(t.plain)/2 {
			t.plain = bytes.Clone(t.plain)
		}
		dropped, ok := w.kept.add(t)
		if ok {
			return nil
		}
		if err := w.spill(dropped); err != nil {
			return err
		}
	}
	_, err := w.blob.Write(r.data)
	return err
}

// spill starts a blob with what was kept.
func (w *segmentWriter) spill(kept []tarBlock) (err error) {
	if w.blob, err = w.cache.Create(); err != nil {
		return err
	}
	for _, t := range kept {
		if _, err := w.blob.Write(t.packed); err != nil {
			return err
		}
	}
	return nil
}

func (w *segmentWriter) abort() {
	if w.blob != nil {
		w.blob.Abort()
	}
}

// finish says in s where its bytes are.
func (w *segmentWriter) finish(s *segment) error {
	if err := w.zip.Close(); err != nil {
		return err
	}
	s.PackedSize = w.size
	if w.blob == nil {
		s.held = w.kept
		return nil
	}
	s.Place = place{Blob: w.blob.Sum()}
	return w.blob.Commit(s.Place.Blob)
}

// debSegment fetches and transforms a package.
func debSegment(ctx context.Context, o Options, p *spec.Package, drop []string) (*segment, error) {
	digest, err := cache.ParseDigest(p.SHA256)
	if err != nil {
		return nil, err
	}
	key := cache.Key(append([]string{"segment", transformVersion, o.by.encoder, p.Name, p.SHA256}, drop...)...)
	s, err := cachedSegment(ctx, o, key, func(w *segmentWriter) (*segment, error) {
		here := o.Cache.Contains(digest, p.Size)
		if here { // to be hashed; others wait for the network without a turn
			o.turns <- struct{}{}
			defer func() { <-o.turns }()
		}
		file, err := o.fetchDeb(ctx, p, digest)
		if err != nil {
			return nil, err
		}
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read package %s: %w", p.Name, errCacheLost) // pruned by another process
		}
		if err != nil {
			return nil, fmt.Errorf("read package %s: %w", p.Name, err)
		}
		defer f.Close() //nolint:errcheck // opened for reading
		if !here {
			o.turns <- struct{}{}
			defer func() { <-o.turns }()
		}
		r, err := deb.NewReader(f, deb.Limits{})
		if err != nil {
			return nil, fmt.Errorf("read package %s: %w", p.Name, err)
		}
		defer r.Close()
		return transform(w, r, p, drop)
	})
	if err != nil {
		return nil, err
	}
	return s, s.is(p)
}

// is compares what a package says it is with what the lock says.
func (s *segment) is(p *spec.Package) error {
	have := [...]string{s.Name, s.Version, s.Architecture, s.Source, s.SourceVersion}
	want := [...]string{p.Name, p.Version, p.Architecture, p.Source, p.SourceVersion}
	if have != want {
		return fmt.Errorf("package %s: the file is %s, the lock says %s", p.Name, strings.Join(have[:], " "), strings.Join(want[:], " "))
	}
	return nil
}

// transform writes a package's segment: its files under the definition's drop
// rules, what its maintainer scripts would have made, and its entry in
// var/lib/dpkg/status.d, by which scanners find it.
func transform(w *segmentWriter, r *deb.Reader, p *spec.Package, drop []string) (*segment, error) {
	control := r.Control()
	e := effect.Of(effect.Package{Name: p.Name, Version: p.Version, Architecture: p.Architecture, Scripts: control.Scripts})
	dropped := map[string]bool{}
	programs := &inspector{scratch: w.cache.Scratch}
	defer programs.close()
	copyright := &limited{max: license.MaxFile}
	used := map[string]bool{}
	rules := rootfs.Rules{
		Inspect: func(entry rootfs.Entry) io.Writer {
			if entry.Path == copyrightFile(p.Name) {
				copyright.seen = true
				return copyright
			}
			return programs.file(entry)
		},
		Drop: func(name string) bool {
			for _, pattern := range drop {
				if spec.MatchPattern(pattern, name) {
					dropped[name], used[pattern] = true, true
				}
			}
			if e.Drop(name) {
				dropped[name] = true
			}
			return dropped[name]
		},
		Take: func(entry rootfs.Entry, body io.Reader) (bool, error) {
			taken, err := e.Take(entry, body)
			if taken {
				dropped[entry.Path] = true
			}
			return taken, err
		},
		Add: func() ([]rootfs.Content, error) {
			more, err := e.Files()
			return append(more, status(control, dropped)...), err
		},
	}
	s, err := rootfs.WriteSegment(w, p.Name, debSource{r}, rules)
	if err != nil {
		return nil, err
	}
	found, err := programs.done()
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", p.Name, err)
	}
	source, sourceVersion := control.Stanza.Source()
	out := &segment{
		Segment: s, ELF: found, Maintainer: control.Stanza.Get("Maintainer"), Scripts: e.Unhandled,
		Does: e.Does, Whole: e.Whole, Loaded: e.Loaded, Environment: e.Environment,
		Name: control.Stanza.Get("Package"), Version: control.Stanza.Get("Version"), Architecture: control.Stanza.Get("Architecture"),
		Source: source, SourceVersion: sourceVersion, Patterns: slices.Sorted(maps.Keys(used)),
	}
	if copyright.seen {
		info := license.Parse(copyright.data)
		out.License, out.LicenseFile = &info, copyrightFile(p.Name)
	}
	return out, nil
}

// limited keeps the first bytes that are written to it.
type limited struct {
	max  int
	data []byte
	seen bool
}

func (l *limited) Write(p []byte) (int, error) {
	l.data = append(l.data, p[:min(len(p), l.max-len(l.data))]...)
	return len(p), nil
}

// status gives the package's files in var/lib/dpkg/status.d, the form that
// scanners know from distroless images: the control stanza, and the checksums
// of the files that are really there.
func status(c deb.Control, dropped map[string]bool) []rootfs.Content {
	name := c.Stanza.Get("Package")
	file := func(suffix string, data []byte) rootfs.Content {
		return rootfs.Content{Entry: rootfs.Entry{Path: "var/lib/dpkg/status.d/" + name + suffix, Mode: 0o644}, Data: data}
	}
	var sums bytes.Buffer
	for line := range bytes.Lines(c.MD5Sums) {
		if _, p, ok := strings.Cut(strings.TrimSpace(string(line)), "  "); ok && !dropped[rootfs.Canonical(p, rootfs.File)] {
			sums.Write(line)
		}
	}
	list := []rootfs.Content{file("", append(bytes.TrimSpace(c.Stanza), '\n'))}
	if sums.Len() > 0 {
		list = append(list, file(".md5sums", sums.Bytes()))
	}
	return list
}

// debSource gives a package's entries to rootfs.
type debSource struct{ *deb.Reader }

func (s debSource) Next() (rootfs.Entry, error) {
	e, err := s.Reader.Next()
	if err != nil {
		return rootfs.Entry{}, err
	}
	out := rootfs.Entry{Path: e.Path, Type: rootfs.Type(e.Type), UID: e.UID, GID: e.GID, Size: e.Size, ModTime: e.ModTime.Unix(), Link: e.Link, Mode: uint32(e.Mode.Perm())}
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if e.Mode&flag != 0 {
			out.Mode |= bit
		}
	}
	return out, nil
}

// contentSegment makes a segment of files in memory.
func contentSegment(ctx context.Context, o Options, owner string, list []rootfs.Content) (*segment, error) {
	h := sha256.New()
	for _, f := range list {
		meta, err := json.Marshal(f.Entry)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(h, "%d:%s%d:", len(meta), meta, len(f.Data))
		h.Write(f.Data)
	}
	key := cache.Key("content", transformVersion, o.by.encoder, owner, string(cache.HashOf(h)))
	return cachedSegment(ctx, o, key, func(w *segmentWriter) (*segment, error) {
		programs := &inspector{scratch: o.Cache.Scratch}
		defer programs.close()
		s, err := rootfs.WriteSegment(w, owner, rootfs.Contents(list), rootfs.Rules{Inspect: programs.file})
		if err != nil {
			return nil, err
		}
		found, err := programs.done()
		return &segment{Segment: s, ELF: found}, err
	})
}
